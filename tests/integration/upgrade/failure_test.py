"""Upgrades that fail: the dataplane that serves goes on, and `ringway upgrade` says why."""
import os
import signal
import subprocess
import threading
import unittest

import ringway_client as rw
from node import Node

FOLDER = os.path.dirname(os.path.abspath(__file__))

# Takes all the sockets and dies.
DIES = f"""#!/usr/bin/env python3
import sys
sys.path.insert(0, {FOLDER!r})
from handover_client import Successor
Successor(sys.argv[sys.argv.index("--run-dir") + 1]).take_all()
"""
# Speaks a protocol of its own.
FAR = DIES.replace(".take_all()", ".take(protocol=99, protocol_min=98)")
# Is ready, and then there is nobody.
LEAVES = DIES.replace("Successor(", "s = Successor(").replace(".take_all()", "") + """
import os, signal
s.take_all()
s.say(type="ready")
assert s.hear()["type"] == "left"
os.kill(os.getpid(), signal.SIGKILL)
"""


class Failure(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.node.start()

    def test_programs_that_do_not_work_change_nothing(self):
        load = self.node.load(150)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 50, 30, "the load to run")
        serving, control = self.node.dataplane(), self.node.controlplane()
        for program, words in (("#!/bin/false\n", "exit code 1"), ("#!/bin/sh\nexec sleep 1000\n", "not ready in time"),
                               (DIES, "exit code 0"), (FAR, "exit code 0"), ("#!/no/such/interpreter\n", "exit code"),
                               ("#!/bin/sh\nkill -9 $$\n", "SIGKILL")):
            self.node.put("ringway-dataplane", program)
            done = self.node.ringway("upgrade", "--timeout", "1500ms")
            self.assertEqual(done.returncode, 75, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertIn(f"process {serving} goes on serving", done.stderr)
            self.assertEqual((self.node.dataplane(), self.node.controlplane()), (serving, control))
        self.node.put("ringway-dataplane")
        self.assertNotEqual(self.node.upgrade(), serving)
        report = load.finish()
        self.assertEqual((report["failed"], report["keepalive"]["races"]), (0, 0), "\n".join(rw.describe_failures(report)))

    def test_config_that_the_new_release_refuses_changes_nothing(self):
        serving = self.node.dataplane()
        self.node.config["listeners"][0]["protocol"] = "carrier pigeon"
        self.node.write_config()
        done = self.node.ringway("upgrade")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("carrier pigeon", done.stderr)
        self.assertEqual(self.node.dataplane(), serving)

    def test_run_dir_of_the_config_is_where_it_asks(self):
        self.node.config["run_dir"] = self.node.run_dir
        program, path = os.path.join(self.node.bin, "ringway"), self.node.write_config()
        clean = {name: value for name, value in os.environ.items() if name not in ("RINGWAY_RUN_DIR", "RINGWAY_CONFIG")}
        for command in (["reload", "-c", path], ["status", "--config", path]):
            done = subprocess.run([program, *command], env=clean, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
        serving = self.node.dataplane()
        done = subprocess.run([program, "upgrade"], env={**clean, "RINGWAY_CONFIG": path}, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(self.node.dataplane(), serving)

    def test_new_one_killed_right_after(self):
        for _ in range(3):
            self.node.kill(self.node.upgrade())
            rw.wait_until(self.node.serves, 20, "the dataplane to be back")
        self.assertIsNone(self.node.ups[0].poll())

    def test_died_between_the_other_ones_leaving_and_its_own_serving(self):
        self.node.put("ringway-dataplane", LEAVES)
        threading.Timer(1.0, self.node.put, ["ringway-dataplane"]).start()
        done = self.node.ringway("upgrade")
        self.assertEqual(done.returncode, 75, done.stdout)
        self.assertIn("started again", done.stderr)
        rw.wait_until(self.node.serves, 20, "an ordinary start after it")

    def test_control_plane_that_does_not_start_is_told(self):
        serving = self.node.dataplane()
        self.node.put("ringway-controlplane", "#!/bin/false\n")
        done = self.node.ringway("upgrade", timeout=90)
        self.assertEqual(done.returncode, 75)
        self.assertIn("control plane does not answer", done.stderr)
        self.assertNotEqual(self.node.dataplane(), serving)
        self.assertTrue(self.node.serves())
        self.node.put("ringway-controlplane")
        rw.wait_until(lambda: self.node.ringway("status").returncode == 0, 20, "the control plane to be back")

    def test_signal_is_the_same_as_the_command(self):
        serving = self.node.dataplane()
        self.node.ups[0].send_signal(signal.SIGUSR2)
        rw.wait_until(lambda: self.node.dataplane() != serving, 20, "another dataplane after SIGUSR2")
        rw.wait_until(lambda: self.node.ringway("status").returncode == 0, 20, "the control plane to answer")

    def test_one_at_a_time(self):
        self.node.put("ringway-dataplane", "#!/bin/sh\nexec sleep 1000\n")
        first = threading.Thread(target=self.node.ringway, args=("upgrade", "--timeout", "3s"))
        first.start()
        rw.wait_until(lambda: "starting" in self.node.log(), 10, "the first upgrade to begin")
        done = self.node.ringway("upgrade")
        self.assertEqual((done.returncode, done.stderr), (75, "an upgrade is under way already\n"))
        first.join()

    def test_one_that_cannot_be_asked_for_its_sockets_does_not_serve_on(self):
        serving = self.node.dataplane()
        os.unlink(os.path.join(self.node.run_dir, "handover.sock"))
        upgraded = self.node.upgrade()
        rw.wait_until(lambda: self.node.children("ringway-dataplane") == [upgraded], 30, "the old one to end")
        self.assertNotEqual(upgraded, serving)
        self.assertTrue(self.node.serves())

    def test_nobody_to_ask(self):
        self.node.ups[0].terminate()
        self.node.ups[0].wait(30)
        self.assertEqual(self.node.ringway("upgrade").returncode, 69)


if __name__ == "__main__":
    unittest.main(verbosity=2)
