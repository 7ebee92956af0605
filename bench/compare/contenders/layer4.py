"""The ways from client to endpoint that only layer 4 knows (rows of l4/rows.py)."""
import json
import os
import shutil
import time

from contenders.base import Contender
from contenders.ringway import Ringway
from l4 import spaces
from l4.network import BACK, ENDPOINTS, FRONT, PORT
from namespace import libc, mount
from processes import Failed


class Direct(Contender):
    """Routed through the balancer's machine, which looks at no connection: what all others are told beside."""

    name, label = "direct", "direct routing"

    @classmethod
    def version(cls, _place):
        return os.uname().release

    def start(self):
        pass

    def target(self):
        return ",".join(f"{address}:{PORT}" for address in ENDPOINTS)


class DirectXdp(Direct):
    """The same where all four ends of the veth pairs run XDP: what `packet-xdp` is told beside."""

    name, label, xdp_ready = "direct-xdp", "direct routing, XDP on", True

    def start(self):
        net = self.place.net
        for link in ("front", "back"):
            net.pass_all.attach(net.balancer, link)


class Dnat(Contender):
    name, label, tracks = "dnat", "DNAT rules", True

    @classmethod
    def missing(cls, place, settings):
        return "" if shutil.which("iptables") else "iptables is not installed (scripts/install-deps bench)"

    @classmethod
    def version(cls, _place):
        return spaces.run(None, "iptables", "-V").strip()

    def rules(self):
        """In turn, as kube-proxy spreads connections: of those that are left, each rule takes its share."""
        first = ["iptables", "-t", "nat", "-A", "PREROUTING", "-p", self.settings.protocol, "-d", FRONT, "--dport", str(self.port)]
        for number, address in enumerate(ENDPOINTS):
            every = ["-m", "statistic", "--mode", "nth", "--every", str(len(ENDPOINTS) - number), "--packet", "0"]
            yield [*first, *every, "-j", "DNAT", "--to-destination", f"{address}:{PORT}"]

    def config(self):
        return {"rules": "\n".join(" ".join(rule) for rule in self.rules())}

    def start(self):
        for rule in self.rules():
            spaces.run(self.place.net.balancer, *rule)
        # Else what ended in one round stands in the table of the next one.
        spaces.sysctl(self.place.net.balancer, "net/netfilter/nf_conntrack_tcp_timeout_time_wait", 5)


class InKernel(Ringway):
    """Ringway as a user runs it, with another `delivery`. A run in which the kernel did not deliver fails."""

    delivery, pins = None, None

    @classmethod
    def missing(cls, place, settings):
        return ""

    def document(self):
        found = super().document()
        found["listeners"][0]["delivery"] = self.delivery
        found["shutdown_timeout"] = "1s"
        if self.settings.protocol == "udp":
            del found["services"]["back"]["health_check"]  # there is no TCP to connect to
        return found

    def start(self):
        self.pins = f"{self.folder}-bpf"
        os.mkdir(self.pins)
        mount("bpf", self.pins, "bpf")
        super().start()
        end = time.monotonic() + 5
        while not self.delivers():
            if time.monotonic() > end:
                raise Failed(f"the kernel does not deliver: {self.process.words()}")
            time.sleep(0.1)

    def stop(self):
        super().stop()
        if self.pins:
            libc.umount2(self.pins.encode(), 2)


class PacketTc(InKernel):
    name, label, delivery = "packet-tc", "Ringway packet, tc", "packet"
    mode, nat, how = "tc", "nat", "tc"

    def document(self):
        found = super().document()
        found["packet"] = {"interfaces": [{"name": name, "mode": self.mode} for name in ("front", "back")], "nat": self.nat,
                           "pin_dir": os.path.join(self.pins, "ringway")}
        return found

    def delivers(self):
        packet = self.stats()["packet"]
        attached = [i["how"] for i in packet["interfaces"] if self.how in i["how"]]
        return packet["active"] and len(attached) == 2 and not packet["trouble"]


class PacketTransparent(PacketTc):
    name, label, nat = "packet-tc-transparent", "Ringway packet, tc, transparent", "transparent"


class PacketXdp(PacketTc):
    name, label, mode, how, xdp_ready = "packet-xdp", "Ringway packet, XDP", "xdp", "xdp (driver)", True


class Connect(InKernel):
    """The load is in a cgroup of its own, whose connects are led."""

    name, label, delivery = "connect", "Ringway connect", "connect"
    cgroup = None

    @classmethod
    def missing(cls, place, settings):
        return "" if version_two() else "no cgroup v2 file system is mounted"

    def document(self):
        found = super().document()
        found["connect"] = {"cgroups": [self.cgroup], "pin_dir": self.pins}
        return found

    def start(self):
        folder = version_two()
        forget_old(folder)
        self.cgroup = os.path.join(folder, f"{os.path.basename(self.place.work)}-{self.port}")
        os.mkdir(self.cgroup)
        super().start()

    def wait(self):
        if self.settings.protocol == "tcp":
            super().wait()
        else:  # nobody listens there
            self.process.wait_for(self.stats_port, space=self.place.net.balancer)

    def stop(self):
        super().stop()
        if self.cgroup:
            os.rmdir(self.cgroup)
            self.cgroup = None

    def delivers(self):
        """A connect from the cgroup arrives at an endpoint, from the client's own address: seen by the counter of those led."""
        def ask():
            with open(os.path.join(self.cgroup, "cgroup.procs"), "w") as f:
                f.write("0")
        try:
            spaces.ask_from(self.place.net.client, self.settings.listen, self.port, self.settings.protocol, ask)
        except OSError:
            return False
        return self.stats()["listeners"][0]["connect_chosen"] > 0


def version_two():
    """Where cgroup v2 is mounted, or None."""
    with open("/proc/mounts") as f:
        return next((line.split()[1] for line in f if line.split()[2] == "cgroup2"), None)


def forget_old(folder):
    """Cgroups of runs that were killed an hour ago or more; they are empty."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith("ringway-bench-") and os.stat(path).st_ctime < time.time() - 3600:
            os.rmdir(path)
