"""Requests held while their pool is empty: their pooled connections died with the last endpoint, and the next one has room for one at a time."""
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from proxy import BIN, OK, Endpoint, free_port, read_head, read_response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OTHERS = 12000  # endpoints of another service: the handle of one that comes later stands nowhere else in memory
CLIENTS = 3


class Feed:
    """A control plane: one dataplane connects, snapshots are pushed and acknowledged."""

    def __init__(self, folder):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(folder, "feed.sock"))
        self.listener.listen(1)
        self.stream = None

    def push(self, snapshot):
        if self.stream is None:
            self.connection, _ = self.listener.accept()
            self.connection.settimeout(20)
            self.stream = self.connection.makefile("rb")
        payload = json.dumps(snapshot).encode()
        self.connection.sendall(struct.pack(">I", len(payload)) + payload)
        while True:
            size = struct.unpack(">I", self.stream.read(4))[0]
            message = json.loads(self.stream.read(size))
            if message["type"] == "refuse":
                raise AssertionError(message["reason"])
            if message["type"] == "ack" and message["version"] == snapshot["version"]:
                return

    def close(self):
        if self.stream is not None:
            self.stream.close()
            self.connection.close()
        self.listener.close()


class Held(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.feed = Feed(self.dir.name)
        self.addCleanup(self.feed.close)
        self.port = free_port()
        self.log = open(os.path.join(self.dir.name, "log"), "w+")
        self.addCleanup(self.log.close)
        self.dataplane = subprocess.Popen(
            [os.path.join(BIN, "ringway-dataplane"), "--run-dir", self.dir.name, "--state-dir", self.dir.name + "/state",
             "--workers", "1"], stdout=self.log, stderr=self.log)
        self.addCleanup(self.dataplane.wait, 30)
        self.addCleanup(self.dataplane.kill)

    def snapshot(self, version, endpoints, in_flight_max):
        def entry(name, port):
            return {"id": name, "generation": 1, "address": "127.0.0.1", "port": port}
        return {"type": "snapshot", "epoch": "test", "version": version, "stats": {"bind": "127.0.0.1:0"},
                "listeners": [{"name": "web", "bind": f"127.0.0.1:{self.port}", "protocol": "http",
                               "routes": [{"host": "", "path": "", "service": "web"}]}],
                "services": [{"name": "others", "endpoints": [entry(f"{i:06}", 9) for i in range(OTHERS)]},
                             {"name": "web", "hold": {"timeout_ms": 20000},
                              "endpoint_limit": {"in_flight_max": in_flight_max, "queue_timeout_ms": 20000},
                              "endpoints": [entry(name, endpoint.port) for name, endpoint in endpoints.items()]}]}

    def test_all_are_answered_one_after_the_other(self):
        arrived, die = threading.Barrier(CLIENTS + 1, timeout=20), threading.Event()

        def dies_with_its_second_request(_, conn):
            read_head(conn)
            arrived.wait()  # all at a time: each has a connection of its own
            conn.sendall(OK)
            if read_head(conn)[0]:
                arrived.wait()
                die.wait(20)

        def slow(_, conn):
            while read_head(conn)[0]:
                time.sleep(0.2)
                conn.sendall(OK)

        first, last = Endpoint(dies_with_its_second_request), Endpoint(slow)
        self.addCleanup(first.close)
        self.addCleanup(last.close)
        self.feed.push(self.snapshot(1, {"first": first}, CLIENTS))
        clients = [socket.create_connection(("127.0.0.1", self.port), timeout=20) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(GET)
        arrived.wait()
        for client in clients:
            self.assertEqual(read_response(client)[0], 200)
        for client in clients:
            client.sendall(GET)
        arrived.wait()
        self.feed.push(self.snapshot(2, {}, CLIENTS))
        die.set()
        time.sleep(0.3)  # all are held now; were they not, they would be answered 503
        self.feed.push(self.snapshot(3, {"last": last}, 1))
        for client in clients:
            self.assertEqual(read_response(client)[0], 200)
        self.assertIsNone(self.dataplane.poll())


if __name__ == "__main__":
    unittest.main(verbosity=2)
