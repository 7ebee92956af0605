"""Pools that grow, shrink, empty, are replaced whole and churn."""
import threading
import time

from catalogs import put
from judge import EXPECT_KILL, Allowed, lost_in_flight
from table import Outcome, Scenario


def stop_all(endpoints):
    """SIGTERM to all at once, as `up --scale` does; each must end with 0."""
    for endpoint in endpoints:
        endpoint.ask_to_stop()
    for endpoint in endpoints:
        endpoint.stop()


def scale(run):
    """1, 5, 1, 0, 3 under load. At 0, and only then, 503 with Retry-After."""
    with run.world("scale") as world:
        pool = world.start(1)
        load = world.load(rate=150)
        problems, none_from, none_to = [], [], []
        for _ in range(run.pick(1, 10)):
            time.sleep(0.7)
            pool += world.start(4)
            time.sleep(0.7)
            stop_all(pool[1:])
            time.sleep(0.5)
            none_from.append(time.time())
            stop_all(pool[:1])
            world.wait_ready(0)
            time.sleep(0.7)
            first = world.apache().start()  # 503 ends when the first is ready, not when all three are
            pool = [first]
            world.wait_serving([first])
            none_to.append(time.time())
            pool += world.start(2)
            time.sleep(1)
            stop_all(pool[1:])
            pool = pool[:1]

        def at_zero(r):
            return any(begin <= r.ended and r.sent <= end for begin, end in zip(none_from, none_to))
        allowed = [Allowed("503 with Retry-After while there was no endpoint", lambda r: r.what == "503" and r.retry_after.isdigit() and at_zero(r))]
        requests, more = world.finish(load, allowed)
        if len(allowed[0].seen) < 10:
            problems.append("hardly any 503 was seen at zero endpoints: nothing was shown")
        return Outcome(requests, problems + more, "503 + Retry-After at 0 endpoints; else 0", f"{len(world.endpoints)} endpoints in all")


def scale_hold(run):
    """1, 0, 1 with `hold`: requests wait for the endpoint instead of getting 503. The limit keeps hundreds of held requests from
    opening more connections at once than the new Apache has processes."""
    settings = {"hold": {"timeout": "20s", "requests_max": 4096}, "endpoint_limit": {"in_flight_max": 6, "queue_max": 4096, "queue_timeout": "20s"}}
    with run.world("scale-hold", settings=settings) as world:
        pool = world.start(1)
        load = world.load(rate=100, connections=200)
        for _ in range(run.pick(1, 5)):
            time.sleep(0.7)
            stop_all(pool)
            time.sleep(1)
            pool = world.start(1)
        time.sleep(1)
        requests, problems = world.finish(load)
        held = sum(r.ended - r.intended > 0.5 for r in requests)
        if held < 20:
            problems.append(f"only {held} requests waited for an endpoint: nothing was shown")
        return Outcome(requests, problems, "0", f"{held} requests were held")


def replace_all(run):
    """A deployment: three new, then the three old ones stop at once; then all at once without an overlap of more than a moment."""
    with run.world("replace") as world:
        pool = world.start(3)
        load = world.load(rate=150)
        for _ in range(run.pick(run.short_rounds, 10)):
            time.sleep(0.5)
            new = world.start(3)
            stop_all(pool)
            pool = new
        time.sleep(0.5)
        requests, problems = world.finish(load)
        late = [r for r in requests if r.endpoint and r.endpoint in {e.name for e in world.endpoints[:3]} and r.sent > requests[-1].sent - 0.4]
        problems.extend(f"an old endpoint still answers: {r}" for r in late[:2])
        return Outcome(requests, problems, "0", f"{len(world.endpoints)} endpoints in all")


def same_address(run):
    """Identity: the address and port stay, the instance behind them is another one, after a stop and after a kill; nothing goes to the
    old one's connections."""
    with run.world("same-address") as world:
        keeper, old = world.start(2)
        load = world.load(rate=150)
        moments = []
        for number in range(run.pick(2, 20)):
            time.sleep(0.5)
            begin = time.time()
            if number % 2 == 0:
                old.kill_all()  # its registration is still there when the new one claims the address: the newest wins
                moments.append((begin, time.time()))
            else:
                old.stop()
            new = world.apache(at=(old.address, old.port)).start()
            world.wait_serving([new, keeper])
            old = new
        time.sleep(0.5)
        allowed = [rule for begin, end in moments for rule in lost_in_flight(None, begin, end)]
        requests, problems = world.finish(load, allowed)
        return Outcome(requests, problems, EXPECT_KILL)


def flapping(run):
    """One of three fails its checks and passes them again, four times a second, for seconds; then it stays well."""
    with run.world("flapping") as world:
        light = world.light()
        names = register_light(world, light, 3)
        world.wait_ready(3)
        load = world.load(rate=200, mix="get=80,post=20")
        before = version(world)
        flaps = run.pick(16, 240)
        where, was, back = f"{world.address(1)}:{light.port}", "ready", 0
        for number in range(flaps):
            world.api.set_check(names[0], "critical" if number % 2 == 0 else "passing")
            for _ in range(5):
                time.sleep(0.05)
                state = world.states().get(where)
                back += state == "ready" and was != "ready"
                was = state
        moved = version(world) - before
        world.api.set_check(names[0], "passing")
        requests, problems = world.finish(load)
        if back > flaps / 4:
            problems.append(f"{flaps // 2} times down and up, and it was let back {back} times: that is not damped")
        return Outcome(requests, problems, "0", f"{flaps // 2} times down and up, let back {back} times, {moved} versions of the map")


def version(world):
    return world.status()["version"]


def register_light(world, light, count, first=1):
    names = []
    for number in range(first, first + count):
        names.append(f"{world.service}-{number}")
        world.api.register(world.service, names[-1], world.address(number), light.port)
    return names


def storm(run):
    """200 registrations in a second, in parallel, while three endpoints serve."""
    count = 200
    with run.world("storm") as world:
        light = world.light()
        register_light(world, light, 3)
        world.wait_ready(3)
        load = world.load(rate=300, mix="get=80,post=20")
        time.sleep(0.5)
        begin = time.monotonic()
        threads = [threading.Thread(target=register_light, args=(world, light, count // 8, 4 + k * (count // 8))) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        registered = time.monotonic() - begin
        world.wait_ready(3 + count)
        ready = time.monotonic() - begin
        time.sleep(1.5)
        requests, problems = world.finish(load)
        seen = {r.endpoint for r in requests}
        if len(seen) < 3 + count:
            problems.append(f"{len(seen)} endpoints have answered, wanted {3 + count}")
        return Outcome(requests, problems, "0", f"{count} registered in {registered:.2f} s, all ready after {ready:.2f} s")


def churn(run):
    """1,000 endpoints of which 10 a second are replaced: a new one is registered, an old one drained and deregistered."""
    count = run.pick(1000, 1000)
    seconds = run.pick(6, 120)
    with run.world("churn", settings={"health_check": {"type": "tcp", "interval": "10s"}}) as world:
        light = world.light()
        threads = [threading.Thread(target=register_light, args=(world, light, count // 8, 1 + k * (count // 8))) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.wait_ready(count, timeout=60)
        load = world.load(rate=run.pick(300, 500), mix="get=80,post=20")
        begin, made = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            register_light(world, light, 1, count + made + 1)
            leave(world, f"{world.service}-{made + 1}")
            made += 1
            time.sleep(max(0.0, begin + made * 0.1 - time.monotonic()))
        took = time.monotonic() - begin
        world.wait_ready(count)
        requests, problems = world.finish(load)
        return Outcome(requests, problems, "0", f"{made} of {count} replaced in {took:.1f} s")


def leave(world, identity):
    """As a sidecar leaves: drained where the catalog knows that, maintenance mode where it is a Consul, then deregistered."""
    if world.catalog.name == "embedded":
        put(world.catalog_url, f"/v1/ringway/drain/{identity}?wait=5s")
        world.api.deregister(identity)
        return
    world.api.maintenance(identity, True)
    threading.Timer(2.0, world.api.deregister, (identity,)).start()


def limits(run):
    """More requests at once than Apache has workers: the per-endpoint limit queues them instead of the kernel's backlog."""
    settings = {"endpoint_limit": {"in_flight_max": 4, "queue_max": 2000, "queue_timeout": "20s"}}
    with run.world("limits", settings=settings) as world:
        world.start(2)
        load = world.load(rate=40, connections=200, new=0.5, mix="get=50,post=10,slow=40", extra=("--slow-ms", "400"))
        most = 0
        for _ in range(run.pick(30, 300)):
            most = max([most, *world.stat("in_flight")])
            time.sleep(0.1)
        requests, problems = world.finish(load)
        if most > 4:
            problems.append(f"{most} requests in flight on one endpoint, the limit is 4")
        return Outcome(requests, problems, "0", f"at most {most} in flight on an endpoint")


def empty_answer(run):
    """Every instance fails its check at one moment and passes again 2 s later, as after a hiccup of the catalog's own: no answer
    that nobody asked for may empty the pool at once (empty_hold)."""
    with run.world("empty") as world:
        light = world.light()
        names = register_light(world, light, 3)
        world.wait_ready(3)
        load = world.load(rate=200, mix="get=80,post=20")
        for _ in range(run.pick(1, 10)):
            time.sleep(0.5)
            for name in names:
                world.api.set_check(name, "critical")
            time.sleep(2)
            for name in names:
                world.api.set_check(name, "passing")
            time.sleep(0.5)
        requests, problems = world.finish(load)
        return Outcome(requests, problems, "0")


ALL = [
    Scenario("scale", scale), Scenario("scale-hold", scale_hold), Scenario("replace", replace_all), Scenario("same-address", same_address),
    Scenario("flapping", flapping), Scenario("empty", empty_answer), Scenario("storm", storm), Scenario("churn", churn), Scenario("limits", limits, needs_long=("consul",)),
]
