"""Ten upgrades under load: no request lost, none acted on twice; what takes long goes on."""
import socket
import unittest

import ports
import ringway_client as rw
from node import Node
from proxy import Endpoint, read_head


class Load(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def test_ten_upgrades_and_ten_thousand_connections(self):
        self.node.start()
        load = self.node.load(900, connections=24, new_connections=0.75)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 500, 30, "the load to run")
        dataplanes = [self.node.dataplane()]
        for _ in range(10):
            dataplanes.append(self.node.upgrade())
            seen = load.counts()["requests"]
            rw.wait_until(lambda: load.counts()["requests"] > seen + 200, 30, "requests after an upgrade")
        self.assertEqual(len(set(dataplanes)), 11)
        rw.wait_until(lambda: load.counts()["requests"] >= 14000, 60, "ten thousand connections")
        report = load.finish()
        self.assertEqual((report["failed"], report["keepalive"]["races"]), (0, 0), "\n".join(rw.describe_failures(report)))
        self.assertGreaterEqual(report["requests"] * 0.72, 10000)
        acted_on = self.node.origin.requests()
        self.assertEqual((len(acted_on), len(set(acted_on))), (report["requests"], report["requests"]))
        rw.wait_until(lambda: len(self.node.children("ringway-dataplane")) == 1, 80, "the old dataplanes to end")

    def test_long_download_and_tunnel_go_on(self):
        def tunnel(endpoint, conn):
            head, _ = read_head(conn)
            if not head.startswith(b"GET /tunnel"):
                return conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while data := conn.recv(65536):
                conn.sendall(data)

        self.node.config["listeners"].append({"name": "tunnel", "bind": f"127.0.0.1:{ports.free_port()}", "protocol": "http",
                                              "routes": [{"service": "tunnel"}]})
        self.node.config["services"]["tunnel"] = {"health_check": False}
        endpoint = Endpoint(tunnel)
        self.addCleanup(endpoint.close)
        self.node.start()
        self.node.register("tunnel", endpoint.port)
        port = int(self.node.config["listeners"][1]["bind"].rsplit(":", 1)[1])
        rw.wait_until(lambda: rw.get(f"http://127.0.0.1:{port}/")[0] == 200, 10, "the tunnel's service")
        size = 64 << 20
        with socket.create_connection(("127.0.0.1", self.node.port), 20) as download, \
                socket.create_connection(("127.0.0.1", port), 20) as web_socket:
            download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            download.sendall(f"GET /big.php?bytes={size} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head, rest = read_head(download)
            self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
            web_socket.sendall(b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            self.assertTrue(read_head(web_socket)[0].startswith(b"HTTP/1.1 101"))
            old = self.node.dataplane()
            new = self.node.upgrade()
            self.assertEqual(self.node.children("ringway-dataplane"), [old, new])
            for word in (b"after", b"the upgrade"):
                web_socket.sendall(word)
                self.assertEqual(web_socket.recv(100), word)
            got = len(rest)
            while got < size:
                more = download.recv(1 << 20)
                self.assertTrue(more, f"cut after {got} bytes")
                got += len(more)
            newer = self.node.upgrade()
            web_socket.sendall(b"twice")
            self.assertEqual(web_socket.recv(100), b"twice")
            self.assertIn(old, self.node.children("ringway-dataplane"))
        rw.wait_until(lambda: self.node.children("ringway-dataplane") == [newer], 80, "the old dataplanes to end with their sessions")
        self.assertTrue(self.node.serves())


if __name__ == "__main__":
    unittest.main(verbosity=2)
