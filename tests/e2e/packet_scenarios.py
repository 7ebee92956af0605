"""What is done to the stack with packet delivery (deploy/compose.packet.yaml) under load, and what may fail then. A connection belongs to
one web container for its life: nobody can send a request again elsewhere. Each scenario is as in scenarios.py. Expected to fail:

scale               nothing, and no keep-alive connection is closed under a request: a container drains until its connections have ended.
kill of a container what was in flight on it and what begins before its death is known. Nothing else.
kill of the         nothing, and no connection: the kernel goes on, with new connections too.
dataplane, control
plane
"""
import hashlib
import json
import time
import urllib.request

import ringway_client as rw
import scenarios
import stack as stack_module
from scenarios import Run, must_be_flawless, row

# The lease of a killed container's sidecar ends at once; what began before may wait for its time-out.
AFTERMATH_SECONDS = 5.0


def kernel_delivers(stack, _folder):
    """The programs are there with three capabilities and no privileges, and each request was theirs."""
    state = stack.inspect(stack.balancer()[0])["HostConfig"]
    if state["Privileged"] or sorted(state["CapAdd"]) != ["BPF", "NET_ADMIN", "PERFMON"]:
        raise rw.GaveUp(f"the balancer has more than it needs: privileged {state['Privileged']}, {state['CapAdd']}")
    packet = rw.wait_until(lambda: stack.stats.json()["packet"], 10, "packet delivery in the statistics")
    if not packet["active"] or packet["trouble"] or not packet["interfaces"][0]["how"]:
        raise rw.GaveUp(f"packet delivery: {packet}")
    for _ in range(5):
        scenarios.published_ports(stack, _folder)
    rw.wait_until(lambda: kernel_flows(stack) >= 5, 10, "the requests to be the kernel's")


def kernel_flows(stack):
    return next(s for s in stack.stats.json()["services"] if s["name"] == "web")["packet"]["flows_opened"]


def bulk(stack, _folder):
    """What arrives is what was sent, and many connections at a time live."""
    url = f"http://127.0.0.1:{stack.ports['http']}/big.php?bytes=50000000"
    for _ in range(3):
        _, headers, body = rw.get(url, timeout=60)
        if hashlib.sha256(body).hexdigest() != headers["X-Content-SHA256"]:
            raise rw.GaveUp(f"{len(body)} bytes of {url} are not those that were sent")


UDP_SERVER = """$s = stream_socket_server("udp://0.0.0.0:%d", $e, $m, STREAM_SERVER_BIND);
while (true) { $d = stream_socket_recvfrom($s, 65536, 0, $peer); stream_socket_sendto($s, gethostname() . ":" . hash("sha256", $d), 0, $peer); }"""
UDP_CLIENT = """for ($i = 0; $i < 90; $i++) {
  $s = stream_socket_client("udp://ringway:%d"); stream_set_timeout($s, 2);
  $d = random_bytes(1 + $i * 40); fwrite($s, $d);
  $a = explode(":", (string)fread($s, 4096)); echo ($a[1] ?? "") === hash("sha256", $d) ? $a[0] : "lost", "\n"; }"""


def php(stack, *options, code):
    """A container of the web image in the stack's network that runs this; what it printed, or with -d its id."""
    return stack.docker("run", "--rm", "--network", f"{stack_module.PROJECT}_default", *options, "--entrypoint", "php",
                        stack.environment["RINGWAY_WEB_IMAGE"], "-r", code % stack_module.UDP_PORT).split()


def agent(stack, path, body=None):
    request = urllib.request.Request(f"{stack.catalog.url}/v1/agent/service/{path}", method="PUT", data=json.dumps(body or {}).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def ready_for_udp(stack):
    return [e["id"] for s in stack.stats.json()["services"] if s["name"] == "udp" for e in s["endpoints"] if e["state"] == "ready"]


def datagrams(stack, _folder):
    """A UDP service of two containers, asked by a third: small questions and some of three fragments; then one leaves."""
    made = []
    try:
        for number in range(2):
            made += php(stack, "-d", code=UDP_SERVER)
            address = next(iter(stack.inspect(made[-1])["NetworkSettings"]["Networks"].values()))["IPAddress"]
            agent(stack, "register", {"ID": f"udp-{number}", "Name": "udp", "Address": address, "Port": stack_module.UDP_PORT})
        rw.wait_until(lambda: len(ready_for_udp(stack)) == 2, 10, "two endpoints of the UDP service")
        names = [container[:12] for container in made]
        if set(php(stack, code=UDP_CLIENT)) != set(names):
            raise rw.GaveUp(f"90 datagrams: not all were answered by {names}, or not by both")
        agent(stack, "deregister/udp-0")
        rw.wait_until(lambda: len(ready_for_udp(stack)) == 1, 10, "one to have left")
        seen = set(php(stack, code=UDP_CLIENT))
        if seen != {names[1]}:
            raise rw.GaveUp(f"90 datagrams after {names[0]} had left: {seen}, wanted {names[1]}")
    finally:
        for container in made:
            stack.docker("rm", "-f", container, check=False)
        agent(stack, "deregister/udp-1")


def client_address(stack, _folder):
    """Apache sees the balancer, said plainly in docs/operating/packet.md."""
    address = stack.balancer()[1]
    container = next(iter(stack.containers("web")))
    rw.get(f"http://127.0.0.1:{stack.ports['http']}/?who-is-it")
    seen = [line.split()[0] for line in stack.docker("logs", container).splitlines() if "?who-is-it" in line]
    if seen != [address]:
        raise rw.GaveUp(f"Apache saw {seen}, wanted [{address}], the balancer")


def scale(stack, folder):
    """1, 5, 2, 3 while it serves, long answers among it."""
    return scenarios.scale(stack, folder, (1, 5, 2, 3), "packet: scale", "get=73,post=17,big=7,slow=3")


def kill_container(stack, folder):
    """SIGKILL of one web container: nobody says goodbye, its network is gone with it."""
    with Run(stack, folder, "packet-kill-container") as run:
        run.wait_seen(stack.containers("web"))
        run.settle(2)
        victim = sorted(stack.containers("web"))[0]
        killed = time.monotonic()
        stack.docker("kill", "-s", "KILL", victim)
        killed_at = scenarios.since_load_began(run, killed)
        stack.wait_agreement(2)
        gone = time.monotonic() - killed
        run.settle(AFTERMATH_SECONDS + 2)
        report = run.load.finish()
    for seconds, kind, _, endpoint, sample in scenarios.failures(report):
        if endpoint not in (victim, "", None) or not killed_at - 1 <= seconds <= killed_at + AFTERMATH_SECONDS:
            raise rw.GaveUp(f"kill of {victim} at {killed_at:.1f} s: a failure elsewhere or at another time: {kind} {sample}")
    stack.scale(3)
    stack.wait_agreement(3)
    return row("packet: docker kill -s KILL of a web container", report, "on it", f"out of the pool after {gone:.1f} s")


def kill_program(stack, folder, program):
    """kill -9 of a program of the balancer: its connections live on in the kernel."""
    with Run(stack, folder, f"packet-kill-{program}") as run:
        run.wait_seen(stack.containers("web"))
        killed = time.monotonic()
        old = stack.kill_in_balancer(program)
        rw.wait_until(lambda: set(stack.pids(program)) - set(old), 30, f"another {program}")
        stack.wait_agreement(3)
        back = time.monotonic() - killed
        run.wait_seen(stack.containers("web"))
        run.settle()
        report = run.load.finish()
    must_be_flawless(report, f"kill -9 of {program}")
    return row(f"packet: kill -9 of {program}", report, "0", f"back and agreeing after {back:.1f} s")


def kill_dataplane(stack, folder):
    return kill_program(stack, folder, "ringway-dataplane")


def kill_controlplane(stack, folder):
    return kill_program(stack, folder, "ringway-controlplane")


ALL = [("kernel-delivers", kernel_delivers), ("client-address", client_address), ("bulk", bulk), ("datagrams", datagrams), ("scale", scale), ("kill-container", kill_container),
       ("kill-dataplane", kill_dataplane), ("kill-controlplane", kill_controlplane), ("stop", scenarios.stop)]
