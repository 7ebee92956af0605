"""What clients and Apache's own time-outs do: the keep-alive race and clients that stall."""
import time

from judge import Allowed
from stall import Staller
from table import Outcome, Scenario


def keepalive_race(keepalive_s, upstream_idle):
    """Bursts arrive as far apart as Apache's KeepAliveTimeout, give or take 60 ms: Apache closes pooled connections just when a
    request wants them. Each request takes 40 ms, so that every one of a burst has a connection of its own. With upstream_idle below
    the time-out nothing may fail; with one above it, GETs still may not."""
    def play(run):
        settings = {"timeouts": {"upstream_idle": upstream_idle}} if upstream_idle else {}
        above = upstream_idle is not None and float(upstream_idle.rstrip("s")) > keepalive_s
        with run.world(f"keepalive-{keepalive_s}{'-above' if above else ''}", settings=settings) as world:
            world.start(2, keepalive_timeout=keepalive_s, start_servers=50)
            world.http_url += "slow.php?ms=40"
            gap, burst = keepalive_s + 0.04, 40
            load = world.load(rate=burst / gap, connections=burst, new=0.0, mix="get=60,post=40",
                              extra=("--burst", str(burst), "--jitter", "60", "--post-bytes", "2000", "--post-path", "/slow_echo.php"))
            time.sleep(run.pick(9 if keepalive_s < 3 else 16, 300))
            allowed = []
            if above:
                allowed = [Allowed("502 to a POST whose pooled connection Apache closed as it was sent: it may have been acted on",
                                   lambda r: r.what == "502" and r.post)]
            reuses, moved = sum(world.stat("reuses")), sum(world.stat("moved"))
            requests, problems = world.finish(load, allowed)
            if above and len(allowed[0].seen) > len(requests) * 0.02:
                problems.append(f"{len(allowed[0].seen)} of {len(requests)} requests met the race: more than 2 %")
            expected = "502 to POSTs that met the race (upstream_idle above KeepAliveTimeout); else 0" if above else "0"
            return Outcome(requests, problems, expected, f"{reuses} on pooled connections, {moved} moved on")
    return play


def stalling(run):
    """Clients that read nothing of a big answer, send a body byte by byte, stop in the middle of a head, half-close; beside them the
    usual load, during which an endpoint is stopped."""
    with run.world("stall") as world:
        endpoints = world.start(2, start_servers=60)  # prefork: each stalled client holds one
        load = world.load(rate=100)
        stallers = Staller(world.ports["http"], each=run.pick(10, 12)).start()
        time.sleep(1)
        endpoints[0].stop()
        time.sleep(run.pick(2, 30))
        problems = stallers.finish()
        requests, more = world.finish(load)
        return Outcome(requests, problems + more, "0", stallers.words())


ALL = [
    # No catalog has a part in these: the short form plays them on one.
    Scenario("keepalive-1s", keepalive_race(1, "0.8s"), needs_long=("consul",)), Scenario("keepalive-5s", keepalive_race(5, None), needs_long=("consul",)),
    Scenario("keepalive-1s-above", keepalive_race(1, "5s"), needs_long=("consul",)),
    Scenario("keepalive-5s-above", keepalive_race(5, "60s"), needs_long=("embedded", "consul")),
    Scenario("stall", stalling, needs_long=("consul",)),
]
