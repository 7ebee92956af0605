"""The rows of layer 4. Each is measured over every way there is for it; l4/measure.py says how."""
from contenders.base import Settings
from l4.network import ENDPOINTS, FRONT

WAYS = ("direct", "direct-xdp", "packet-tc", "packet-tc-transparent", "packet-xdp", "connect", "dnat", "ringway", "haproxy", "nginx")
GROUP = "Layer 4: the whole machine's CPU, with softirq"
NOTE = ("client, balancer and endpoints on one CPU that never waits, each in a network namespace; what is told is the machine's time less "
        "that of the way without a balancer (packet-xdp: the same with XDP on). Only the DNAT rule has the kernel's connection tracking on, looked at in each round")


def settings(protocol):
    return Settings(protocol=protocol, listen=FRONT, at=ENDPOINTS)


def rows(Row):  # noqa: N803 - the class, which is in the file that needs these
    def row(name, title, protocol, connections, *load, tcp=(), **more):
        return Row(name, title, GROUP, load=("--connections", str(connections), *load), settings=settings(protocol), tcp=tcp,
                   **{"best": (), "contenders": WAYS, "metric": "l4", "l4": True, "note": NOTE, **more})
    message = ("--tcp", "--request", "64", "--response", "64")
    bulk = ("--tcp", "--request", "64", "--response", str(1 << 20))
    return [
        row("l4-small", "TCP, 64 B each way on open connections", "tcp", 64, *message, tcp=message),
        row("l4-bulk", "TCP, 1 MB answers", "tcp", 16, *bulk, tcp=bulk, best=(("buffers",), ("splice",)), unit=1 << 20),
        row("l4-connections", "TCP, a connection for each request of 200 B", "tcp", 64, "--path", "/b/200", "--headers", "curl",
            "--new-connections"),
        row("l4-packets", "UDP, 64 B there and back", "udp", 64, "--udp", tcp=("--udp",)),
    ]
