"""What all contenders share: settings, files, start and end, and which of their processes are the proxy."""
import os
import socket
from dataclasses import dataclass, field
from itertools import cycle

from l4 import spaces
from processes import Process, children, rss_kib

ORIGIN_PORT = 9000
RANGE_ADDRESS, RANGE_FIRST = "127.0.0.2", 10240


@dataclass(frozen=True)
class Settings:
    """What a row asks of every contender; features are the same for all."""

    protocol: str = "http"
    workers: int = 1
    log: bool = False
    endpoints: int = 1
    defer_accept: bool = False
    check_interval: int = 2  # seconds between two health checks of an endpoint
    tuning: tuple = ()       # HAProxy's settings beyond its defaults: reuse, buffers, splice
    listen: str = "127.0.0.1"
    at: tuple = ()           # addresses of endpoints that are elsewhere

    def addresses(self):
        """(address, port) of each endpoint."""
        if self.at:
            return [(address, ORIGIN_PORT) for address in self.at]
        if self.endpoints == 1:
            return [("127.0.0.1", ORIGIN_PORT)]
        return [(RANGE_ADDRESS, RANGE_FIRST + n) for n in range(self.endpoints)]

    def features(self):
        """In words, for the report."""
        if self.protocol == "udp":
            return "log off, stats on"
        if self.protocol == "tcp":
            return f"log off, stats on, health checks (connect) every {self.check_interval} s"
        return (f"access log {'on' if self.log else 'off'}, {'deferred accepts, ' if self.defer_accept else ''}stats on, health checks (connect) every {self.check_interval} s, "
                "X-Forwarded-For, -Port and -Proto set")


def free_ports():
    """Ports of loopback that nobody listens on, from a range that is not the one clients' ports come from."""
    for port in cycle(range(8000, 9000)):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


@dataclass
class Place:
    """Where contenders run: folders, CPUs, and the folder of newer releases (or none)."""

    work: str
    bin: str
    cpus: object
    chroot: str = None
    open_files: int = 1024
    network: str = ""
    net: object = None     # of a row of layer 4: its namespaces (l4/network.py)
    origin: object = None  # and the process that is its endpoints
    softirq: object = None  # run time of the ksoftirqd of that row's CPU
    ports: object = field(default_factory=free_ports)


class Contender:
    name = label = None
    uses_chroot = xdp_ready = tracks = False  # `tracks`: needs the kernel's connection tracking

    def __init__(self, place, settings, key):
        self.place, self.settings, self.key, self.process = place, settings, key, None
        self.port, self.stats_port, self.catalog_port = (next(place.ports) for _ in range(3))
        self.folder = os.path.join(place.work, f"{self.name}-{self.port}")
        self.root = place.chroot if self.uses_chroot else None
        # What the program itself calls this folder.
        self.seen = self.folder.replace(place.work, "/mnt", 1) if self.root else self.folder
        self.proxies, self.aside = [], []

    @classmethod
    def missing(cls, place, settings):
        """Why this contender cannot do it, or ''."""
        return ""

    @classmethod
    def files_wanted(cls, settings, active, idle):
        """Open files with so many connections: idle ones hold no upstream, each endpoint may have one, and some its check."""
        return 2 * active + idle + settings.endpoints + min(settings.endpoints, 1000) + 200

    def config(self):
        """{file name: text}; the first is the one it is started with."""
        return {}

    def command(self):
        raise NotImplementedError

    def sort_processes(self):
        """Fills `proxies` (their CPU is what counts) and `aside` (counted apart)."""
        self.proxies = [self.process.pid]

    def start(self):
        os.makedirs(self.folder)
        for name, text in self.config().items():
            with open(os.path.join(self.folder, name), "w") as f:
                f.write(text)
        net = self.place.net
        self.process = Process(self.command(), self.place.cpus.proxy(self.settings.workers),
                               os.path.join(self.folder, "output"), self.root, netns=net and net.balancer)
        self.wait()
        self.sort_processes()

    def wait(self):
        net = self.place.net
        self.process.wait_for(self.port, self.settings.listen, self.settings.protocol, space=net and net.client)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def target(self):
        return f"{self.settings.listen}:{self.port}"

    def children(self):
        return children(self.process.pid)

    def remarks(self):
        """What the report has to say of it after its rounds; [] as a rule."""
        return []

    def rss_kib(self):
        return rss_kib(self.proxies)
