"""Long bodies and streams arrive byte for byte, in every framing, both ways, to readers fast and slow; and one that is cut
short is seen to be, and leaves nothing behind: no pipe, no buffer, no connection."""
import hashlib
import os
import random
import socket
import sys
import threading
import time
import unittest

from proxy import Endpoint, Proxy, headers_of, read_head

MB = 1 << 20
BLOCK = random.Random(7).randbytes(MB + 4099)  # a prime-ish length: blocks never fall in step with buffers


def blocks(size):
    """The same `size` bytes each time, a piece at a time."""
    at = 0
    while at < size:
        piece = BLOCK[:min(len(BLOCK), size - at)]
        yield piece
        at += len(piece)


def digest(size):
    total = hashlib.sha256()
    for piece in blocks(size):
        total.update(piece)
    return total.hexdigest()


def take(sock, size, already=b"", pause=None):
    """Reads `size` bytes; their digest, and what lies behind them. pause(bytes so far) is called between reads."""
    total, done = hashlib.sha256(already[:size]), min(len(already), size)
    rest = already[size:]
    while done < size:
        got = sock.recv(min(MB, size - done))
        if not got:
            raise AssertionError(f"ended after {done} of {size} bytes")
        total.update(got)
        done += len(got)
        if pause:
            pause(done)
    return total.hexdigest(), rest


def take_chunked(sock, already=b""):
    """Reads a chunked body to its end; digest and size of what it carries."""
    total, size = hashlib.sha256(), 0
    stream = sock.makefile("rb", buffering=MB)

    def line():
        nonlocal already
        while b"\r\n" not in already:
            already += stream.read1(65536) or (_ for _ in ()).throw(AssertionError("ended within a chunked body"))
        first, _, already = already.partition(b"\r\n")
        return first

    while length := int(line().split(b";")[0], 16):
        while length + 2 > len(already):
            already += stream.read1(MB) or (_ for _ in ()).throw(AssertionError("ended within a chunk"))
        total.update(already[:length])
        size += length
        already = already[length + 2:]
    line()
    return total.hexdigest(), size


def send_chunked(sock, size):
    sizes = random.Random(3)
    for piece in blocks(size):
        at = 0
        while at < len(piece):
            length = min(len(piece) - at, sizes.choice((1, 700, 4096, 16384, 100000, 900000)))
            sock.sendall(b"%x\r\n" % length + piece[at:at + length] + b"\r\n")
            at += length
    sock.sendall(b"0\r\n\r\n")


def slowly(done):
    if (done // 65536) % 8 == 0:
        time.sleep(0.002)


class Server:
    """GET /length/N, /chunked/N, /close/N, /stop/N (promises N, sends half, resets); POST and PUT: swallows, answers the digest."""

    def __init__(self):
        self.aborted = threading.Event()  # a client went away while a body was under way

    def __call__(self, endpoint, conn):
        rest = b""
        while True:
            head, rest = read_head(conn, rest)
            if not head:
                return
            method, path = head.split(b" ")[:2]
            fields = headers_of(head)
            if method in (b"POST", b"PUT"):
                if "transfer-encoding" in fields:
                    got, _ = take_chunked(conn, rest)
                    rest = b""
                else:
                    pause = slowly if path == b"/slow" else None
                    got, rest = take(conn, int(fields["content-length"][0]), rest, pause)
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + got.encode())
                continue
            kind, size = path.split(b"/")[1:]
            try:
                if not self.answer(conn, kind, int(size)):
                    return
            except OSError:
                self.aborted.set()
                return

    def answer(self, conn, kind, size):
        """False when the connection ends with it."""
        if kind == b"chunked":
            conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            send_chunked(conn, size)
            return True
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if kind == b"close" else b"Content-Length: %d\r\n" % size) + b"\r\n")
        for piece in blocks(size if kind != b"stop" else size // 2):
            conn.sendall(piece)
        if kind == b"stop":
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return kind == b"length"


class Bulk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.endpoint = Endpoint(cls.server)
        cls.proxy = Proxy([cls.endpoint])

    @classmethod
    def tearDownClass(cls):
        assert cls.proxy.stop() == 0
        cls.endpoint.close()

    def worker(self, proxy=None):
        return (proxy or self.proxy).stats()["workers"][0]

    def assert_clean(self, proxy=None):
        """Nothing is held once all is over, and nothing ended in a way that nobody foresaw."""
        for _ in range(100):
            worker = self.worker(proxy)
            held = {name: worker[name] for name in ("pipes_used", "buffers_small_used", "buffers_large_used", "exchanges_open")}
            if not any(held.values()):
                break
            time.sleep(0.05)
        self.assertEqual(held, dict.fromkeys(held, 0))
        self.assertEqual(worker["unexpected"], 0)

    def get(self, sock, path):
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        head, rest = read_head(sock)
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
        return rest

    def put(self, sock, path, size):
        sock.sendall(b"PUT " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for piece in blocks(size):
            sock.sendall(piece)
        head, rest = read_head(sock)
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
        while len(rest) < 64:
            rest += sock.recv(64)
        self.assertEqual(rest.decode(), digest(size))

    def test_responses_of_many_sizes_on_one_connection(self):
        with self.proxy.connect() as sock:
            for size in (0, 1, 16000, 16384, 16385, 32768, 32769, 100000, 262144, 262145, 300000, MB, MB + 1, 3 * MB):
                got, rest = take(sock, size, self.get(sock, b"/length/%d" % size))
                self.assertEqual((got, rest), (digest(size), b""), size)
        self.assert_clean()

    def test_a_response_of_100_mb_is_spliced(self):
        before = self.worker()["bytes_spliced"]
        self.assertEqual(self.worker()["bulk"], "splice")
        with self.proxy.connect() as sock:
            got, rest = take(sock, 100 * MB, self.get(sock, b"/length/%d" % (100 * MB)))
            self.assertEqual((got, rest), (digest(100 * MB), b""))
            self.assertEqual(take(sock, 5, self.get(sock, b"/length/5"))[0], digest(5))
        self.assertGreater(self.worker()["bytes_spliced"] - before, 95 * MB)
        self.assert_clean()

    def test_a_slow_reader_gets_all_and_holds_others_up_by_nothing(self):
        with socket.socket() as slow, self.proxy.connect() as other:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            slow.settimeout(20)
            slow.connect(("127.0.0.1", self.proxy.port))
            first = self.get(slow, b"/length/%d" % (20 * MB))
            self.assertEqual(take(other, MB, self.get(other, b"/length/%d" % MB))[0], digest(MB))
            self.assertEqual(take(slow, 20 * MB, first, slowly)[0], digest(20 * MB))
        self.assert_clean()

    def test_an_upload_of_100_mb_and_one_to_a_slow_endpoint(self):
        with self.proxy.connect() as sock:
            self.put(sock, b"/", 100 * MB)
            self.put(sock, b"/slow", 20 * MB)
            self.put(sock, b"/", 100000)
        self.assert_clean()

    def test_chunked_both_ways(self):
        with self.proxy.connect() as sock:
            got, size = take_chunked(sock, self.get(sock, b"/chunked/%d" % (30 * MB)))
            self.assertEqual((size, got), (30 * MB, digest(30 * MB)))
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            send_chunked(sock, 30 * MB)
            head, rest = read_head(sock)
            while len(rest) < 64:
                rest += sock.recv(64)
            self.assertEqual(rest.decode(), digest(30 * MB))
        self.assert_clean()

    def test_a_body_that_ends_with_its_connection(self):
        with self.proxy.connect() as sock:
            self.assertEqual(take(sock, 30 * MB, self.get(sock, b"/close/%d" % (30 * MB)))[0], digest(30 * MB))
            self.assertEqual(sock.recv(1), b"")
        self.assert_clean()

    def test_a_client_that_goes_in_the_middle_frees_everything(self):
        self.server.aborted.clear()
        with self.proxy.connect() as sock:
            take(sock, 3 * MB, self.get(sock, b"/length/%d" % (500 * MB)))
        self.assertTrue(self.server.aborted.wait(10), "the endpoint was not told")
        self.assert_clean()

    def test_an_endpoint_that_resets_in_the_middle_cuts_the_response(self):
        with self.proxy.connect() as sock:
            with self.assertRaises((AssertionError, ConnectionResetError)):
                take(sock, 40 * MB, self.get(sock, b"/stop/%d" % (40 * MB)))
        self.assert_clean()

    def test_more_slow_readers_than_pipes_and_large_buffers(self):
        readers = []
        for _ in range(150):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(20)
            sock.connect(("127.0.0.1", self.proxy.port))
            readers.append((sock, self.get(sock, b"/length/%d" % (8 * MB))))
        end = time.monotonic() + 15
        full = self.worker()
        while (full["pipes_used"], full["buffers_large_used"]) != (64, 64) and time.monotonic() < end:
            time.sleep(0.2)
            full = self.worker()
        self.assertEqual((full["pipes_used"], full["buffers_large_used"]), (64, 64), "both ran out")
        self.assertGreater(full["buffers_small_used"], 0)
        for sock, first in readers:
            self.assertEqual(take(sock, 8 * MB, first)[0], digest(8 * MB))
            sock.close()
        self.assert_clean()


class WhereSpliceIsRefused(unittest.TestCase):
    def test_all_is_copied_and_that_is_said_once(self):
        endpoint = Endpoint(Server())
        proxy = Proxy([endpoint], before=(sys.executable, os.path.join(os.path.dirname(__file__), "refuse_splice.py")))
        try:
            with proxy.connect() as sock:
                self.assertEqual(take(sock, 20 * MB, Bulk.get(self, sock, b"/length/%d" % (20 * MB)))[0], digest(20 * MB))
                Bulk.put(self, sock, b"/", 20 * MB)
            worker = self.worker(proxy)
            self.assertEqual((worker["bulk"], worker["bytes_spliced"]), ("copy (splice refused)", 0))
            Bulk.assert_clean(self, proxy)
            time.sleep(1.5)  # the log is looked after once a second
            proxy.log.seek(0)
            self.assertEqual(proxy.log.read().count("splice(2) is refused here"), 1)
        finally:
            code = proxy.stop()
            endpoint.close()
        self.assertEqual(code, 0)

    worker = Bulk.worker


class Stream(unittest.TestCase):
    def test_tcp_100_mb_both_ways_at_once_with_half_close(self):
        size, seen = 100 * MB, []

        def script(_, conn):
            if not conn.recv(1, socket.MSG_PEEK):
                return  # it was only looked at whether the listener is there
            reader = threading.Thread(target=lambda: seen.append(take(conn, size)[0]))
            reader.start()
            for piece in blocks(size):
                conn.sendall(piece)
            reader.join()
            seen.append(conn.recv(1))  # the client's end, passed on
            conn.sendall(b"bye")

        endpoint = Endpoint(script)
        proxy = Proxy([endpoint], protocol="tcp")
        try:
            with proxy.connect() as sock:
                got = []
                reader = threading.Thread(target=lambda: got.append(take(sock, size)[0]))
                reader.start()
                for piece in blocks(size):
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
                reader.join()
                self.assertEqual(sock.recv(3, socket.MSG_WAITALL), b"bye")
                self.assertEqual(sock.recv(1), b"")
            self.assertEqual(got, [digest(size)])
            self.assertEqual(seen, [digest(size), b""])
            Bulk.assert_clean(self, proxy)
        finally:
            code = proxy.stop()
            endpoint.close()
        self.assertEqual(code, 0)

    worker = Bulk.worker


if __name__ == "__main__":
    unittest.main(verbosity=2)
