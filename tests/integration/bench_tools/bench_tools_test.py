#!/usr/bin/env python3
"""Load generator -> null proxy -> origin on loopback in every mode: all requests answered, none failed. Then one fault at a time,
which has to be counted under its name: a measurement that overlooks failures, or a wait, would be worthless."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))

from ports import free_port  # noqa: E402

LOAD, ORIGIN, PROXY = (sys.argv.pop(1) for _ in range(3))


def start(program, port, *arguments):
    """The program, listening on `port`."""
    process = subprocess.Popen([program, "--listen", f"127.0.0.1:{port}", *map(str, arguments)])
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"{program} does not listen")


def stop(process):
    process.send_signal(signal.SIGCONT)
    process.terminate()
    return process.wait(10)


def load_start(port, *arguments):
    command = [LOAD, "--target", f"127.0.0.1:{port}", "--seconds", "0.5", "--warmup", "0.1", "--timeout", "5", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def load(port, *arguments):
    process = load_start(port, *arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, process.returncode
    return json.loads(output)


class Server:
    """Accepts connections and hands each to `serve` in a thread of its own."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass
        connection.close()

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.listener.close()


def answers(bytes_sent, close=False):
    """A server that answers each request with these bytes."""
    def serve(connection):
        while connection.recv(65536):
            connection.sendall(bytes_sent)
            if close:
                return
    return Server(serve)


def ok(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class EveryMode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.processes, (cls.origin, cls.proxy, cls.tcp_origin, cls.tcp_proxy) = [], (free_port() for _ in range(4))
        cls.processes.append(start(ORIGIN, cls.origin))
        cls.processes.append(start(ORIGIN, cls.tcp_origin, "--tcp", "--request", 64, "--response", 100000))
        cls.processes.append(start(PROXY, cls.proxy, "--to", f"127.0.0.1:{cls.origin}"))
        cls.processes.append(start(PROXY, cls.tcp_proxy, "--to", f"127.0.0.1:{cls.tcp_origin}"))

    @classmethod
    def tearDownClass(cls):
        assert [stop(process) for process in cls.processes] == [0, 0, 0, 0]

    def whole(self, *arguments, port=None):
        report = load(port or self.proxy, *arguments)
        self.assertEqual(report["failures"], {})
        self.assertGreater(report["requests"], 0)
        latency = report["latency_us"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"])
        return report

    def test_small_answers(self):
        for connections in (1, 64):
            report = self.whole("--connections", connections)
            self.assertEqual(report["connections_opened"], connections)

    def test_a_number_of_requests(self):
        self.assertEqual(self.whole("--requests", 1000, "--seconds", 40, "--warmup", 0, "--connections", 1)["requests"], 1000)

    def test_large_answers_come_whole(self):
        for path in ("/b/100000", "/b/3000000", "/chunked/3000000"):
            report = self.whole("--path", path, "--connections", 4)
            self.assertGreater(report["bytes"], (report["requests"] - 4) * int(path.split("/")[-1]))

    def test_many_bulk_connections_share_the_large_buffers(self):
        self.whole("--path", "/b/3000000", "--connections", 100, "--timeout", 20)

    def test_bodies(self):
        for size in (1, 1024, 100000, 3000000):
            self.whole("--post", size, "--connections", 4)

    def test_new_connections(self):
        report = self.whole("--new-connections", "--connections", 8)
        self.assertGreaterEqual(report["connections_opened"], report["requests"])

    def test_the_peer_closes_after_each_answer(self):
        report = self.whole("--path", "/close/1000", "--connections", 8)
        self.assertGreaterEqual(report["connections_opened"], report["requests"])

    def test_a_rate_is_held_exactly(self):
        report = self.whole("--rate", 2000, "--seconds", 1, "--connections", 16)
        self.assertEqual(report["requests"], 2000)
        self.assertIn("late_us", report)

    def test_idle_connections_stay(self):
        self.assertEqual(self.whole("--idle", 500, "--connections", 4)["connections_opened"], 504)

    def test_messages(self):
        report = self.whole("--tcp", "--response", 100000, "--connections", 4, port=self.tcp_proxy)
        self.assertGreater(report["bytes"], (report["requests"] - 4) * 100000)

    def test_datagrams(self):
        port = free_port()
        origin = subprocess.Popen([ORIGIN, "--listen", f"127.0.0.1:{port}", "--udp"])
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("127.0.0.1", port))
                probe.settimeout(0.05)
                for _ in range(200):
                    try:
                        probe.send(b"there?")
                        self.assertEqual(probe.recv(100), b"there?")
                        break
                    except OSError:
                        time.sleep(0.02)
            for size in (1, 64, 9000):
                self.whole("--udp", "--request", size, "--connections", 8, port=port)
        finally:
            self.assertEqual(stop(origin), 0)
        # The kernel takes a ring apart after its process has ended, and the socket with it.
        for _ in range(20):
            failures = list(load(port, "--udp", "--connections", 2, "--timeout", 0.2)["failures"])
            if failures == ["refused"]:
                break
        self.assertEqual(failures, ["refused"])

    def test_lost_datagrams_are_counted(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            report = load(silent.getsockname()[1], "--udp", "--connections", 2, "--timeout", 0.2)
        self.assertEqual((list(report["failures"]), report["requests"]), (["timeout"], 0))

    def test_pipelined_requests_are_answered_in_order(self):
        with socket.create_connection(("127.0.0.1", self.proxy)) as connection:
            connection.sendall(b"".join(b"GET /b/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size for size in (1, 200000, 2)) +
                               b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + b"GET /close/7 HTTP/1.1\r\nHost: a\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        sizes = []
        while received:
            head, rest = received.split(b"\r\n\r\n", 1)
            sizes.append(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            self.assertEqual(rest[:sizes[-1]], b"x" * sizes[-1])
            received = rest[sizes[-1]:]
        self.assertEqual(sizes, [1, 200000, 2, 2, 7])

    def test_the_proxy_relays_every_byte_and_each_end(self):
        sent, seen = os.urandom(5000000), []

        def swallow_then_answer(connection):
            seen.append(hashlib.sha256(b"".join(iter(lambda: connection.recv(65536), b""))).digest())
            connection.sendall(sent)
        port = free_port()
        with Server(swallow_then_answer) as backend:
            proxy = start(PROXY, port, "--to", f"127.0.0.1:{backend}")
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(sent)
                    connection.shutdown(socket.SHUT_WR)
                    received = b"".join(iter(lambda: connection.recv(65536), b""))
            finally:
                self.assertEqual(stop(proxy), 0)
        self.assertIn(hashlib.sha256(sent).digest(), seen)
        self.assertEqual(received, sent)


class EachFault(unittest.TestCase):
    def only(self, kind, report, answered=False):
        self.assertEqual(list(report["failures"]), [kind])
        self.assertEqual(report["requests"] > 0, answered)

    def test_nobody_listens(self):
        self.only("refused", load(free_port(), "--connections", 2))

    def test_another_length_than_asked_for(self):
        with answers(ok(b"x" * 100)) as port:
            self.only("length", load(port, "--connections", 2))

    def test_closed_within_the_body(self):
        with answers(ok(b"x" * 200)[:-1], close=True) as port:
            self.only("length", load(port, "--connections", 2))

    def test_closed_before_the_answer(self):
        with answers(b"", close=True) as port:
            self.only("closed", load(port, "--connections", 2))

    def test_not_2xx(self):
        with answers(ok(b"x" * 200).replace(b"200 OK", b"503 No", 1)) as port:
            self.only("status", load(port, "--connections", 2))

    def test_no_http(self):
        with answers(b"hello\r\n\r\n") as port:
            self.only("malformed", load(port, "--connections", 2))

    def test_no_answer_ever(self):
        with answers(b"") as port:
            report = load(port, "--connections", 2, "--timeout", 0.3, "--seconds", 1)
            self.only("timeout", report)

    def test_a_reset(self):
        def serve(connection):
            connection.recv(1)  # and leaves the rest unread
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with Server(serve) as port:
            self.only("reset", load(port, "--connections", 2))

    def test_an_idle_connection_is_closed(self):
        seen = []

        def serve(connection):
            seen.append(connection)
            first = len(seen) == 1
            while connection.recv(65536):
                connection.sendall(ok(b"x" * 200))
                if first:
                    return
        with Server(serve) as port:
            report = load(port, "--connections", 1, "--idle", 3)
        self.assertEqual(report["failures"], {"idle_closed": 1})

    def test_more_than_can_be_sent(self):
        with answers(b"") as port:
            report = load(port, "--connections", 2, "--rate", 1000, "--timeout", 0.3)
        self.assertEqual(report["requests"], 0)
        self.assertGreater(report["failures"]["unsent"], 400)
        self.assertGreater(report["failures"]["timeout"], 0)

    def test_the_origin_dies(self):
        port, proxy_port = free_port(), free_port()
        origin = start(ORIGIN, port)
        proxy = start(PROXY, proxy_port, "--to", f"127.0.0.1:{port}")
        try:
            for target in (port, proxy_port):
                running = load_start(target, "--seconds", 1, "--connections", 8)
                time.sleep(0.5)
                origin.kill()
                origin.wait()
                report = json.loads(running.communicate(timeout=30)[0])
                self.assertGreater(report["requests"], 0)
                self.assertGreater(sum(report["failures"].values()), 8)
                self.assertLessEqual(set(report["failures"]), {"refused", "reset", "closed", "length"})
                origin = start(ORIGIN, port)
        finally:
            stop(origin)
            self.assertEqual(stop(proxy), 0)

    def test_a_stall_shows_in_every_request_that_was_due_meanwhile(self):
        port = free_port()
        origin = start(ORIGIN, port)
        try:
            running = load_start(port, "--rate", 1000, "--connections", 4, "--seconds", 2, "--warmup", 0)
            time.sleep(0.8)
            origin.send_signal(signal.SIGSTOP)
            time.sleep(0.6)
            origin.send_signal(signal.SIGCONT)
            report = json.loads(running.communicate(timeout=30)[0])
        finally:
            stop(origin)
        self.assertEqual((report["failures"], report["requests"]), ({}, 2000))
        # 600 of the 2000 were due while it stood still; in a closed loop it would have been 4.
        self.assertGreater(report["latency_us"]["max"], 590000)
        self.assertGreater(report["latency_us"]["p90"], 200000)


class CommandLines(unittest.TestCase):
    def test_exit_codes_and_words(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            for program, arguments, code, words in (
                    (LOAD, ["--help"], 0, "--rate"),
                    (ORIGIN, ["--help"], 0, "--listen"),
                    (PROXY, ["--help"], 0, "--to"),
                    (LOAD, [], 2, "--target is required"),
                    (LOAD, ["--target", "localhost"], 2, "wanted ADDRESS:PORT"),
                    (ORIGIN, ["--listen", "127.0.0.1:9-1"], 2, "wanted ADDRESS:PORT"),
                    (PROXY, ["--listen", "127.0.0.1:1"], 2, "--to is required"),
                    (ORIGIN, ["--listen", address], 1, "Address already in use")):
                done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=10, check=False)
                self.assertEqual(done.returncode, code, (program, arguments))
                self.assertIn(words, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
