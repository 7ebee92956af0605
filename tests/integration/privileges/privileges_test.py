"""Started as root with every capability there is: what each thread has left of it, with each delivery; and that what is asked for
later, by a reload or an upgrade, is still to be had. Root only; in a network namespace of the test's own, where ports below 1024
are privileged."""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import ringway_client as rw
from balancer import Balancer, wait_until
from network import FRONT, Network, Server, run
from node import Node
from threads import capabilities, mask, statuses

MAIN = mask("net_bind_service", "bpf", "net_admin", "perfmon", "dac_override", "fowner")
FILES = mask("dac_override")
PROXY = {"main": MAIN, "writer": FILES, "worker-0": 0, "worker-1": 0}
ROUTE = [{"host": "", "path": "", "service": "web"}]
NOBODY = 65534


class Proxy(unittest.TestCase):
    """`ringway up`, its log and its state in folders that belong to somebody else, whom root needs a capability to write to."""

    def setUp(self):
        self.logs = tempfile.TemporaryDirectory(prefix="ringway-privileges-")
        self.addCleanup(self.logs.cleanup)
        self.give_away(self.logs.name)
        self.path = os.path.join(self.logs.name, "access.log")
        self.node = Node(access_log={"path": self.path})
        self.addCleanup(self.node.close)
        self.node.config["listeners"][0]["access_log"] = True
        state = os.path.join(self.node.dir, "state")
        os.mkdir(state)
        self.give_away(state)
        self.node.start("--workers", "2")

    @staticmethod
    def give_away(path):
        os.chown(path, NOBODY, NOBODY)
        os.chmod(path, 0o500)  # not even its owner writes there without

    def threads(self):
        return capabilities(self.node.dataplane())

    def reload(self, **changes):
        self.node.config.update(changes)
        self.node.write_config()
        done = self.node.ringway("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.node.log())

    def listen_at(self, port):
        low = {"name": f"low{port}", "bind": f"127.0.0.1:{port}", "protocol": "http", "routes": [{"service": "web"}]}
        self.reload(listeners=self.node.config["listeners"] + [low])
        rw.wait_until(lambda: rw.get(f"http://127.0.0.1:{port}/")[0] == 200, 10, f"port {port} to serve")

    def move_log(self, name):
        """As logrotate does; requests from then on are in a new file."""
        os.rename(self.path, os.path.join(self.logs.name, name))
        os.kill(self.node.dataplane(), signal.SIGUSR1)
        rw.wait_until(lambda: os.path.exists(self.path), 5, "the log to be opened again")
        self.assertTrue(self.node.serves())
        rw.wait_until(lambda: os.path.getsize(self.path) > 0, 5, "a line in the new file")

    def test_each_thread_has_what_it_needs_and_reload_rotation_and_upgrade_go_on(self):
        self.assertEqual(self.threads(), {**PROXY, "access-log": FILES})
        self.assertEqual(capabilities(self.node.controlplane()), {"main": mask("net_bind_service", "dac_override", "fowner")})
        self.listen_at(81)
        self.move_log("access.log.1")
        old = self.node.dataplane()
        new = self.node.upgrade()
        self.assertNotEqual(old, new)
        rw.wait_until(lambda: self.node.children("ringway-dataplane") == [new], 20, "the old one to end")
        self.assertEqual(self.threads(), {**PROXY, "access-log": FILES})
        self.listen_at(82)
        self.move_log("access.log.2")
        rw.wait_until(lambda: "low82" in self.node.kept(), 10, "the snapshot to be kept")
        self.assertNotIn("capabilities that are not needed are kept", self.node.log())

    def test_steering_and_connect_are_had_by_a_reload(self):
        folder = tempfile.TemporaryDirectory(prefix="ringway-privileges-bpf-")
        self.addCleanup(folder.cleanup)
        run("mount", "-t", "bpf", "bpf", folder.name)
        self.addCleanup(run, "umount", "-l", folder.name)
        with open("/proc/self/mounts") as mounts:
            cgroup = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2") + f"/ringway-privileges-{os.getpid()}"
        os.mkdir(cgroup)
        self.addCleanup(lambda: rw.wait_until(lambda: os.rmdir(cgroup) is None, 10, "the cgroup to be empty"))
        near = {"name": "near", "bind": "127.77.0.1:80", "protocol": "tcp", "delivery": "connect", "service": "web"}
        self.reload(listeners=self.node.config["listeners"] + [near], steering="least_sessions", connect={"cgroups": [cgroup], "pin_dir": folder.name + "/pins"})
        states = lambda: {p["program"]: p["state"] for p in self.node.stats.json()["programs"]}
        rw.wait_until(lambda: states() == {"connect": "on", "steer": "on"}, 10, "both programs")
        self.assertTrue(os.listdir(folder.name + "/pins"), "pinned where the reload says, though there was another place before")
        client = ["sh", "-c", f"echo 0 > {cgroup}/cgroup.procs && exec curl -sf http://127.77.0.1/"]
        self.assertEqual(subprocess.run(client, capture_output=True, timeout=20).returncode, 0)
        chosen = lambda: sum(e["connect_chosen"] for s in self.node.stats.json()["services"] for e in s["endpoints"])
        self.assertEqual(chosen(), 1, "it went straight to the web server")
        self.assertEqual(self.threads(), {**PROXY, "access-log": FILES})
        self.node.upgrade()
        rw.wait_until(lambda: states() == {"connect": "on", "steer": "on"}, 20, "both programs in the successor")
        self.assertEqual(self.threads(), {**PROXY, "access-log": FILES})


class Packet(unittest.TestCase):
    """The programs are loaded by a change of a config that had none of it, and pinned in a bpf file system that was mounted at the
    start: `ip netns exec` has a /sys of its own, without."""

    def test_packet_delivery_is_had_by_a_reload(self):
        network = Network()
        self.addCleanup(network.close)
        web = {"name": "web", "bind": f"{FRONT}:80", "protocol": "tcp", "routes": ROUTE}
        endpoints = [network.endpoint(name) for name in network.names]
        balancer = Balancer(network, endpoints, listeners=[web], packet={"pin_dir": "/sys/fs/bpf/ringway"})
        self.addCleanup(balancer.close)
        process = balancer.start()
        self.assertIn("mounted a bpf file system at /sys/fs/bpf", balancer.words())
        proxy = {"main": MAIN, "writer": FILES, "worker-0": 0}
        self.assertEqual(capabilities(process.pid), proxy)
        balancer.change(listeners=[{**web, "delivery": "packet"}])
        wait_until(lambda: len([i for i in balancer.stats()["packet"]["interfaces"] if i["how"]]) == 2, 10, lambda: "two interfaces:\n" + balancer.words())
        self.assertEqual(capabilities(process.pid), {**proxy, "ringway-packet": mask("bpf", "net_admin")})
        with network.client.socket() as sock:
            sock.settimeout(5)
            sock.connect((FRONT, 80))
            sock.sendall(b"hello")
            self.assertTrue(sock.recv(100))
        wait_until(lambda: balancer.stats()["services"][0]["packet"]["flows_opened"] == 1, 5, "the flow to be counted")
        self.assertEqual(balancer.stop(), 0)


class Pins(unittest.TestCase):
    """`ringway capabilities` where /sys/fs/bpf is no bpf file system, as in a container, in a mount namespace of its own."""

    PINNED = ("l4_tc", "l4_xdp", "l4_sweep", "connect")

    def capabilities(self, capabilities=""):
        """Its lines, by program; and whether something is mounted afterwards that was not before."""
        bare = 'mount -t tmpfs none /sys/fs/bpf && "$@"; findmnt -no FSTYPE -M /sys/fs/bpf | tail -1 >&2'
        less = ["setpriv", f"--bounding-set=-all,{capabilities}", f"--inh-caps=-all,{capabilities}"] if capabilities else []
        done = subprocess.run(["unshare", "-m", "sh", "-c", bare, "sh", *less, os.path.join(os.environ["RINGWAY_BIN"], "ringway"), "capabilities"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr.split()[-1:], ["tmpfs"], done.stderr)
        self.assertNotIn("mounted a bpf file system", done.stderr)
        words = (line.split(maxsplit=2) for line in done.stdout.splitlines())
        return {w[1].rstrip(":"): (w[0], w[2]) for w in words if len(w) == 3 and w[0] in ("yes", "no")}

    def test_it_is_tried_whether_it_could_be_mounted_and_nothing_stays(self):
        found = self.capabilities()
        for name in (*self.PINNED, "steer"):
            self.assertEqual(found[name][0], "yes", found[name])

    def test_where_it_could_not_be_what_is_pinned_is_not_usable(self):
        found = self.capabilities("+bpf,+net_admin,+perfmon")
        for name in self.PINNED:
            self.assertEqual(found[name][0], "no", found[name])
            self.assertIn("it loads, but cannot be pinned (packet.pin_dir, connect.pin_dir): /sys/fs/bpf is not mounted and cannot be", found[name][1])
        self.assertEqual(found["steer"][0], "yes", found["steer"])


class Supervisor(unittest.TestCase):
    def test_it_keeps_what_its_children_begin_with(self):
        node = Node()
        self.addCleanup(node.close)
        up = node.up("--workers", "1", wait=False)
        own = statuses(os.getpid())[os.getpid()]
        rw.wait_until(lambda: node.dataplane(), 10, "a dataplane")
        for status in statuses(up.pid).values():
            self.assertEqual((status["CapPrm"], status["CapBnd"]), (own["CapPrm"], own["CapBnd"]))


def in_a_namespace():
    if os.environ.get("RINGWAY_PRIVILEGES_NAMESPACE"):
        run("ip", "link", "set", "lo", "up")
        return
    os.environ["RINGWAY_PRIVILEGES_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: capabilities to give up are root's")
        sys.exit(77)
    in_a_namespace()
    unittest.main(verbosity=2)
