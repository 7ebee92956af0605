"""Sessions and upstreams have the limit of open files together: idle upstreams take what nobody else needs, and give way."""
import socket
import threading
import time
import unittest

from proxy import Endpoint, Proxy, read_head

FILES, REQUESTS, SESSIONS = 2000, 500, 1100  # of the files 1488 for connections; idle ones are closed when 1302 are in use


class OpenFiles(unittest.TestCase):
    def setUp(self):
        all_there = threading.Barrier(REQUESTS)

        def answer(_, conn):
            if not read_head(conn)[0]:
                return
            all_there.wait(30)
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            conn.recv(1)
        self.endpoint = Endpoint(answer)
        self.proxy = Proxy([self.endpoint], service={"upstreams_idle_max": 5000}, before=("prlimit", f"--nofile={FILES}"))

    def tearDown(self):
        self.assertEqual(self.proxy.stop(), 0)
        self.endpoint.close()

    def until(self, wanted):
        for _ in range(200):
            worker = self.proxy.stats()["workers"][0]
            if wanted(worker):
                return worker
            time.sleep(0.05)
        self.fail(f"did not come about: {worker}")

    def test_idle_upstreams_give_way_to_sessions(self):
        clients = [self.proxy.connect() for _ in range(REQUESTS)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients:
            read_head(client)
            client.close()
        self.until(lambda w: w["sessions_open"] == 0 and w["upstreams_open"] == REQUESTS)
        clients = [socket.create_connection(("127.0.0.1", self.proxy.port), 10) for _ in range(SESSIONS)]
        worker = self.until(lambda w: w["sessions_open"] == SESSIONS and w["upstreams_open"] < 1320 - SESSIONS)
        self.assertEqual(worker["limits"]["open_files"], 0)
        self.assertGreater(worker["upstreams_open"], 100, "no more than are needed")
        for client in clients:
            client.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
