"""One round of a layer-4 row: what the whole machine spent for a request.

Client, balancer and endpoints share one CPU, and the load is a closed loop, so that this CPU never waits. Then every interrupt and
softirq runs on top of a process of the run (or in this CPU's ksoftirqd) and is in its run time, which the scheduler counts in
nanoseconds (/proc/PID/schedstat). The sum of these by the number of requests is all that a request cost. Not in it: the ticks that
/proc/stat counts by, a CPU's falling asleep and waking up, and what others do on the machine. That the CPU did not wait is looked at.
"""
import os
import time
from glob import glob

from l4 import spaces
from measure import Load, figures, per_request

TRACKED = "rounds in which connection tracking was on where it should be off, or off where it should be on"


class OneCpu:
    """The last CPU has all of it; whoever measures is elsewhere."""

    def __init__(self, usable):
        self.number = usable[-1]
        self.load = self.origin = [self.number]
        self.others = usable[:-1] or usable

    def proxy(self, _workers):
        return [self.number]


def clock(cpu):
    """(idle, stolen, all) ticks of a CPU."""
    with open("/proc/stat") as f:
        fields = next(line.split() for line in f if line.startswith(f"cpu{cpu} "))
    ticks = [int(field) for field in fields[1:9]]
    return ticks[3] + ticks[4], ticks[7], sum(ticks)


def softirq_thread(usable):
    """The run time of the CPU's ksoftirqd, as an open file: inside a run's PID namespace it cannot be found any more. Or None."""
    for path in glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as f:
                if f.read().strip() == f"ksoftirqd/{OneCpu(usable).number}":
                    return open(path.replace("comm", "schedstat"))
        except OSError:
            continue
    return None


def ran_ns(thread):
    if thread is None:
        return 0
    thread.seek(0)
    return int(thread.read().split()[0])


def in_place(contender):
    """What the load generator does before it begins."""
    def body():
        if getattr(contender, "cgroup", None):
            with open(os.path.join(contender.cgroup, "cgroup.procs"), "w") as f:
                f.write("0")
        spaces.enter(contender.place.net.client)
    return body


def round_of(row, contender, seconds):
    place = contender.place
    warmup = max(0.2, min(0.5, seconds / 4))
    load = Load(place, contender.target(), row.load, seconds, warmup, [*contender.proxies, *contender.aside, place.origin.pid],
                in_place(contender))
    try:
        time.sleep(warmup + seconds * 0.1)
        before, ran, begun = clock(place.cpus.number), ran_ns(place.softirq), time.monotonic_ns()
        time.sleep(seconds * 0.8)
        softirq = (ran_ns(place.softirq) - ran) / (time.monotonic_ns() - begun)
        idle, stolen, ticks = (now - then for now, then in zip(clock(place.cpus.number), before))
        outcome = load.result()
    finally:
        load.stop()
    found = figures(row, contender, outcome, 0, None)
    idle, stolen = idle / max(1, ticks), stolen / max(1, ticks)
    micros = outcome["seconds"] * 1e6
    ours = outcome["cpu_us"] + sum(outcome["watched_cpu_us"].values()) + softirq * micros
    found.update(user_us=None, machine_us=per_request(row, outcome, ours), idle=idle, softirq=softirq,
                 foreign=max(0.0, 1 - idle - stolen - ours / micros), tracked=place.net.tracked())
    if bool(found["tracked"]) != contender.tracks:
        found["failures"][TRACKED] = 1
    return found


def add_shares(rounds):
    """What a contender costs more than the same way without a balancer, round by round."""
    for key, found in rounds.items():
        base = rounds.get("direct-xdp" if key == "packet-xdp" else "direct", [])
        for one, beside in zip(found, base):
            if one.get("machine_us") is not None and beside.get("machine_us") is not None:
                one["share_us"] = one["machine_us"] - beside["machine_us"]
