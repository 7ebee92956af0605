"""What the catalog must not do to its users: keep ghosts, stumble over names that come back, cut requests at a reload, need a file."""
import os
import subprocess
import time

import paths
import ringway_client as rw
from judge import EXPECT_KILL, judge, lost_in_flight, read_records
from table import Outcome, Scenario, named


def ghost(run):
    """kill -9 of two of six, sidecar and server: gone from the catalog in seconds, without anyone tidying up."""
    top = {"catalog": {"lease": {"timeout": "1s", "deregister_after": "2s"}}} if run.catalog.name == "embedded" else {}
    with run.world("ghost", top=top) as world:
        pool = [world.origin(sidecar_options=("--deregister-after", "3s", "--ttl", "2s")).start() for _ in range(6)]
        world.wait_ready(6)
        load = world.load(rate=150, mix="get=80,post=20")
        time.sleep(0.5)
        begin = time.time()
        for victim in pool[:2]:
            victim.kill_all()
        end = time.time()
        rw.wait_until(lambda: len(world.api.catalog.instances(world.service)) == 4, 10 if run.catalog.name == "embedded" else 120, "the killed instances to leave the catalog")
        gone = time.time() - begin
        requests, problems = world.finish(load, lost_in_flight(None, begin, end))
        return Outcome(requests, problems, EXPECT_KILL, f"out of the catalog after {gone:.1f} s")


def same_name(run):
    """A container is killed and comes back under its name with another address: no conflict, the newest registration wins at once."""
    with run.world("same-name") as world:
        keeper, old = [world.origin().start() for _ in range(2)]
        world.wait_ready(2)
        load = world.load(rate=150, mix="get=80,post=20")
        moments, problems, took = [], [], []
        for _ in range(run.pick(3, 30)):
            time.sleep(0.4)
            begin = time.time()
            old.kill_all()
            moments.append((begin, time.time()))
            new = world.origin()
            new.sidecar.environment["RINGWAY_INSTANCE"] = "the-same"
            registered = time.time()
            new.start()
            where = f"{new.address}:{new.port}"
            rw.wait_until(lambda where=where: world.states().get(where) == "ready", 20, f"{where} to be ready", interval=0.01)
            took.append(time.time() - registered)
            old = new
        ids = [i["id"] for i in world.api.catalog.instances(world.service)]
        if len(ids) != len(set(ids)) or sum("the-same" in identity for identity in ids) != 1:
            problems.append(f"the name is there more than once, or not: {ids}")
        requests, more = world.finish(load, [rule for begin, end in moments for rule in lost_in_flight(None, begin, end)])
        return Outcome(requests, problems + more, EXPECT_KILL, f"ready {max(took) * 1e3:.0f} ms after its start at most")


def reload(run):
    """`ringway reload` of a changed file, again and again, with requests of 1.5 s in flight; and a file that is wrong."""
    with run.world("reload") as world:
        world.start(2, start_servers=40)
        load = world.load(rate=100, connections=64, mix="get=70,post=20,slow=10", extra=("--slow-ms", "1500"))
        problems = []
        for number in range(run.pick(10, 200)):
            world.config["services"][world.service]["balance"] = ("round_robin", "least_requests", "random_of_two")[number % 3]
            world.write_config()
            done = world.command("reload")
            if done.returncode != 0:
                problems.append(f"reload {number + 1}: {done.returncode}: {done.stderr}")
            time.sleep(0.2)
        with open(world.config_path, "w") as out:
            out.write('{ "listeners": [ { "nam')
        done = world.command("reload")
        if done.returncode != 78:
            problems.append(f"reload of a broken file: {done.returncode}, wanted 78")
        time.sleep(1)
        requests, more = world.finish(load)
        return Outcome(requests, problems + more, "0")


# Runs in a network and mount namespace of its own: the built-in addresses are free there, and /var/lib and /run are empty.
NO_CONFIG = """
mount -t tmpfs none /var/lib && mount -t tmpfs none /run && ip link set lo up || exit 3
"$1/ringway" up & up=$!
"$1/ringway-origin" --port 8081 & origin=$!
trap 'kill $up $origin; wait' EXIT
for try in $(seq 100); do curl -fs -o /dev/null http://127.0.0.1:8500/v1/status/leader && break; sleep 0.1; done
curl -fsS -X PUT -d '{"Name": "web", "Address": "127.0.0.1", "Port": 8081}' http://127.0.0.1:8500/v1/agent/service/register || exit 4
for try in $(seq 100); do curl -fs -o /dev/null http://127.0.0.1/ && break; sleep 0.05; done
"$1/ringway-load" --url http://127.0.0.1/ --rate 200 --duration 2 --new-connections 0.3 --record "$2" --json /dev/null
exit 0
"""


def no_config(run):
    """`ringway up` with no file at all, a service registered with one curl: it balances on port 80."""
    begin = time.monotonic()
    record = os.path.join(run.folder, "no-config.record")
    binaries = os.path.dirname(paths.program("ringway"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RINGWAY") and not k.lower().endswith("_proxy")}
    done = subprocess.run(["unshare", "-n", "-m", "bash", "-c", NO_CONFIG, "no-config", binaries, record], capture_output=True, text=True,
                          timeout=60, check=False, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise rw.GaveUp(f"no-config: {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    requests = list(read_records(record))
    problems = judge(requests, [])
    if len(requests) < 300:
        problems.append(f"{len(requests)} requests, wanted 400")
    return Outcome(requests, problems, "0", f"served {time.monotonic() - begin:.1f} s after nothing was there")


ALL = [
    Scenario("ghost", ghost, needs_long=("consul",)), Scenario("same-name", same_name), Scenario("reload", reload, needs_long=("consul",)),
    Scenario("no-config", no_config, catalogs=("embedded",), needs=named("root", "unshare", "curl")),
]
