"""Steering as a user runs it: which of two pinned workers takes a connection, what a reload and an upgrade do to it. In a network
namespace of the test's own, because net.ipv4.tcp_migrate_req is tried both ways; what is started here is ended here."""
import contextlib
import os
import socket
import subprocess
import sys
import unittest

import ringway_client as rw
from node import Node

CPUS = sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def running_on(cpu):
    """This thread; over loopback a SYN is handled on the CPU that sends it."""
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CPUS)


class Live(unittest.TestCase):
    def start(self, steering, *arguments):
        self.node = Node(steering=steering)
        self.addCleanup(self.node.close)
        self.node.start("--workers", "2", *arguments)
        self.held = []
        self.addCleanup(lambda: [client.close() for client in self.held])

    def sessions(self):
        return [worker["sessions_open"] for worker in self.node.stats.json()["workers"]]

    def steered(self):
        return self.node.stats.json()["steered"]

    def steer_program(self):
        return next(p for p in self.node.stats.json()["programs"] if p["program"] == "steer")

    def idle(self):
        rw.wait_until(lambda: self.sessions() == [0, 0], 10, "no session to be open")

    def connect(self, cpu, times, expected):
        with running_on(cpu):
            for _ in range(times):
                self.held.append(socket.create_connection(("127.0.0.1", self.node.port), 5))
        rw.wait_until(lambda: sum(self.sessions()) == sum(expected), 10, f"{sum(expected)} sessions")
        self.assertEqual(self.sessions(), expected)

    def reload(self, way):
        self.node.config["steering"] = way
        self.node.write_config()
        done = self.node.ringway("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def let_go(self):
        while self.held:
            self.held.pop().close()
        self.idle()


class Pinned(Live):
    def test_the_worker_on_the_clients_cpu_accepts_unless_it_has_much_more_to_do(self):
        self.start("local", "--pin", f"{CPUS[0]},{CPUS[1]}")
        self.assertEqual([w["cpu"] for w in self.node.stats.json()["workers"]], CPUS[:2])
        self.idle()
        before = self.steered()
        self.connect(CPUS[0], 3, [3, 0])
        self.connect(CPUS[1], 3, [3, 3])
        self.connect(CPUS[0], 4, [6, 4])
        after = self.steered()
        self.assertEqual({by: after[by] - before[by] for by in after}, {"local": 9, "least": 1, "hashed": 0})
        self.assertEqual(self.steer_program(), {"program": "steer", "state": "on", "detail": ""})
        self.let_go()
        self.connect(CPUS[1], 2, [0, 2])

    def test_a_reload_changes_the_way_and_loses_nobody(self):
        self.start("local", "--pin", f"{CPUS[0]},{CPUS[1]}")
        load = self.node.load(300, connections=8, new_connections=0.5)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 100, 20, "the load to run")
        for way, state in (("least_sessions", "on"), ("hash", "off"), ("local", "on")):
            self.reload(way)
            rw.wait_until(lambda: self.steer_program()["state"] == state, 10, f"steering to be {state}")
            requests = load.counts()["requests"]
            rw.wait_until(lambda: load.counts()["requests"] > requests + 200, 20, "requests after the reload")
        report = load.finish()
        self.assertEqual((report["failed"], report["keepalive"]["races"]), (0, 0), "\n".join(rw.describe_failures(report)))
        self.idle()
        self.connect(CPUS[1], 3, [0, 3])
        self.let_go()
        self.reload("least_sessions")
        steered = self.steered()["least"]
        rw.wait_until(lambda: self.node.serves() and self.steered()["least"] > steered, 10, "the other way")
        self.idle()
        self.connect(CPUS[1], 6, [3, 3])


class NotPinned(Live):
    def test_local_counts_sessions_then_and_says_so_once(self):
        self.start("local")
        self.idle()
        self.connect(CPUS[0], 6, [3, 3])
        self.assertIn("--pin", self.steer_program()["detail"])
        self.assertEqual(self.steered()["local"], 0)
        self.assertEqual(self.node.log().count("no worker is pinned"), 1)
        for way, state in (("hash", "off"), ("least_sessions", "on")):
            self.reload(way)
            rw.wait_until(lambda: self.steer_program() == {"program": "steer", "state": state, "detail": ""}, 10, f"{way} without a word of the preference")


class Upgrade(Live):
    def upgrade_under_load(self, migrate):
        with open("/proc/sys/net/ipv4/tcp_migrate_req", "w") as file:
            file.write(migrate)
        self.start("local", "--pin", f"{CPUS[0]},{CPUS[1]}")
        load = self.node.load(500, connections=16, new_connections=0.75)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 200, 20, "the load to run")
        for _ in range(4):
            self.node.upgrade()
            requests = load.counts()["requests"]
            rw.wait_until(lambda: load.counts()["requests"] > requests + 300, 20, "requests after an upgrade")
            rw.wait_until(lambda: self.steered()["local"] > 0, 10, "the successor to steer")
        report = load.finish()
        self.assertEqual((report["failed"], report["keepalive"]["races"]), (0, 0), "\n".join(rw.describe_failures(report)))
        acted_on = self.node.origin.requests()
        self.assertEqual((len(acted_on), len(set(acted_on))), (report["requests"], report["requests"]))

    def test_no_request_fails_without_migration(self):
        self.upgrade_under_load("0")

    def test_no_request_fails_with_migration(self):
        self.upgrade_under_load("1")

    def test_while_the_old_process_drains_the_new_one_takes_every_connection(self):
        self.start("local", "--pin", f"{CPUS[0]},{CPUS[1]}")
        with socket.create_connection(("127.0.0.1", self.node.port), 20) as download:
            download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            download.sendall(b"GET /big.php?bytes=67108864 HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(download.recv(100).startswith(b"HTTP/1.1 200"))
            old = self.node.dataplane()
            new = self.node.upgrade()
            rw.wait_until(lambda: self.node.serves() and self.steered()["local"] > 0, 10, "the successor to steer")
            self.idle()
            self.connect(CPUS[0], 20, [12, 8])
            self.connect(CPUS[1], 20, [18, 22])
            self.assertEqual(self.node.stats.json()["pid"], new)
            self.assertEqual(self.node.children("ringway-dataplane"), [old, new], "the old one was there all the time")


def in_a_namespace():
    if os.environ.get("RINGWAY_STEER_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["RINGWAY_STEER_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv])


if __name__ == "__main__":
    if os.geteuid() != 0 or len(CPUS) < 2:
        print("skipped: kernel programs are loaded by root, and two workers want two CPUs")
        sys.exit(77)
    in_a_namespace()
    unittest.main(verbosity=2)
