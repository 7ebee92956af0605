"""One `ringway up` a run directory, and how another takes its place."""
import fcntl
import json
import os
import signal
import socket
import time
import unittest

import ringway_client as rw
from handover_client import Successor
from node import Node


class Replace(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.node.start()

    def test_second_one_is_refused_and_the_first_one_named(self):
        second = self.node.up(wait=False)
        self.assertEqual(second.wait(20), 73)
        self.assertIn(f"process {self.node.ups[0].pid}, runs in", self.node.log())
        self.assertTrue(self.node.serves())
        self.assertIsNone(self.node.ups[0].poll())

    def test_take_over_under_load(self):
        load = self.node.load(400, new_connections=0.6)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 100, 30, "the load to run")
        for _ in range(2):
            old = self.node.ups[-1]
            self.node.up("--take-over")
            rw.wait_until(lambda: "has the run directory" in self.node.log(), 20, "the new one to be in charge")
            rw.wait_until(lambda: self.node.ringway("status").returncode == 0, 20, "its control plane")
            # Idle keep-alive connections of the load end with their next answer.
            self.assertEqual(old.wait(80), 0)
        report = load.finish()
        self.assertEqual((report["failed"], report["keepalive"]["races"]), (0, 0), "\n".join(rw.describe_failures(report)))
        self.assertTrue(self.node.children("ringway-dataplane"))
        self.node.upgrade()

    def test_old_one_waits_for_its_sessions(self):
        with socket.create_connection(("127.0.0.1", self.node.port), 20) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"200", idle.recv(65536))
            self.node.up("--take-over")
            rw.wait_until(lambda: "has the run directory" in self.node.log(), 20, "the new one to be in charge")
            self.assertIsNone(self.node.ups[0].poll())
            self.assertEqual(self.node.children("ringway-controlplane", self.node.ups[0]), [])
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"200", idle.recv(65536))
        self.assertEqual(self.node.ups[0].wait(30), 0)
        self.assertTrue(self.node.serves())

    def test_failing_one_leaves_the_first_in_charge(self):
        serving = self.node.dataplane()
        self.node.put("ringway-dataplane", "#!/bin/sh\nexit 69\n")
        second = self.node.up("--take-over", wait=False)
        self.assertEqual(second.wait(30), 69)
        self.assertIn("the other `ringway up` goes on", self.node.log())
        self.assertEqual(self.node.children("ringway-dataplane", self.node.ups[0]), [serving])
        self.assertTrue(self.node.serves())

    def test_with_nobody_there_it_is_an_ordinary_start(self):
        self.node.ups[0].terminate()
        self.node.ups[0].wait(30)
        self.node.up("--take-over")
        self.assertTrue(self.node.serves())

    def test_by_environment(self):
        os.environ["RINGWAY_TAKE_OVER"] = "1"
        self.addCleanup(os.environ.pop, "RINGWAY_TAKE_OVER")
        self.node.up()
        rw.wait_until(lambda: "has the run directory" in self.node.log(), 20, "the new one to be in charge")
        self.assertEqual(self.node.ups[0].wait(80), 0)

    def test_successor_that_dies_before_it_is_in_charge_leaves_nobody_for_seconds_only(self):
        with socket.create_connection(("127.0.0.1", self.node.port), 20) as session:
            session.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"200", session.recv(65536))
            leaving = self.node.dataplane()
            path = os.path.join(self.node.run_dir, "handover.sock")
            successor = Successor(self.node.run_dir)
            successor.take_all()
            successor.say(type="ready")
            self.assertEqual(successor.hear()["type"], "left")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listens:
                listens.bind(path)
                listens.listen()
                time.sleep(6)  # longer than it waits; it must not have been started beside one that listens
                self.assertEqual(self.node.children("ringway-dataplane"), [leaving])
            successor.close()
            rw.wait_until(self.node.serves, 20, "a dataplane in place of the successor that died")
            self.assertEqual(len(self.node.children("ringway-dataplane")), 2)  # the session goes on in the other one
            session.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"200", session.recv(65536))

    def test_one_that_refuses_is_asked_again(self):
        self.node.ups[0].terminate()
        self.node.ups[0].wait(30)
        with open(os.path.join(self.node.run_dir, "up.lock"), "w") as lock, socket.socket(socket.AF_UNIX) as other:
            fcntl.flock(lock, fcntl.LOCK_EX)
            other.bind(os.path.join(self.node.run_dir, "up.sock"))
            other.listen()
            other.settimeout(20)
            self.node.up("--take-over", wait=False)
            for ok in (False, False, True):
                client, _ = other.accept()
                with client:
                    self.assertEqual(json.loads(client.recv(4096)), {"command": "replace"})
                    client.sendall(json.dumps({"ok": ok, "words": "an upgrade is under way already"}).encode() + b"\n")
        rw.wait_until(lambda: "has the run directory" in self.node.log(), 20, "the new one to be in charge")
        self.assertEqual(self.node.log().count("refuses to go"), 1)

    def test_killed_one_leaves_no_lock(self):
        self.node.ups[0].send_signal(signal.SIGKILL)
        self.node.ups[0].wait()
        self.node.up()


if __name__ == "__main__":
    unittest.main(verbosity=2)
