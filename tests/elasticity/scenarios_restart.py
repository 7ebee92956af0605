"""Ringway's own parts and the catalog end, hang, lie and come back."""
import os
import time

import paths  # noqa: F401  adds tests/support
import ringway_client as rw
from judge import EXPECT_KILL, Allowed, lost_in_flight
from table import Outcome, Scenario

DATAPLANE_BACK_SECONDS = 2.0  # `ringway up` starts it again after 100 ms


def kill_control(run):
    """kill -9 of the control plane (and with it of the embedded catalog), twice; scaling works as soon as it is back."""
    with run.world("kill-control") as world:
        endpoints = world.start(2)
        load = world.load()
        for _ in range(run.pick(2, 10)):
            time.sleep(0.5)
            world.control.kill()
            time.sleep(1.0)
            world.control.start()
            endpoints += world.start(1)
            endpoints.pop(0).stop()
        requests, problems = world.finish(load)
        return Outcome(requests, problems, "0")


def broken_by_the_kill(moments):
    """Connections that the dataplane held break, and nobody accepts until it is back."""
    kinds = ("reset", "closed", "short_body", "connect_refused", "connect_failed", "race")
    return [Allowed("the killed dataplane held it, or was not back yet",
                    lambda r: r.what in kinds and any(r.in_flight(begin - 0.01, end + 0.05) for begin, end in moments))]


def kill_data(run):
    """kill -9 of the dataplane under `ringway up`: only what it held and what came before it was back; it serves from its snapshot."""
    with run.world("kill-data", up=True) as world:
        world.start(3)
        load = world.load()
        moments = []
        for _ in range(run.pick(1, 10)):
            time.sleep(1)
            old = world.child("ringway-dataplane")
            begin = time.time()
            os.kill(old, 9)
            rw.wait_until(lambda old=old: world.child("ringway-dataplane") not in (0, old), 10, "another dataplane", interval=0.005)
            rw.wait_until(lambda: rw.get(world.http_url)[0] == 200, 10, "the new dataplane to serve", interval=0.005)
            moments.append((begin, time.time()))
            time.sleep(2)
        requests, problems = world.finish(load, broken_by_the_kill(moments))
        longest = max(end - begin for begin, end in moments)
        if longest > DATAPLANE_BACK_SECONDS:
            problems.append(f"the dataplane served again after {longest:.2f} s, wanted {DATAPLANE_BACK_SECONDS} s")
        return Outcome(requests, problems, "what it held, and refused until it is back; else 0", f"back after {longest * 1e3:.0f} ms")


def kill_up(run):
    """kill -9 of `ringway up` itself: its children end in order, and the next `ringway up` serves."""
    with run.world("kill-up", up=True) as world:
        world.start(2)
        load = world.load()
        moments = []
        for _ in range(run.pick(1, 5)):
            time.sleep(1)
            begin = time.time()
            world.up.kill()
            world.up.start()
            rw.wait_until(lambda: world.up.alive() and world.child("ringway-dataplane") and rw.get(world.http_url)[0] == 200, 30,
                          "the next `ringway up` to serve", interval=0.01)
            moments.append((begin, time.time()))
            world.start(1)
        requests, problems = world.finish(load, broken_by_the_kill(moments))
        return Outcome(requests, problems, "refused until it is back; else 0", f"back after {max(e - b for b, e in moments) * 1e3:.0f} ms")


def kill_both(run):
    """kill -9 of control plane and dataplane, in both orders; the dataplane comes back first and serves alone from its kept snapshot."""
    with run.world("kill-planes") as world:
        world.start(2)
        load = world.load()
        moments = []
        for first, second in [(world.control, world.data), (world.data, world.control)] * run.pick(1, 5):
            time.sleep(1)
            begin = time.time()
            first.kill()
            second.kill()
            world.data.start()
            rw.wait_until(lambda: rw.get(world.http_url)[0] == 200, 10, "the dataplane to serve without a control plane", interval=0.005)
            moments.append((begin, time.time()))
            time.sleep(0.7)
            world.control.start()
            world.start(1)  # and the control plane takes up its work
        requests, problems = world.finish(load, broken_by_the_kill(moments))
        return Outcome(requests, problems, "what they held, and refused until back; else 0",
                       f"serves alone after {max(e - b for b, e in moments) * 1e3:.0f} ms")


def freeze_control(run):
    """The control plane hangs (SIGSTOP), the embedded catalog with it, while an endpoint is stopped and another dies; then goes on."""
    with run.world("freeze-control") as world:
        endpoints = world.start(3)
        load = world.load()
        time.sleep(0.5)
        world.control.freeze()
        killed = time.time()
        endpoints[2].kill_all()
        time.sleep(run.pick(4, 60))
        world.control.thaw()
        world.start(1)
        time.sleep(1)
        requests, problems = world.finish(load, lost_in_flight(endpoints[2].name, killed, killed))
        return Outcome(requests, problems, EXPECT_KILL)


def consul_fault(mode):
    def play(run):
        with run.world(f"consul-{mode}") as world:
            gate = run.catalog.gate
            endpoints = world.start(2)
            load = world.load()
            try:
                time.sleep(0.5)
                gate.set(mode)
                asked = gate.requests
                fault = run.pick(2.5, 60)
                time.sleep(fault)
                new = world.apache().start()  # registers with Consul itself; seen when the gate is well again, or through "slow"
                time.sleep(1)
                asked = gate.requests - asked
                told = world.stats.json().get("catalog", {})
            finally:
                gate.set("pass")
            healed = time.time()
            world.wait_serving([new])
            healed = time.time() - healed
            endpoints[0].stop()
            time.sleep(0.5)
            requests, problems = world.finish(load)
            if asked > (fault + 1) * 20:
                problems.append(f"{asked} requests to a failing Consul in {fault + 1} s: it spins")
            if mode in ("refuse", "error", "garbage", "truncate") and told.get("up") is not False:
                problems.append(f"the stats do not tell of it: {told}")
            return Outcome(requests, problems, "0", f"{asked} queries meanwhile, healed after {healed:.2f} s")
    return play


def kill_consul(run):
    """kill -9 of Consul itself, with registrations and TTL updates of sidecars on their way; it comes back with its data."""
    with run.world("consul-kill") as world:
        endpoints = world.start(2)
        load = world.load()
        for _ in range(run.pick(1, 5)):
            time.sleep(0.5)
            run.catalog.process.kill()
            time.sleep(run.pick(2, 20))
            run.catalog.start()
            endpoints += world.start(1)
            endpoints.pop(0).stop()
        time.sleep(0.5)
        requests, problems = world.finish(load)
        return Outcome(requests, problems, "0")


ALL = [
    Scenario("kill-control", kill_control), Scenario("kill-data", kill_data), Scenario("kill-planes", kill_both), Scenario("kill-up", kill_up),
    Scenario("freeze-control", freeze_control),
    *(Scenario(f"catalog-{mode}", consul_fault(mode), catalogs=("consul",)) for mode in
      ("refuse", "hang", "slow", "error", "garbage", "truncate", "backwards")),
    Scenario("catalog-kill", kill_consul, catalogs=("consul",)),
]
