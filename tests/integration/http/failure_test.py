"""Endpoints that fail, lie and stall; clients that do; and the end of the process itself."""
import signal
import socket
import threading
import time
import unittest

from proxy import OK, Endpoint, Proxy, answering, free_port, read_all, read_head, read_response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"


class Refusing:
    """An endpoint whose port nobody listens on."""

    def __init__(self):
        self.address, self.port = "127.0.0.1", free_port()

    def close(self):
        pass


class Failure(unittest.TestCase):
    def setUp(self):
        self.endpoints, self.proxy = [], None

    def start(self, *scripts, **options):
        self.endpoints = [s if isinstance(s, Refusing) else Endpoint(s) for s in scripts]
        self.proxy = Proxy(self.endpoints, **options)
        return self.proxy

    def tearDown(self):
        if self.proxy is not None:
            self.assertEqual(self.proxy.stop(), 0)
        for endpoint in self.endpoints:
            endpoint.close()

    def ask(self, data=GET):
        with self.proxy.connect() as sock:
            sock.sendall(data)
            return read_response(sock)

    def test_refused_connect_goes_elsewhere_even_for_post(self):
        self.start(Refusing(), answering(OK), Refusing())
        for data in (GET, POST) * 10:
            self.assertEqual(self.ask(data)[0], 200)

    def test_more_refused_connects_than_retries_reach_the_one_that_lives(self):
        self.start(*[Refusing() for _ in range(6)], answering(OK), *[Refusing() for _ in range(6)])
        for data in (GET, POST) * 10:
            self.assertEqual(self.ask(data)[0], 200)

    def test_nobody_there_is_503_with_retry_after(self):
        self.start()
        status, headers, _, _ = self.ask()
        self.assertEqual((status, headers["retry-after"]), (503, ["1"]))

    def test_everybody_refuses_is_503(self):
        self.start(Refusing(), Refusing())
        self.assertEqual(self.ask()[0], 503)

    def test_pooled_upstream_that_died_is_replaced_without_loss(self):
        def script(endpoint, conn):  # answers once and closes a little later, as Apache's KeepAliveTimeout does
            head, _ = read_head(conn)
            endpoint.note(head)
            conn.sendall(OK)
            time.sleep(0.05)

        self.start(script, script)
        with self.proxy.connect() as sock:
            for i in range(60):
                sock.sendall(GET)
                self.assertEqual(read_response(sock)[0], 200)
                time.sleep((i % 5) * 0.0125 + 0.025)

    def test_death_before_the_first_byte_moves_get_but_not_post(self):
        def dies(endpoint, conn):
            head, _ = read_head(conn)
            endpoint.note(head)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

        self.start(dies, answering(OK))
        statuses = [self.ask(POST)[0] for _ in range(4)]  # few enough that passive health does not eject the endpoint
        self.assertEqual(set(statuses), {200, 502})
        self.assertEqual(statuses.count(502), len(self.endpoints[0].requests))
        for _ in range(6):
            self.assertEqual(self.ask(GET)[0], 200)
        self.assertGreater(len(self.endpoints[0].requests), statuses.count(502))

    def test_invalid_responses_are_502(self):
        for response in (b"HTTP/1.1 200\nX: y\n\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                         b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"HTTP/1.1 2"):
            with self.subTest(response):
                self.start(answering(response, close=True))
                self.assertEqual(self.ask()[0], 502)
                self.tearDown()
                self.proxy, self.endpoints = None, []

    def test_cut_response_is_seen_as_cut(self):
        self.start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", close=True))
        status, headers, body, _ = self.ask()
        self.assertEqual((status, headers["content-length"], len(body) < 100), (200, ["100"], True))

    def test_bytes_behind_a_response_never_reach_the_next_client(self):
        self.start(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
        for _ in range(10):
            self.assertEqual(self.ask()[2], b"ok")

    def test_silent_endpoint_is_504(self):
        def script(_, conn):
            read_head(conn)
            conn.recv(1)

        self.start(script, service={"timeouts": {"response_ms": 300}})
        self.assertEqual(self.ask()[0], 504)

    def test_slow_head_is_408_in_total_time(self):
        self.start(answering(OK), listener={"head_timeout_ms": 600})
        with self.proxy.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n")
            try:
                for _ in range(100):  # each byte comes well within the time-out
                    sock.sendall(b"X")
                    time.sleep(0.05)
            except OSError:
                pass
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 408 "))

    def test_idle_clients_are_closed(self):
        self.start(answering(OK), listener={"client_idle_ms": 300})
        with self.proxy.connect() as sock:
            sock.sendall(GET)
            self.assertEqual(read_response(sock)[0], 200)
            self.assertEqual(sock.recv(1), b"")

    def test_at_the_session_limit_connections_wait(self):
        self.start(answering(OK), snapshot={"sessions_max": 8})
        held = [self.proxy.connect() for _ in range(8)]
        for sock in held:
            sock.sendall(GET)
            self.assertEqual(read_response(sock)[0], 200)
        waiting = self.proxy.connect()
        waiting.sendall(GET)
        waiting.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            waiting.recv(1)
        held.pop().close()
        waiting.settimeout(20)
        self.assertEqual(read_response(waiting)[0], 200)
        for sock in held + [waiting]:
            sock.close()

    def test_sigterm_lets_requests_in_flight_end(self):
        release = threading.Event()

        def script(_, conn):
            read_head(conn)
            release.wait(20)
            conn.sendall(OK)

        self.start(script)
        with self.proxy.connect() as busy, self.proxy.connect() as idle:
            busy.sendall(GET)
            time.sleep(0.3)
            self.proxy.process.send_signal(signal.SIGTERM)
            self.assertEqual(idle.recv(1), b"")  # idle sessions are closed at once
            with self.assertRaises(OSError):
                for _ in range(100):
                    socket.create_connection(("127.0.0.1", self.proxy.port), 1).close()
                    time.sleep(0.05)
            release.set()
            status, headers, body, _ = read_response(busy)
            self.assertEqual((status, headers["connection"], body), (200, ["close"], b"ok"))

    def test_thousands_of_idle_connections_leave_nothing_behind(self):
        self.start(answering(OK))
        socks = [self.proxy.connect() for _ in range(2000)]
        for sock in socks[::20]:
            sock.sendall(GET)
            self.assertEqual(read_response(sock)[0], 200)
        for sock in socks:
            sock.close()
        for _ in range(200):
            stats = self.proxy.stats()
            if stats["listeners"][0]["sessions_open"] == 0:
                return
            time.sleep(0.05)
        self.fail(f"sessions are left: {stats['listeners'][0]}")

    def test_deferred_accept_serves_who_speaks_late_and_ends_who_does_not(self):
        self.start(answering(OK), listener={"defer_accept": True, "head_timeout_ms": 1500})
        with self.proxy.connect() as silent, self.proxy.connect() as late:
            time.sleep(0.3)
            self.assertEqual(self.proxy.stats()["listeners"][0]["sessions_open"], 0)
            late.sendall(GET)
            self.assertEqual(read_response(late)[0], 200)
            self.assertEqual(read_all(silent), b"")  # taken after about a second, and given its time


if __name__ == "__main__":
    unittest.main(verbosity=2)
