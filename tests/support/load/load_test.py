#!/usr/bin/env python3
"""Plants one fault a server can have and expects ringway-load to count it under its name; and none where there is none. A load
tool that overlooks failures would make every test that uses it worthless."""
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "ringway-load"
ORIGIN = sys.argv.pop(1) if len(sys.argv) > 1 else "ringway-origin"


def read_request(connection):
    """(request line, headers, body) or None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = dict((k.lower(), v.strip()) for k, v in (line.split(":", 1) for line in lines[1:]))
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return lines[0], headers, body


def response(body=b"hello", status="200 OK", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "X-Served-By: here", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def right_answer(request):
    line, _, body = request
    target = line.split()[1]
    if target.startswith("/echo"):
        return response(headers=[f"X-Body-Length: {len(body)}", f"X-Body-SHA256: {hashlib.sha256(body).hexdigest()}"])
    if "bytes=" in target:
        content = b"x" * int(target.split("bytes=")[1])
        return response(content, headers=[f"X-Content-SHA256: {hashlib.sha256(content).hexdigest()}"])
    return response()


class Server:
    """Answers on a free port; `answer(request, number of the request on its connection)` gives the bytes to send, and
    `after(connection, number)` may close it (true)."""

    def __init__(self, answer, after=lambda connection, number: False):
        self.answer, self.after = answer, after
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        number = 0
        with connection:
            try:
                while request := read_request(connection):
                    number += 1
                    data = self.answer(request, number)
                    if data is None:
                        return
                    connection.sendall(data)
                    if self.after(connection, number):
                        return
            except OSError:
                return

    def close(self):
        self.listener.close()


def close_with_reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def load(port, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        done = subprocess.run([PROGRAM, "--url", f"http://127.0.0.1:{port}/", "--rate", "100", "--duration", "0.5", "--connections", "3",
                               "--mix", "get=1", "--json", path, *arguments], capture_output=True, text=True, timeout=60, check=False)
        with open(path) as file:
            return done.returncode, json.load(file)


class LoadTool(unittest.TestCase):
    def run_load(self, answer, *arguments, after=lambda connection, number: False):
        server = Server(answer, after)
        try:
            status, report = load(server.port, *arguments)
        finally:
            server.close()
        self.assertEqual(report["requests"], report["ok"] + report["failed"])
        self.assertEqual(sum(entry["count"] for entry in report["failures"].values()), report["failed"])
        self.assertEqual(status, 1 if report["failed"] else 0)
        return report

    def expect_all_fail(self, kind, report):
        self.assertEqual(set(report["failures"]), {kind})
        self.assertEqual(report["failures"][kind]["count"], report["requests"])
        self.assertEqual(len(report["failures"][kind]["samples"]), 5)

    def test_nothing_wrong_nothing_counted(self):
        report = self.run_load(lambda request, _: right_answer(request), "--mix", "get=1,post=1,big=1", "--new-connections", "0.3")
        self.assertEqual((report["requests"], report["ok"], report["failed"]), (50, 50, 0))
        self.assertEqual(report["endpoints"]["here"]["requests"], 50)
        self.assertEqual((report["keepalive"]["races"], report["keepalive"]["closed_while_idle"]), (0, 0))
        self.assertEqual(sum(report["series"]["ok"]), 50)

    def test_status(self):
        self.expect_all_fail("status", self.run_load(lambda *_: response(status="503 Service Unavailable")))

    def test_short_body(self):
        def answer(_request, _number):
            return b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        self.expect_all_fail("short_body", self.run_load(answer, after=lambda *_: True))

    def test_body_of_the_wrong_length_asked_for(self):
        def answer(request, _number):
            content = b"x" * max(0, int(request[0].split("bytes=")[1].split()[0]) - 1)
            return response(content, headers=[f"X-Content-SHA256: {hashlib.sha256(content).hexdigest()}"])
        report = self.run_load(answer, "--mix", "big=1")
        self.assertGreater(report["failures"]["short_body"]["count"], 40)

    def test_changed_response_byte(self):
        def answer(*_):
            return response(b"hellO", headers=[f"X-Content-SHA256: {hashlib.sha256(b'hello').hexdigest()}"])
        self.expect_all_fail("wrong_checksum", self.run_load(answer))

    def test_changed_request_byte(self):
        def answer(request, _number):
            body = request[2]
            return right_answer((request[0], request[1], body[:-1] + b"\0\0"[: len(body[-1:])] if body[-1:] != b"\0" else body + b"x"))
        report = self.run_load(answer, "--mix", "post=1")
        self.assertGreater(report["failures"]["wrong_checksum"]["count"], 40)

    def test_no_checksum_of_a_big_body(self):
        self.assertIn("wrong_checksum", self.run_load(lambda *_: response(b""), "--mix", "big=1", "--big-bytes", "0")["failures"])

    def test_broken_chunk(self):
        def answer(*_):
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"
        self.expect_all_fail("bad_response", self.run_load(answer, after=lambda *_: True))

    def test_chunked_body_is_read(self):
        def answer(*_):
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n"
        self.assertEqual(self.run_load(answer)["failed"], 0)

    def test_bytes_behind_the_response(self):
        report = self.run_load(lambda *_: response() + b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(set(report["failures"]), {"bad_response"})

    def test_connection_closed_without_an_answer(self):
        self.expect_all_fail("closed", self.run_load(lambda *_: None, "--new-connections", "1"))

    def test_connection_reset(self):
        def answer(*_):
            return b""  # nothing yet; after() resets
        def after(connection, _number):
            close_with_reset(connection)
            return True
        self.expect_all_fail("reset", self.run_load(answer, "--new-connections", "1", after=after))

    def test_connection_refused(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            _, report = load(unused.getsockname()[1])
        self.expect_all_fail("connect_refused", report)

    def test_silence_is_a_timeout(self):
        forever = threading.Event()
        report = self.run_load(lambda *_: forever.wait(20) and None, "--timeout", "0.3")
        self.expect_all_fail("timeout", report)

    def test_keep_alive_connection_closed_between_requests_is_told_apart(self):
        report = self.run_load(lambda request, _: right_answer(request), after=lambda _, number: number == 3)
        self.assertEqual(report["failed"], 0)
        self.assertGreater(report["keepalive"]["races"] + report["keepalive"]["closed_while_idle"], 5)

    def test_keep_alive_connection_closed_under_a_request_is_a_race(self):
        report = self.run_load(lambda request, number: right_answer(request) if number < 3 else None)
        self.assertEqual(report["failed"], 0)
        self.assertGreater(report["keepalive"]["races"], 5)

    def test_latency_counts_from_the_intended_start(self):
        # One connection and 50 ms an answer serve 20 a second; at 100 a second the last ones wait for seconds.
        stall = threading.Event()
        report = self.run_load(lambda request, _: stall.wait(0.05) or right_answer(request), "--connections", "1")
        self.assertEqual(report["failed"], 0)
        self.assertGreater(report["latency_ms"]["max"], 1500)

    def recorded(self, answer, *arguments, after=lambda connection, number: False):
        """(report, the record file's lines as lists)"""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "record")
            report = self.run_load(answer, "--record", path, *arguments, after=after)
            with open(path) as file:
                return report, [line.rstrip("\n").split("\t") for line in file]

    def test_every_request_is_recorded(self):
        ids = []

        def answer(request, _number):
            ids.append(request[1]["x-load-id"])
            return right_answer(request) if len(ids) % 2 else response(status="503 Service Unavailable", headers=["Retry-After: 7"])
        report, lines = self.recorded(answer, "--mix", "get=1,post=1", "--new-connections", "0.5", "--seed", "3")
        self.assertEqual(len(lines), report["requests"])
        self.assertEqual(sorted(f"3-{line[0]}" for line in lines), sorted(ids))
        for _, intended, sent, ended, *_ in lines:
            self.assertTrue(int(intended) <= int(sent) <= int(ended))
        failed = [line for line in lines if line[8]]
        self.assertEqual(len(failed), report["failed"])
        self.assertEqual({(line[7], line[8], line[10]) for line in failed}, {("503", "status", "7")})
        self.assertEqual({line[9] for line in lines}, {"here"})

    def test_a_race_is_recorded_with_its_request(self):
        report, lines = self.recorded(lambda request, number: right_answer(request) if number < 3 else None)
        self.assertEqual(sum(int(line[6]) for line in lines), report["keepalive"]["races"])
        self.assertGreater(report["keepalive"]["races"], 5)

    def test_bursts_come_together_and_jitter_shifts_them(self):
        _, lines = self.recorded(lambda request, _: right_answer(request), "--burst", "10", "--rate", "50")
        self.assertEqual(len({line[1] for line in lines}), 3)
        self.assertEqual(len(lines), 30)
        _, lines = self.recorded(lambda request, _: right_answer(request), "--burst", "10", "--rate", "50", "--jitter", "50")
        bursts = sorted({int(line[1]) for line in lines})
        self.assertEqual(len(bursts), 3)
        self.assertNotIn(200000, [later - earlier for earlier, later in zip(bursts, bursts[1:])])

    def test_the_light_server_answers_what_is_checked(self):
        with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.close()
            log = os.path.join(folder, "acted")
            origin = subprocess.Popen([ORIGIN, "--port", str(port), "--log", log])
            try:
                while subprocess.run([PROGRAM, "--url", f"http://127.0.0.1:{port}/", "--duration", "0.01"], capture_output=True,
                                     check=False).returncode != 0:
                    self.assertIsNone(origin.poll())
                _, report = load(port, "--mix", "get=1,post=1,big=1,slow=1", "--slow-ms", "20", "--seed", "9")
            finally:
                origin.terminate()
                origin.wait()
            self.assertEqual((report["failed"], report["requests"]), (0, 50))
            with open(log) as file:
                acted = [line.split()[0] for line in file if line.startswith("9-")]
            self.assertEqual(len(set(acted)), 50)
            self.assertEqual(set(report["endpoints"]), {f"127.0.0.1:{port}"})


if __name__ == "__main__":
    unittest.main()
