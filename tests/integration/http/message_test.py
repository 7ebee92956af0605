"""Messages pass whole and in order: bodies of every framing, keep-alive, pipelining, interim responses, upgrades, 1.0."""
import socket
import threading
import unittest

from proxy import OK, Endpoint, Proxy, answering, headers_of, read_all, read_head, read_response


def by_path(head, body):
    path = head.split(b" ")[1]
    if path == b"/echo":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    if path == b"/chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n"
    if path == b"/hop":
        return (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: 1\r\n"
                b"X-Public: 1\r\nContent-Length: 2\r\n\r\nok")
    if path == b"/204":
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    if path == b"/304":
        return b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"
    if path == b"/head":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    if path == b"/interim":
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    if path == b"/big":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + bytes(i % 251 for i in range(5000)) * 1000
    return OK


class Message(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.endpoint = Endpoint(answering(by_path))
        cls.proxy = Proxy([cls.endpoint])

    @classmethod
    def tearDownClass(cls):
        assert cls.proxy.stop() == 0
        cls.endpoint.close()

    def ask(self, sock, path, method=b"GET", extra=b"", body=b"", rest=b"", version=b"1.1"):
        sock.sendall(method + b" " + path + b" HTTP/" + version + b"\r\nHost: a\r\n" + extra + b"\r\n" + body)
        return read_response(sock, rest, head_only=method == b"HEAD")

    def test_keep_alive_on_both_sides(self):
        with self.proxy.connect() as sock:
            self.ask(sock, b"/")
            before = self.endpoint.connections
            for _ in range(20):
                self.assertEqual(self.ask(sock, b"/")[0], 200)
            self.assertEqual(self.endpoint.connections, before)

    def test_hop_by_hop_fields_stay(self):
        with self.proxy.connect() as sock:
            _, headers, _, _ = self.ask(sock, b"/hop", extra=b"Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n"
                                        b"Keep-Alive: 5\r\nProxy-Connection: x\r\nX-Kept: 1\r\n")
            self.assertEqual(headers.get("x-public"), ["1"])
            for name in ("connection", "keep-alive", "x-private"):
                self.assertNotIn(name, headers)
            seen = headers_of(self.endpoint.requests[-1])
            self.assertEqual(seen.get("x-kept"), ["1"])
            for name in ("connection", "keep-alive", "x-mine", "te", "proxy-connection"):
                self.assertNotIn(name, seen)

    def test_forwarded_fields_are_ours(self):
        with self.proxy.connect() as sock:
            self.ask(sock, b"/", extra=b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n")
        seen = headers_of(self.endpoint.requests[-1])
        self.assertEqual(seen["x-forwarded-for"], ["127.0.0.1"])
        self.assertEqual(seen["x-forwarded-proto"], ["http"])
        self.assertEqual(seen["x-forwarded-port"], [str(self.proxy.port)])

    def test_bodies(self):
        with self.proxy.connect() as sock:
            for size in (0, 1, 1000, 16384, 20000, 300000, 2000000):
                body = bytes((i * 7 + size) % 251 for i in range(1000)) * (size // 1000) + b"x" * (size % 1000)
                status, _, got, _ = self.ask(sock, b"/echo", b"POST", b"Content-Length: %d\r\n" % size, body)
                self.assertEqual((status, got == body), (200, True), size)
            status, _, got, _ = self.ask(sock, b"/big")
            self.assertEqual((status, got == bytes(i % 251 for i in range(5000)) * 1000), (200, True))

    def test_chunked_response_with_trailer_passes_as_it_is(self):
        with self.proxy.connect() as sock:
            _, _, body, _ = self.ask(sock, b"/chunked")
            self.assertEqual(body, b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n")
            self.assertEqual(self.ask(sock, b"/")[2], b"ok")

    def test_responses_without_body(self):
        with self.proxy.connect() as sock:
            self.assertEqual(self.ask(sock, b"/head", b"HEAD")[1]["content-length"], ["100"])
            self.assertEqual(self.ask(sock, b"/204")[0], 204)
            self.assertEqual(self.ask(sock, b"/304")[0], 304)
            self.assertEqual(self.ask(sock, b"/")[2], b"ok")

    def test_interim_response_is_passed_on(self):
        with self.proxy.connect() as sock:
            status, headers, _, rest = self.ask(sock, b"/interim")
            self.assertEqual((status, headers["link"]), (103, ["</a>"]))
            self.assertEqual(read_response(sock, rest)[0], 200)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.proxy.connect() as sock:
            requests = b""
            for i in range(50):
                body = b"%d" % i
                requests += b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            sock.sendall(requests)
            rest = b""
            for i in range(50):
                status, _, body, rest = read_response(sock, rest)
                self.assertEqual((status, body), (200, b"%d" % i))

    def test_head_a_byte_at_a_time(self):
        with self.proxy.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: yes\r\n\r\n":
                sock.sendall(bytes([byte]))
            self.assertEqual(read_response(sock)[0], 200)

    def test_half_closed_client_gets_its_answer(self):
        with self.proxy.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            self.assertTrue(read_all(sock).endswith(b"ok"))

    def test_connection_close_is_honoured(self):
        with self.proxy.connect() as sock:
            status, headers, body, _ = self.ask(sock, b"/", extra=b"Connection: close\r\n")
            self.assertEqual((status, headers["connection"], body), (200, ["close"], b"ok"))
            self.assertEqual(sock.recv(10), b"")

    def test_old_clients(self):
        with self.proxy.connect() as sock:
            _, headers, body, _ = self.ask(sock, b"/chunked", version=b"1.0")
            self.assertEqual(body, b"abcdefg")
            self.assertNotIn("transfer-encoding", headers)
        with self.proxy.connect() as sock:
            _, headers, _, _ = self.ask(sock, b"/", extra=b"Connection: keep-alive\r\n", version=b"1.0")
            self.assertEqual(headers["connection"], ["keep-alive"])
            self.assertEqual(self.ask(sock, b"/", version=b"1.0")[2], b"ok")
            self.assertEqual(sock.recv(10), b"")

    def test_absolute_form(self):
        with self.proxy.connect() as sock:
            sock.sendall(b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n")
            read_response(sock)
            self.assertTrue(self.endpoint.requests[-1].startswith(b"GET /x?y HTTP/1.1\r\n"))


class Special(unittest.TestCase):
    def run_with(self, script, client, **options):
        endpoint = Endpoint(script)
        proxy = Proxy([endpoint], **options)
        try:
            with proxy.connect() as sock:
                client(sock)
        finally:
            self.assertEqual(proxy.stop(), 0)
            endpoint.close()

    def test_expect_100_continue(self):
        def script(_, conn):
            head, _ = read_head(conn)
            assert b"100-continue" in head
            conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = conn.recv(5)
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

        def client(sock):
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            status, _, _, rest = read_response(sock)
            self.assertEqual(status, 100)
            sock.sendall(b"hello")
            self.assertEqual(read_response(sock, rest)[2], b"hello")

        self.run_with(script, client)

    def test_upgrade_becomes_a_tunnel(self):
        def script(_, conn):
            head, _ = read_head(conn)
            fields = headers_of(head)
            assert fields["upgrade"] == ["websocket"] and fields["connection"] == ["Upgrade"], fields
            conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
            while data := conn.recv(65536):
                conn.sendall(data.upper())

        def client(sock):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            status, headers, _, rest = read_response(sock)
            self.assertEqual((status, headers["upgrade"], headers["connection"]), (101, ["websocket"], ["Upgrade"]))
            while len(rest) < 5:
                rest += sock.recv(5)
            self.assertEqual(rest, b"first")
            for _ in range(100):
                sock.sendall(b"abc")
                self.assertEqual(sock.recv(3), b"ABC")
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(sock), b"")

        self.run_with(script, client)

    def test_early_response_reaches_a_client_that_still_sends(self):
        def script(_, conn):
            read_head(conn)
            conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            conn.shutdown(socket.SHUT_WR)
            read_all(conn)

        def client(sock):
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            stop = threading.Event()

            def flood():
                try:
                    while not stop.is_set():
                        sock.sendall(b"x" * 65536)
                except OSError:
                    pass

            thread = threading.Thread(target=flood)
            thread.start()
            try:
                status, _, body, _ = read_response(sock)
                self.assertEqual((status, body), (413, b"no"))
            finally:
                stop.set()
                sock.close()
                thread.join(30)

        self.run_with(script, client)

    def test_close_delimited_response(self):
        def script(_, conn):
            read_head(conn)
            conn.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"y" * 100000)

        def client(sock):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            status, headers, body, _ = read_response(sock)
            self.assertEqual((status, headers["connection"], body), (200, ["close"], b"y" * 100000))

        self.run_with(script, client)

    def test_tcp_relay_both_ways_with_half_close(self):
        def script(_, conn):
            conn.sendall(b"220 hello\r\n")  # the server speaks first
            total = 0
            while data := conn.recv(65536):
                total += len(data)
            conn.sendall(b"%d" % total)

        def client(sock):
            self.assertEqual(sock.recv(11), b"220 hello\r\n")
            sock.sendall(b"z" * 3000000)
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(sock), b"3000000")

        self.run_with(script, client, protocol="tcp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
