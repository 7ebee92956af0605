"""The rows of the comparison: what is asked, of whom, and what is looked at. Adding one is adding an entry here."""
from dataclasses import dataclass, field, replace

from contenders.base import Settings
from l4 import rows as l4

REUSE, BUFFERS, SPLICE = ("reuse",), ("reuse", "buffers"), ("reuse", "splice")
TCP_BUFFERS, TCP_SPLICE = ("buffers",), ("splice",)


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    group: str
    load: tuple = ()                    # arguments of the load generator
    settings: Settings = Settings()
    best: tuple = (REUSE,)              # HAProxy's settings that may be its best here, each a contender beside its defaults
    vary: tuple = ()                    # ((label, {setting: value}), ...): each contender once with each
    metric: str = "cpu"                 # what the row is judged by: cpu (µs a request), latency (p99), idle (B a connection),
                                        # l4 (µs of the machine more than direct)
    share: float = 0                    # open loop at this share of the saturation of `small-64`
    beside: tuple = ()                  # a second load that runs all the time
    idle: int = 0                       # further connections that did one request and stay
    unit: int = 0                       # bytes that count as one request: bodies that are few in one round
    tcp: tuple = ()                     # arguments of the endpoint of a TCP row
    l4: bool = False                    # in namespaces: l4/rows.py
    contenders: tuple = ("null", "ringway", "haproxy", "nginx")
    note: str = ""
    quick: bool = False
    seconds: float = 1                  # times the length of a round
    cost: float = 0                     # seconds that a round takes beyond the usual ones

    def active(self):
        return int(self.load[self.load.index("--connections") + 1])


def connections(n):
    return ("--connections", str(n))


def get(size, n, **more):
    return {"load": connections(n) + ("--path", f"/b/{size}"), **more}


BULK = {"best": (BUFFERS, SPLICE)}
TCP = Settings(protocol="tcp")

ROWS = [
    Row("small-1", "200 B response, 1 connection", "Small requests, keep-alive", **get(200, 1)),
    Row("small-64", "200 B response, 64 connections", "Small requests, keep-alive", **get(200, 64), quick=True),
    Row("small-256", "200 B response, 256 connections", "Small requests, keep-alive", **get(200, 256)),
    Row("small-1000", "200 B response, 1,000 connections", "Small requests, keep-alive", **get(200, 1000)),
    Row("new-connection", "200 B response, new connection per request", "Small requests, keep-alive",
        load=connections(64) + ("--path", "/b/200", "--new-connections"), quick=True,
        note="same accept options for all: none defers its accepts (TCP_DEFER_ACCEPT). The null proxy connects to the "
             "endpoint anew each time too, the others have connections kept there"),
    Row("new-connection-deferred", "the same with deferred accepts", "Small requests, keep-alive",
        load=connections(64) + ("--path", "/b/200", "--new-connections"), settings=Settings(defer_accept=True),
        contenders=("ringway", "haproxy", "nginx"), note="TCP_DEFER_ACCEPT on the listening socket of each"),
    Row("post-1k", "POST of 1 KB", "Bodies", load=connections(64) + ("--path", "/post", "--post", "1024")),
    Row("post-100k", "POST of 100 KB", "Bodies", load=connections(64) + ("--path", "/post", "--post", "102400"), **BULK),
    Row("get-10k", "10 KB response", "Bodies", **get(10 << 10, 64), best=(REUSE, BUFFERS)),
    Row("get-100k", "100 KB response", "Bodies", **get(100 << 10, 64), **BULK, quick=True),
    Row("get-1m", "1 MB response", "Bodies", **get(1 << 20, 16, unit=1 << 20), **BULK, quick=True),
    Row("get-100m", "100 MB response", "Bodies", **get(100 << 20, 4, unit=100 << 20), **BULK),
    Row("chunked-100k", "100 KB response, chunked", "Bodies",
        load=connections(64) + ("--path", f"/chunked/{100 << 10}"), **BULK),
    Row("tcp-small", "TCP relay, 64 B each way", "TCP relay", load=connections(64) + ("--tcp",), settings=TCP, best=(),
        tcp=("--tcp", "--request", "64", "--response", "64")),
    Row("tcp-bulk", "TCP relay, 1 MB answers", "TCP relay",
        load=connections(16) + ("--tcp", "--response", str(1 << 20)), settings=TCP, best=(TCP_BUFFERS, TCP_SPLICE),
        tcp=("--tcp", "--request", "64", "--response", str(1 << 20)), unit=1 << 20, quick=True),
    Row("idle-10000", "10,000 idle connections, 100 active", "Scale", load=connections(100) + ("--path", "/b/200"),
        idle=10_000, metric="idle", cost=0.5),
    Row("endpoints", "200 B response, by the number of endpoints", "Scale", **get(200, 64), contenders=("ringway", "haproxy", "nginx"),
        vary=tuple((f"{n:,} endpoint{'s' if n > 1 else ''}", {"endpoints": n, "check_interval": 60})
                   for n in (1, 10, 1000, 10_000)), cost=1.5),
    Row("access-log", "200 B response, access log off and on", "Scale", **get(200, 64), contenders=("ringway", "haproxy", "nginx"),
        vary=(("log off", {"log": False}), ("log on", {"log": True})),
        note="each writes a line per request to a file in memory: Ringway by its log thread, whose CPU is in the figure, HAProxy line by "
             "line, nginx from a buffer of 64 KB"),
    Row("workers", "200 B response, one and two workers", "Scale", **get(200, 64), contenders=("ringway", "haproxy", "nginx"),
        vary=(("1 worker", {"workers": 1}), ("2 workers", {"workers": 2}))),
    *(Row(f"rate-{percent}", f"200 B response, open loop at {percent} % of saturation", "Latency", **get(200, 64),
          share=percent / 100, metric="latency") for percent in (20, 50, 80)),
    Row("beside-bulk", "200 B responses beside one bulk transfer", "Latency",
        load=connections(16) + ("--path", "/b/200", "--rate", "2000"), metric="latency", best=(BUFFERS,),
        beside=connections(1) + ("--path", f"/b/{100 << 20}"), note="2,000 requests/s, open loop"),
    Row("beside-1m", "200 B responses beside the same bulk for all", "Latency",
        load=connections(16) + ("--path", "/b/200", "--rate", "2000"), metric="latency", best=(BUFFERS,),
        beside=connections(8) + ("--path", f"/b/{1 << 20}", "--rate", "400"),
        note="2,000 requests/s of 200 B and 400 of 1 MB, open loop: a proxy that moves bulk faster does not get more of it"),
    *l4.rows(Row),
]
BY_NAME = {row.name: row for row in ROWS}


@dataclass(frozen=True)
class Entry:
    """One contender in one row."""

    key: str
    label: str
    name: str
    settings: Settings = field(compare=False)


def entries(row, classes, chosen):
    """Who takes part in a row, in the order of a round."""
    found = []
    for name in row.contenders:
        if name not in chosen:
            continue
        label = classes[name].label
        for suffix, change in row.vary or (("", {}),):
            settings = replace(row.settings, **change)
            tunings = ((),) + row.best if name == "haproxy" and not row.vary else ((REUSE if row.vary and name == "haproxy" else ()),)
            for tuning in tunings:
                words = [suffix] if suffix else (["+".join(tuning)] if tuning else [])
                found.append(Entry(":".join([name] + words), ", ".join([label] + words), name, replace(settings, tuning=tuning)))
    return found


def select(names, quick):
    if not names:
        return [row for row in ROWS if row.quick or not quick]
    unknown = [n for n in names if n not in BY_NAME and not any(row.name.startswith(n + "-") for row in ROWS)]
    if unknown:
        raise ValueError(f"no row '{unknown[0]}': --list names them")
    return [row for row in ROWS if any(row.name == n or row.name.startswith(n + "-") for n in names)]
