"""What is done to the stack under load, and what may fail then. Each scenario returns a row of the table and raises GaveUp
when an expectation is not met. What is expected to fail, and why:

scale               nothing, and no keep-alive connection is closed under a request: an instance drains before Apache is told.
kill of a container only what cannot be sent again elsewhere: a request that is not idempotent (POST) and was in flight on the
                    killed instance, or any whose response had begun. Nothing else, and nothing once the kill is a moment ago.
kill of the         nothing: the dataplane goes on with what it knows.
control plane
kill of the         the connections it held break, and connects are refused until it is back. Later requests are fine and
dataplane           reach every instance.
"""
import os
import time

import ringway_client as rw
from stack import COMPOSE

LOAD_RATE = 120
MIX = "get=75,post=18,big=7"
SETTLE_SECONDS = 4.0
# After a kill: in flight requests may take this long to fail (connect time-out 2 s, twice, and the service's return).
AFTERMATH_SECONDS = 10.0


class Run:
    """One load over the balancer's own address: a published port would put Docker's proxy between."""

    def __init__(self, stack, folder, name, mix=MIX):
        self.stack = stack
        address = stack.balancer()[1]
        self.load = rw.Load(rw.program_path("ringway-load"), f"http://{address}/", os.path.join(folder, f"{name}.json"),
                            rate=LOAD_RATE, connections=12, new_connections=0.3, mix=mix, extra=["--samples", "10000"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.load.kill()

    def wait_seen(self, names, timeout=20):
        """Until each of these instances has answered a request from now on."""
        before = dict(self.load.counts()["endpoints"])
        rw.wait_until(lambda: all(self.load.counts()["endpoints"].get(n, 0) > before.get(n, 0) for n in names), timeout,
                      f"requests answered by {sorted(names)}")

    def settle(self, seconds=SETTLE_SECONDS):
        time.sleep(seconds)
        self.load.counts()  # raises when the load has died


def row(name, report, expected, note=""):
    return [name, report["requests"], report["failed"], report["keepalive"]["races"], expected, len(report["endpoints"]),
            f"{report['latency_ms']['p50']:.1f}", f"{report['latency_ms']['p99']:.1f}", note]


def must_be_flawless(report, what):
    lines = rw.describe_failures(report)
    if report["failed"] or report["keepalive"]["races"]:
        raise rw.GaveUp(f"{what}: {report['failed']} of {report['requests']} requests failed:\n" + "\n".join(lines))
    if report["requests"] == 0:
        raise rw.GaveUp(f"{what}: no request was sent")


def failures(report):
    """Every failed request as (seconds, failure kind, method, endpoint, sample)."""
    for kind, entry in report["failures"].items():
        if entry["count"] != len(entry["samples"]):
            raise rw.GaveUp(f"{entry['count']} x {kind}: more than the report tells one by one")
        for sample in entry["samples"]:
            yield sample["t"], kind, sample["request"].split()[0], sample["endpoint"], sample


def scale(stack, folder, counts=(1, 5, 1, 3), name="scale", mix=MIX):
    """From one number to the next while it serves."""
    what = f"{name} {', '.join(map(str, counts))}"
    everyone, took = set(), []
    with Run(stack, folder, name.replace(": ", "-"), mix) as run:
        for count in counts:
            begin = time.monotonic()
            stack.scale(count)
            stack.wait_agreement(count)
            took.append(f"{count}: {time.monotonic() - begin:.1f} s")
            now = set(stack.containers("web"))
            everyone |= now
            run.wait_seen(now)
            run.settle()
        report = run.load.finish()
    must_be_flawless(report, what)
    if set(report["endpoints"]) != everyone:
        raise rw.GaveUp(f"instances that answered {sorted(report['endpoints'])}, containers {sorted(everyone)}")
    return row(what, report, "0", "; ".join(took))


def published_ports(stack, _folder):
    """What a user opens in a browser: the published ports, through Docker's own forwarding."""
    status, headers, _ = rw.get(f"http://127.0.0.1:{stack.ports['http']}/")
    names = set(stack.containers("web"))
    if status != 200 or headers.get("X-Served-By") not in names:
        raise rw.GaveUp(f"port {stack.ports['http']}: {status}, served by {headers.get('X-Served-By')}, wanted one of {names}")
    for path in ("/haproxy_stats", "/haproxy_stats;csv", "/metrics", "/stats.json"):
        status, _, body = rw.get(stack.stats.url + path, user="admin", password="admin")
        if status != 200 or not body:
            raise rw.GaveUp(f"{path}: status {status}, {len(body)} bytes")
    status, _, _ = rw.get(stack.stats.url + "/haproxy_stats")
    if status != 401:
        raise rw.GaveUp(f"/haproxy_stats without a password: status {status}, wanted 401")
    return None


def kill_container(stack, folder):
    """SIGKILL of one web container: nobody deregisters it."""
    stack.scale(3)
    stack.wait_agreement(3)
    with Run(stack, folder, "kill-container", mix="get=70,post=20,big=7,slow=3") as run:
        run.wait_seen(stack.containers("web"))
        run.settle(2)
        victim = sorted(stack.containers("web"))[0]
        killed = time.monotonic()
        stack.docker("kill", "-s", "KILL", victim)
        killed_at = since_load_began(run, killed)
        stack.wait_agreement(2)
        gone = time.monotonic() - killed
        run.settle()
        report = run.load.finish()
    for seconds, kind, method, endpoint, sample in failures(report):
        begun = kind == "short_body" and endpoint == victim
        if not (method == "POST" or begun):
            raise rw.GaveUp(f"kill of {victim}: a request failed that could have gone elsewhere: {kind} {sample}")
        if not killed_at - 1 <= seconds <= killed_at + AFTERMATH_SECONDS:
            raise rw.GaveUp(f"kill of {victim} at {killed_at:.1f} s: a failure at another time: {kind} {sample}")
    stack.scale(3)
    stack.wait_agreement(3)
    return row("docker kill -s KILL of a web container", report, "POST or begun", f"out of the pool after {gone:.1f} s")


def kill_controlplane(stack, folder):
    """kill -9 of the control plane: `ringway up` starts it again, the catalog is as it was, scaling works."""
    with Run(stack, folder, "kill-controlplane") as run:
        run.wait_seen(stack.containers("web"))
        dataplane = stack.pids("ringway-dataplane")
        killed = time.monotonic()
        old = stack.kill_in_balancer("ringway-controlplane")
        rw.wait_until(lambda: set(stack.pids("ringway-controlplane")) - set(old), 30, "another control plane")
        stack.wait_agreement(3)
        back = time.monotonic() - killed
        stack.scale(4)
        stack.wait_agreement(4)
        run.wait_seen(stack.containers("web"))
        stack.scale(3)
        stack.wait_agreement(3)
        run.settle()
        report = run.load.finish()
    must_be_flawless(report, "kill -9 of the control plane")
    if stack.pids("ringway-dataplane") != dataplane:
        raise rw.GaveUp("the dataplane was started again with the control plane")
    return row("kill -9 of the control plane", report, "0", f"back and agreeing after {back:.1f} s")


def kill_dataplane(stack, folder):
    """kill -9 of the dataplane: what it held breaks, then all is well again."""
    with Run(stack, folder, "kill-dataplane") as run:
        run.wait_seen(stack.containers("web"))
        controlplane = stack.pids("ringway-controlplane")
        killed = time.monotonic()
        old = stack.kill_in_balancer("ringway-dataplane")
        killed_at = since_load_began(run, killed)
        rw.wait_until(lambda: set(stack.pids("ringway-dataplane")) - set(old), 30, "another dataplane")
        stack.wait_agreement(3)
        run.wait_seen(stack.containers("web"))
        run.settle()
        report = run.load.finish()
    last = max((seconds for seconds, *_ in failures(report)), default=killed_at)
    for seconds, kind, _, _, sample in failures(report):
        if not killed_at - 1 <= seconds <= killed_at + AFTERMATH_SECONDS:
            raise rw.GaveUp(f"kill of the dataplane at {killed_at:.1f} s: a failure at another time: {kind} {sample}")
        if kind in ("wrong_checksum", "bad_response", "status"):
            raise rw.GaveUp(f"kill of the dataplane: not a broken or refused connection: {kind} {sample}")
    if stack.pids("ringway-controlplane") != controlplane:
        raise rw.GaveUp("the control plane was started again with the dataplane")
    return row("kill -9 of the dataplane", report, "held, refused", f"last failure {max(0.0, last - killed_at):.1f} s after the kill")


def mounts(stack, _folder):
    """Nobody holds the engine's socket: instances register themselves."""
    for service in ("ringway", "web"):
        for container in stack.containers(service):
            held = [mount["Source"] for mount in stack.inspect(container)["Mounts"] if mount["Source"].endswith("docker.sock")]
            if held:
                raise rw.GaveUp(f"{service} {container} has {held}")
    return None


def seccomp(stack, _folder):
    """Without `privileged`: with the shipped profile it serves; with the engine's own, where that denies io_uring, it says so."""
    profile = os.path.join(os.path.dirname(COMPOSE), "seccomp-ringway.json")

    def run(options, words, happened):
        container = stack.docker("run", "-d", *options, stack.environment["RINGWAY_IMAGE"]).strip()
        try:
            address = stack.inspect(container)["NetworkSettings"]["IPAddress"]
            rw.wait_until(lambda: happened(container, f"http://{address}:9000/ready"), 30, words)
        finally:
            stack.docker("rm", "-f", container)

    def serves(_container, url):
        return rw.get(url)[0] == 200

    def told(container, url):
        return "io_uring is refused here" in stack.docker_output("logs", container) or serves(container, url)

    run(["--security-opt", f"seccomp={profile}"], "service under deploy/seccomp-ringway.json", serves)
    run([], "a word about io_uring, or service, under the engine's own profile", told)
    return None


def stop(stack, _folder):
    """`docker compose stop`: everything ends in order and with 0."""
    stack.compose("stop", timeout=150)
    for service in ("web", "ringway"):
        for container in stack.containers(service, everything=True):
            state = stack.inspect(container)["State"]
            if state["ExitCode"] != 0 or state["OOMKilled"]:
                raise rw.GaveUp(f"{service} {container} ended with {state['ExitCode']}:\n{stack.docker('logs', '--tail', '30', container)}")
    return None


def since_load_began(run, moment):
    """A monotonic time of ours as seconds of the load's own clock, to a tenth of a second."""
    return run.load.counts()["t"] - (time.monotonic() - moment)


ALL = [("scale", scale), ("published-ports", published_ports), ("kill-container", kill_container),
       ("kill-controlplane", kill_controlplane), ("kill-dataplane", kill_dataplane), ("mounts", mounts), ("seccomp", seccomp), ("stop", stop)]
