"""A steady load of more clients than idle upstreams are kept for takes the same connections again and again; when it has gone,
what is beyond the number is closed soon, and the rest stays."""
import threading
import time
import unittest

from proxy import OK, Endpoint, Proxy, read_head, read_response

CLIENTS, KEPT, WAVES = 100, 64, 10


class Pool(unittest.TestCase):
    def setUp(self):
        together = threading.Barrier(CLIENTS)

        def answer(_, conn):
            rest = b""
            while True:
                head, rest = read_head(conn, rest)
                if not head:
                    return
                together.wait(30)
                conn.sendall(OK)
        self.endpoint = Endpoint(answer)
        self.proxy = Proxy([self.endpoint], service={"timeouts": {"upstream_idle_ms": 60000}})

    def tearDown(self):
        self.assertEqual(self.proxy.stop(), 0)
        self.endpoint.close()

    def test_a_steady_load_keeps_its_connections(self):
        clients = [self.proxy.connect() for _ in range(CLIENTS)]
        for _ in range(WAVES):
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                read_response(client)
        # Closed at once they would be CLIENTS + (WAVES - 1) * (CLIENTS - KEPT) = 424. A machine that stands still for 250 ms costs 36.
        self.assertLess(self.endpoint.connections, 260)
        for _ in range(200):
            worker = self.proxy.stats()["workers"][0]
            if worker["upstreams_open"] == KEPT:
                break
            time.sleep(0.05)
        self.assertEqual(worker["upstreams_open"], KEPT)
        for client in clients:
            client.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
