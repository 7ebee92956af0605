"""Endpoints that end without a word, freeze, or leave with requests in flight."""
import signal
import time

import paths  # noqa: F401  adds tests/support
import ringway_client as rw
from judge import EXPECT_KILL, KILL_SECONDS, Allowed, lost_in_flight
from network import Namespace
from processes import alive, send
from table import Outcome, Scenario, named

def kill(run, how, name):
    with run.world(name) as world:
        endpoints = world.start(3)
        load = world.load(rate=150)
        out, moments = [], []
        for victim in endpoints[:run.pick(1, 3)]:
            time.sleep(0.7)
            begin = time.time()
            processes = victim.sidecar.tree()
            getattr(victim, how)()
            out.append(world.wait_out(victim) - begin)
            # Apache without its sidecar gets SIGTERM, and ends when it comes to that.
            rw.wait_until(lambda: not any(alive(pid) for pid in processes), 10, "the killed processes to be gone", interval=0.005)
            moments.append((victim, begin, time.time()))
            time.sleep(1)
            if run.long:
                world.start(1)
        allowed = [rule for victim, begin, end in moments for rule in lost_in_flight(victim.name, begin, end)]
        requests, problems = world.finish(load, allowed)
        for victim, _, end in moments:
            late = [r for r in requests if r.endpoint == victim.name and not r.failure and r.sent > end + 1]
            if late and how == "kill_all":
                problems.append(f"{victim.name} answered after it was killed: {late[0]}")
        return Outcome(requests, problems, EXPECT_KILL, f"out of rotation after {max(out) * 1e3:.0f} ms")


def kill_all(run):
    """kill -9 of one of three: sidecar and Apache together."""
    return kill(run, "kill_all", "kill-both")


def kill_many(run):
    """kill -9 of four of five at once: more than a request may be tried on (retries_max 2)."""
    with run.world("kill-many") as world:
        endpoints = world.start(5)
        load = world.load(rate=300)
        time.sleep(0.7)
        pids = [pid for victim in endpoints[:4] for pid in victim.sidecar.tree()]
        begin = time.time()
        send(pids, signal.SIGKILL)
        rw.wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the killed processes to be gone", interval=0.005)
        end = time.time()
        gone = world.wait_out(endpoints[0]) - begin
        time.sleep(1.5)
        thrice = Allowed("502: sent to three endpoints in a row that died with it (retries_max 2)",
                         lambda r: r.what == "502" and not r.post and r.in_flight(begin, end + KILL_SECONDS), at_most=6)
        requests, problems = world.finish(load, [*lost_in_flight(None, begin, end), thrice])
        return Outcome(requests, problems, "in flight there: 502 to POSTs, and to GETs that three of them took along; else 0", f"the first is out of rotation after {gone * 1e3:.0f} ms")


def kill_apache(run):
    """kill -9 of one of three: Apache alone; its sidecar sees it, deregisters and ends."""
    return kill(run, "kill_apache", "kill-apache")


def kill_sidecar(run):
    """kill -9 of one of three: the sidecar alone; Apache gets SIGTERM from the kernel."""
    return kill(run, "kill_sidecar", "kill-sidecar")


def kill_with_its_network(run):
    """As when a container is killed: processes and their address vanish together, nothing answers a connect any more."""
    with run.world("kill-network", settings={"timeouts": {"response": "3s"}}) as world:
        world.start(2)
        with Namespace(world) as namespace:
            victim = world.apache(namespace=namespace)
            victim.start()
            world.wait_serving([victim])
            load = world.load(rate=150)
            time.sleep(1.5)
            begin = time.time()
            victim.kill_all()
            namespace.close()
            gone = world.wait_out(victim) - begin
            time.sleep(3)
            allowed = lost_in_flight(victim.name, begin, begin + 0.3)
            allowed.append(Allowed("504: sent before the network went, no answer and no reset can come any more",
                                   lambda r: r.what == "504" and r.in_flight(begin, begin + 0.3)))
            requests, problems = world.finish(load, allowed)
            return Outcome(requests, problems, "502 to POSTs, 504 to what was in flight there, bodies cut; else 0", f"out of rotation after {gone * 1e3:.0f} ms")


def freeze(run):
    """SIGSTOP of one of three, sidecar and Apache; SIGCONT later."""
    settings = {"timeouts": {"response": "3s"}}
    with run.world("freeze", settings=settings) as world:
        endpoints = world.start(3)
        load = world.load(rate=100)
        time.sleep(1)
        begin = time.time()
        endpoints[0].freeze()
        gone = world.wait_out(endpoints[0])
        time.sleep(2.0)
        thawed = time.time()
        endpoints[0].thaw()
        world.wait_ready(3)
        world.wait_serving([endpoints[0]])
        time.sleep(1)
        allowed = [Allowed("504: given to the frozen endpoint before it left rotation, not answered within timeouts.response",
                           lambda r: r.what == "504" and r.in_flight(begin, gone + 0.1))]
        requests, problems = world.finish(load, allowed)
        # Round robin gave it a third of what began in that time, and it had something at the start.
        given = sum(r.in_flight(begin, gone + 0.1) for r in requests)
        if len(allowed[0].seen) > given / 3 + 20:
            problems.append(f"{len(allowed[0].seen)} x 504 of {given} requests: more than a third")
        return Outcome(requests, problems, "504 to what it had been given; else 0",
                       f"out of rotation after {gone - begin:.1f} s, frozen for {thawed - begin:.1f} s")


def drain_with_slow_requests(run):
    """5 s requests are in flight on an endpoint that is stopped: each ends well."""
    slow_ms = 5000
    with run.world("drain-slow") as world:
        endpoints = world.start(2, start_servers=50)
        load = world.load(rate=30, connections=200, new=0.3, mix="get=70,post=10,slow=20", extra=("--slow-ms", str(slow_ms)))
        ended = []
        for victim in endpoints[:run.pick(1, 2)]:
            time.sleep(2)
            begin = time.time()
            victim.stop()
            ended.append((victim, begin, time.time()))
            if run.long:
                world.start(1)
        time.sleep(0.5)
        requests, problems = world.finish(load)
        for victim, begin, end in ended:
            held = [r for r in requests if r.endpoint == victim.name and r.kind == "slow" and r.in_flight(begin)]
            late = [r for r in requests if r.endpoint == victim.name and r.sent > begin + 2.5]
            if not held:
                problems.append("no slow request was in flight when the endpoint was stopped: nothing was shown")
            if late:
                problems.append(f"{len(late)} requests went to it later than 2.5 s after its SIGTERM: {late[0]}")
            if run.catalog.name == "embedded":  # with a Consul Apache is told after --drain-grace, and its signal ends PHP's sleep
                problems.extend(f"cut or hurried: {r}" for r in held if r.ended - r.sent < slow_ms / 1e3)
        last = max(r.ended for r in requests if r.endpoint == ended[0][0].name)
        return Outcome(requests, problems, "0", f"the stop took {ended[0][2] - ended[0][1]:.1f} s, last answer {last - ended[0][1]:.1f} s after it began")


def drain_by_hand(run):
    """`ringway drain` and `ringway undrain`, under load: it says drained when nothing is in flight, and nothing is lost."""
    with run.world("drain-hand") as world:
        endpoints = world.start(2)
        load = world.load(rate=100)
        problems = []
        for _ in range(run.pick(2, 10)):
            time.sleep(0.5)
            where = f"{endpoints[0].address}:{endpoints[0].port}"
            done = world.command("drain", where, "--timeout", "10s")
            drained = time.time()
            if done.returncode != 0 or "is drained" not in done.stdout:
                problems.append(f"ringway drain: {done.returncode}: {done.stdout}{done.stderr}")
            time.sleep(0.7)
            back = time.time()
            done = world.command("undrain", where)
            if done.returncode != 0:
                problems.append(f"ringway undrain: {done.returncode}: {done.stderr}")
            world.wait_serving([endpoints[0]])
        requests, more = world.finish(load)
        between = [r for r in requests if r.endpoint == endpoints[0].name and drained < r.ended and r.sent < back]
        problems.extend(f"answered by the drained endpoint: {r}" for r in between[:3])
        return Outcome(requests, problems + more, "0", "")


ALL = [
    Scenario("kill-both", kill_all), Scenario("kill-many", kill_many), Scenario("kill-apache", kill_apache), Scenario("kill-sidecar", kill_sidecar),
    Scenario("kill-network", kill_with_its_network, needs=named("root")),
    Scenario("freeze", freeze), Scenario("drain-slow", drain_with_slow_requests), Scenario("drain-hand", drain_by_hand),
]
