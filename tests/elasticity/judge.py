"""The account of a run: every request of the record file, and whether what failed was allowed to.

An Allowed is a small predicate over one failed request, with a reason and a bound. A failed request that no Allowed matches, or
more of them than its bound, makes the scenario fail. A keep-alive connection that the server closed under a request (the load tool
sends it again) counts as a failure of kind "race": a client less patient than this one would have lost the request.
"""
from dataclasses import dataclass, field
from typing import Callable, Optional


@dataclass
class Request:
    id: str
    intended: float
    sent: float
    ended: float
    kind: str
    new: bool
    races: int
    status: int
    failure: str
    endpoint: str
    retry_after: str
    detail: str

    @property
    def post(self):
        return self.kind == "post"

    @property
    def what(self):
        """How it failed, in a word: a status's own number, a race, or the load tool's kind."""
        if self.failure == "status":
            return str(self.status)
        return self.failure or ("race" if self.races else "")

    def in_flight(self, begin, end=None):
        """Did it run at any moment of [begin, end]?"""
        return self.sent <= (begin if end is None else end) and self.ended >= begin

    def __str__(self):
        return (f"{self.kind} #{self.id} {self.what}{' new' if self.new else ''} sent {self.sent:.3f} ended {self.ended:.3f} "
                f"({(self.ended - self.sent) * 1e3:.0f} ms) endpoint '{self.endpoint}' {self.detail}")


@dataclass
class Allowed:
    why: str
    match: Callable[[Request], bool]
    at_most: Optional[int] = None
    seen: list = field(default_factory=list)


# From the kill to the moment when its effect has reached the dataplane's sockets (loopback, a busy machine).
KILL_SECONDS = 0.25
EXPECT_KILL = "502 to POSTs in flight there, bodies begun there cut; else 0"


def lost_in_flight(victim, begin, end):
    """What a kill in [begin, end] may cost: requests that the victim (None: whoever) had and may have acted on, exactly those."""
    def in_flight(r):
        return r.in_flight(begin, end + KILL_SECONDS)
    return [Allowed("502 to a POST in flight at the kill: it may have been acted on", lambda r: r.what == "502" and r.post and in_flight(r)),
            Allowed("body cut short: the response had begun at the killed endpoint",
                    lambda r: r.what == "short_body" and in_flight(r) and victim in (None, r.endpoint))]


def read_records(path):
    with open(path) as file:
        for line in file:
            f = line.rstrip("\n").split("\t")
            yield Request(f[0], int(f[1]) / 1e6, int(f[2]) / 1e6, int(f[3]) / 1e6, f[4], f[5] == "1", int(f[6]), int(f[7]), f[8], f[9], f[10],
                          f[11])


def judge(requests, allowed):
    """Sentences that say what went wrong; none when all is as expected."""
    problems, stray = [], []
    for request in requests:
        if not request.what:
            continue
        rule = next((rule for rule in allowed if rule.match(request)), None)
        (rule.seen if rule else stray).append(request)
    if stray:
        problems.append(f"{len(stray)} requests failed that must not:")
        problems.extend(f"    {request}" for request in stray[:12])
    for rule in allowed:
        if rule.at_most is not None and len(rule.seen) > rule.at_most:
            problems.append(f"{len(rule.seen)} x {rule.why}, at most {rule.at_most} are justified:")
            problems.extend(f"    {request}" for request in rule.seen[:8])
    return problems


def quantile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def latencies_ms(requests):
    """p50, p99, max of those that ended well, from the moment the clock said they should begin."""
    values = sorted((r.ended - r.intended) * 1e3 for r in requests if not r.failure)
    return quantile(values, 0.5), quantile(values, 0.99), (values[-1] if values else 0.0)


def failures(requests):
    """{"502": 3, ...}"""
    counts = {}
    for request in requests:
        if request.what:
            counts[request.what] = counts.get(request.what, 0) + 1
    return counts
