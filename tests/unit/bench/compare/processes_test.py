#!/usr/bin/env python3
"""bench/compare's waiting for ports: one on which somebody listens is not free, and is as soon as he is gone."""
import os
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 4)
sys.path.insert(0, os.path.join(ROOT, "bench", "compare"))

from processes import Failed, wait_until_free  # noqa: E402


class WaitUntilFree(unittest.TestCase):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.addCleanup(self.listener.close)

    def test_a_listener_that_stays_is_told(self):
        with self.assertRaisesRegex(Failed, f"port {self.port} of 127.0.0.1: Address already in use"):
            wait_until_free("127.0.0.1", self.port, self.port, 0.05)

    def test_one_that_goes_is_waited_for(self):
        gone = threading.Event()

        def go():
            gone.set()
            self.listener.close()
        threading.Timer(0.05, go).start()
        wait_until_free("127.0.0.1", self.port, self.port)
        self.assertTrue(gone.is_set())

    def test_what_a_connection_that_has_ended_leaves_behind_is_no_listener(self):
        with socket.create_connection(("127.0.0.1", self.port)), self.listener.accept()[0]:
            pass  # TIME_WAIT follows on one of the two sides
        self.listener.close()
        wait_until_free("127.0.0.1", self.port, self.port, 1)


if __name__ == "__main__":
    unittest.main()
