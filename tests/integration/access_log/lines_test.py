"""One line for each request, whatever becomes of it, and what it says against what origin and client saw."""
import json
import os
import re
import socket
import tempfile
import threading
import time
import unittest

from proxy import OK, Endpoint, Proxy, answering, free_port, headers_of, read_all, read_head, read_response

COMBINED = re.compile(r'^(\S+) - - \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$')


class Lines(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ringway-access-")
        self.path = os.path.join(self.folder.name, "access.log")
        self.endpoints, self.proxy = [], None

    def start(self, *scripts, form="json", listener=None, **options):
        self.endpoints = [Endpoint(script) for script in scripts]
        self.proxy = Proxy(self.endpoints, listener={"access_log": True, **(listener or {})},
                           snapshot={"access_log": {"path": self.path, "format": form}}, **options)

    def tearDown(self):
        if self.proxy is not None:
            self.proxy.stop()
        for endpoint in self.endpoints:
            endpoint.close()
        self.folder.cleanup()

    def text(self):
        with open(self.path, "rb") as file:
            return file.read()

    def lines(self, count):
        """The first `count` lines, and it is an error if there are more."""
        for _ in range(400):
            lines = self.text().split(b"\n")[:-1] if os.path.exists(self.path) else []
            if len(lines) >= count:
                break
            time.sleep(0.02)
        self.assertEqual(len(lines), count, lines)
        return [json.loads(line) for line in lines]

    def ask(self, data):
        with self.proxy.connect() as sock:
            sock.sendall(data)
            return read_response(sock)

    # The first connection is Proxy's own, to see the port open: it asks nothing, and there is no line for it.
    def test_each_request_of_the_origins_log_has_one_line_that_says_the_same(self):
        def answer(head, body):
            target = head.split(b" ")[1]
            number = int(target.rsplit(b"/", 1)[1])
            content = b"x" * (number * 37 % 5000)
            if number % 3 == 0:
                return b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % (len(content) + 1) + content + b"y\r\n0\r\n\r\n"
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content

        self.start(answering(answer), answering(answer), answering(answer))
        connections, each = 8, 60

        def client(number):
            with self.proxy.connect() as sock:
                rest = b""
                for i in range(each):
                    sock.sendall(b"POST /r/%d HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nUser-Agent: client/%d\r\nReferer: http://from/%d\r\n\r\nhello"
                                 % (number * each + i, number, i))
                    _, _, _, rest = read_response(sock, rest)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = self.lines(connections * each)
        seen = {}  # target: id of the endpoint that had it
        for number, endpoint in enumerate(self.endpoints):
            for head in endpoint.requests:
                seen[head.split(b" ")[1].decode()] = f"n/{number}"
        self.assertEqual(len(seen), connections * each)
        self.assertEqual({line["target"]: line["endpoint"] for line in lines}, seen)
        for line in lines:
            number = int(line["target"].rsplit("/", 1)[1])
            self.assertEqual(line["status"], 404 if number % 3 == 0 else 200)
            self.assertEqual((line["method"], line["version"], line["host"], line["end"]), ("POST", "1.1", "example.org", "done"))
            self.assertEqual((line["listener"], line["service"], line["client"]), ("main", "web", "127.0.0.1"))
            self.assertEqual((line["user_agent"], line["referer"]), (f"client/{number // each}", f"http://from/{number % each}"))
            self.assertGreater(line["total_ms"], 0)
            self.assertLessEqual(line["queue_ms"] + line["connect_ms"] + line["response_ms"], line["total_ms"] + 0.002)
            self.assertEqual(line["retries"], 0)
        self.assertEqual(self.proxy.stats()["access_log"]["written"], connections * each)

    def test_the_combined_format_counts_the_body_alone(self):
        self.start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"), form="combined")
        self.ask(b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nUser-Agent: say \"hi\"\\\r\n\r\n")
        for _ in range(200):
            if self.text().endswith(b"\n"):
                break
            time.sleep(0.02)
        match = COMBINED.match(self.text().decode().rstrip("\n"))
        self.assertTrue(match, self.text())
        self.assertEqual((match[1], *match.group(3, 4, 5, 6, 7)),
                         ("127.0.0.1", "GET /a?b=c HTTP/1.1", "200", "11", "-", r"say \x22hi\x22\x5C"))

    def test_nobody_writes_lines_from_outside(self):
        self.start(answering(OK), form="combined")
        self.ask(b"GET /\xff\x1b[2J\"x HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc3\xa4 \"\x80\r\n\r\n")
        self.ask(b"GET /\r1.2.3.4 - - [now] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n HTTP/1.1\r\nHost: a\r\n\r\n")
        self.ask(b"\x16\x03\x01\x00\n\n\n\x00\r\n\r\n")
        for _ in range(200):
            if self.text().count(b"\n") >= 3:
                break
            time.sleep(0.02)
        lines = self.text().decode("ascii").split("\n")[:-1]
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertTrue(COMBINED.match(line), line)
            self.assertTrue(line.isprintable())

    def end_of(self, data, end, status, script=answering(OK), **options):
        self.start(script, **options)
        with self.proxy.connect() as sock:
            sock.sendall(data)
            if status is not None:
                self.assertEqual(read_response(sock)[0], status)
            else:
                read_all(sock)
        line = self.lines(1)[0]
        self.assertEqual((line["end"], line["status"]), (end, status), line)
        return line

    def test_bad_request(self):
        line = self.end_of(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "bad_request", 400)
        self.assertIsNone(line["service"])

    def test_head_timeout(self):
        line = self.end_of(b"GET /half HTTP/1.1\r\nHo", "head_timeout", 408, listener={"head_timeout_ms": 200})
        self.assertEqual(line["target"], "/half")

    def test_head_too_large(self):
        self.end_of(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17000 + b"\r\n\r\n", "head_too_large", 431)

    def test_no_route(self):
        self.end_of(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n", "no_route", 404, listener={"routes": [{"host": "", "path": "/a", "service": "web"}]})

    def test_no_endpoint(self):
        self.end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "no_endpoint", 503, service={"endpoints": []})

    def test_connect_failed_counts_the_tries(self):
        dead = [{"id": f"n/{i}", "generation": 1, "address": "127.0.0.1", "port": free_port(), "weight": 1, "state": "ready"} for i in range(2)]
        line = self.end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "connect_failed", 503, service={"endpoints": dead})
        self.assertGreaterEqual(line["retries"], 1)
        self.assertIsNone(line["response_ms"])

    def test_a_retry_that_works_is_done(self):
        endpoint = Endpoint(answering(OK))
        self.endpoints.append(endpoint)
        both = [{"id": name, "generation": 1, "address": "127.0.0.1", "port": port, "weight": 1, "state": "ready"}
                for name, port in (("dead", free_port()), ("well", endpoint.port))]
        self.start(service={"endpoints": both})
        self.endpoints.append(endpoint)
        for _ in range(2):
            self.assertEqual(self.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")[0], 200)
        lines = self.lines(2)
        self.assertEqual({(line["end"], line["endpoint"]) for line in lines}, {("done", "well")})
        self.assertIn(1, [line["retries"] for line in lines])

    def test_endpoint_reset(self):
        def resetting(endpoint, conn):
            read_head(conn)
        self.end_of(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "endpoint_reset", 502, resetting)

    def test_bad_response(self):
        self.end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad_response", 502, answering(b"garbage\r\n\r\n"))

    def test_response_timeout(self):
        def silent(endpoint, conn):
            read_all(conn)
        self.end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "response_timeout", 504, silent, service={"timeouts": {"response_ms": 200}})

    def test_endpoint_cut(self):
        line = self.end_of_cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "endpoint_cut")
        self.assertEqual(line["status"], 200)

    def end_of_cut(self, response, end):
        self.start(answering(response, close=True))
        with self.proxy.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            read_all(sock)
        line = self.lines(1)[0]
        self.assertEqual(line["end"], end, line)
        return line

    def test_endpoint_stalled(self):
        def stalling(endpoint, conn):
            read_head(conn)
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            read_all(conn)
        self.start(stalling, service={"timeouts": {"idle_ms": 200}})
        with self.proxy.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            read_all(sock)
        self.assertEqual(self.lines(1)[0]["end"], "endpoint_stalled")

    def test_client_gone_before_the_answer(self):
        def slow(endpoint, conn):
            read_head(conn)
            time.sleep(0.5)
            conn.sendall(OK)
        self.start(slow)
        sock = self.proxy.connect()
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.1)
        sock.close()
        line = self.lines(1)[0]
        self.assertEqual((line["end"], line["status"]), ("client_gone", None))
        self.assertEqual(line["received_bytes"], len(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"))

    def test_client_stalled(self):
        def endless(endpoint, conn):
            read_head(conn)
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                conn.sendall(b"x" * 100000)
        self.start(endless, service={"timeouts": {"idle_ms": 500}})
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", self.proxy.port))
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(self.lines(1)[0]["end"], "client_stalled")

    def test_a_tunnel_has_one_line_when_it_ends(self):
        def websocket(endpoint, conn):
            head, _ = read_head(conn)
            conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := conn.recv(1000):
                conn.sendall(data)
        self.start(websocket)
        with self.proxy.connect() as sock:
            sock.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            head, _ = read_head(sock)
            self.assertIn(b"101", head)
            sock.sendall(b"ping" * 10)
            self.assertEqual(sock.recv(100), b"ping" * 10)
            time.sleep(0.3)
            self.assertFalse(os.path.exists(self.path) and self.text())
        line = self.lines(1)[0]
        self.assertEqual((line["status"], line["end"], line["target"]), (101, "done", "/ws"))
        self.assertGreater(line["total_ms"], 250)

    def test_tcp_sessions(self):
        def echo(endpoint, conn):
            conn.sendall(conn.recv(100) * 2)
        self.start(echo, protocol="tcp")
        with self.proxy.connect() as sock:
            sock.sendall(b"hello")
            self.assertEqual(read_all(sock), b"hellohello")
        lines = self.lines(2)  # Proxy's first look is a session too
        line = next(one for one in lines if one["received_bytes"] == 5)
        self.assertEqual((line["protocol"], line["sent_bytes"], line["end"], line["endpoint"]), ("tcp", 10, "done", "n/0"))

    def test_pipelined_requests_and_a_forwarded_client(self):
        self.start(answering(OK), listener={"trusted_proxies": ["127.0.0.0/8"]})
        with self.proxy.connect() as sock:
            sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.%d\r\n\r\n" % (i, i) for i in range(20)))
            rest = b""
            for _ in range(20):
                _, _, _, rest = read_response(sock, rest)
        lines = self.lines(20)
        self.assertEqual([(line["target"], line["forwarded_for"]) for line in lines], [(f"/{i}", f"9.9.9.{i}") for i in range(20)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
