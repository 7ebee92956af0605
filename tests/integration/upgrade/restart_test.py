"""Either program killed or unable to start: whoever can serve goes on, and a dataplane comes back without a control plane."""
import os
import signal
import socket
import time
import unittest

import ringway_client as rw
from node import Node

NEVER_UP = "#!/bin/sh\nexec sleep 1000\n"


class Restart(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def test_killed_in_every_order_under_load(self):
        self.node.start()
        for order in (("controlplane",), ("dataplane",), ("controlplane", "dataplane"), ("dataplane", "controlplane")):
            with self.subTest(order):
                load = self.node.load(150)
                self.addCleanup(load.kill)
                rw.wait_until(lambda: load.counts()["requests"] > 50, 30, "the load to run")
                before = {"dataplane": self.node.dataplane(), "controlplane": self.node.controlplane()}
                for name in order:
                    self.node.kill(before[name])
                for name in order:
                    rw.wait_until(lambda: getattr(self.node, name)() != before[name], 20, f"another {name}")
                rw.wait_until(self.node.serves, 20, "the service")
                rw.wait_until(lambda: self.node.ringway("status").returncode == 0, 20, "the control plane to answer")
                seen = load.counts()
                rw.wait_until(lambda: load.counts()["requests"] > seen["requests"] + 50, 20, "requests after it")
                report = load.finish()
                if "dataplane" not in order:
                    self.assertEqual(report["failed"], 0, "\n".join(rw.describe_failures(report)))
                else:  # what a killed process held is lost, and what came while there was none; nothing after it
                    self.assertEqual(rw.get(self.node.url + "/")[0], 200)
                    self.assertLess(report["failed"], report["requests"])

    def test_dataplane_serves_before_the_control_plane_is_back(self):
        self.node.start()
        self.node.put("ringway-controlplane", NEVER_UP)
        old = self.node.dataplane()
        self.node.kill(self.node.controlplane())
        self.node.kill(old)
        rw.wait_until(lambda: self.node.dataplane() != old, 20, "another dataplane")
        rw.wait_until(self.node.serves, 20, "the service without a control plane")
        self.assertNotEqual(self.node.ringway("status").returncode, 0)
        self.assertIn("kept snapshot", self.node.log())

    def again_with_a_control_plane_that_cannot_run(self, spoil):
        """Everything stopped, `spoil` done, started again: the dataplane serves, and `up` keeps trying."""
        self.node.start()
        self.node.ups[-1].terminate()
        self.assertEqual(self.node.ups[-1].wait(30), 0)
        spoil()
        up = self.node.up()
        rw.wait_until(lambda: "trying again for as long as it takes" in self.node.log(), 20, "the control plane's trouble in the log")
        rw.wait_until(lambda: self.node.log().count("ringway-controlplane runs as") >= 3, 20, "further tries")
        self.assertIsNone(up.poll())
        self.assertTrue(self.node.serves())

    def test_damaged_catalog_does_not_stop_what_serves(self):
        def damage():
            for name in os.listdir(os.path.join(self.node.dir, "data")):
                if name.startswith("catalog.db"):
                    with open(os.path.join(self.node.dir, "data", name), "wb") as file:
                        file.write(b"this is no database" * 1000)
        self.again_with_a_control_plane_that_cannot_run(damage)

    def test_catalog_port_taken_does_not_stop_what_serves(self):
        taker = socket.socket()
        self.addCleanup(taker.close)
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.again_with_a_control_plane_that_cannot_run(
            lambda: (taker.bind(("127.0.0.1", self.node.catalog_port)), taker.listen(1)))
        taker.close()
        rw.wait_until(lambda: self.node.ringway("status").returncode == 0, 20, "the control plane to run after all")

    def test_control_plane_that_cannot_run_is_the_end_when_nothing_serves(self):
        with socket.socket() as taker:
            taker.bind(("127.0.0.1", self.node.catalog_port))
            taker.listen(1)
            up = self.node.up(wait=False)
            self.assertEqual(up.wait(30), 69, self.node.log())
        self.assertIn("nothing here can serve", self.node.log())

    def test_first_start_serves_the_listeners_it_can_open(self):
        with socket.socket() as taker:
            taker.bind(("127.0.0.1", 0))
            taker.listen(1)
            taken = taker.getsockname()[1]
            self.node.config["listeners"].append({"name": "taken", "bind": f"127.0.0.1:{taken}", "protocol": "http",
                                                  "routes": [{"service": "web"}]})
            self.node.up(wait=False)
            rw.wait_until(lambda: rw.get(self.node.url + "/")[0] == 503, 20, "the listener that can be opened")
        rw.wait_until(lambda: rw.get(f"http://127.0.0.1:{taken}/")[0] == 503, 20, "the other one, when its address is free")


if __name__ == "__main__":
    unittest.main(verbosity=2)
