"""What two parsers could read differently is refused, the connection closed, and nothing of it reaches an endpoint."""
import re
import time
import unittest

from proxy import OK, Endpoint, Proxy, answering, read_all, read_head, read_response

HOST = b"Host: a\r\n"
BAD = {
    "length with transfer encoding": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "differing lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "listed lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4, 4\r\n\r\nabcd",
    "empty length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: \r\n\r\n",
    "signed length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +4\r\n\r\nabcd",
    "hexadecimal length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x4\r\n\r\nabcd",
    "overlong length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "unknown coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding twice": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "quoted coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding from 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "control byte in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\x01: a\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n",
    "space before the first field": b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "control byte in the target": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "non-ASCII target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "bad method": b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "Connection names a framing field": b"POST / HTTP/1.1\r\n" + HOST + b"Connection: content-length\r\nContent-Length: 2\r\n\r\nab",
    "chunk size with a sign": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "chunk size not a number": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "overlong chunk extension": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 5000 + b"\r\na\r\n0\r\n\r\n",
}


class Refusal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.endpoint = Endpoint(answering(OK))
        cls.proxy = Proxy([cls.endpoint], listener={"target_bytes_max": 1000, "head_bytes_max": 4000})

    @classmethod
    def tearDownClass(cls):
        assert cls.proxy.stop() == 0
        cls.endpoint.close()

    def exchange(self, data):
        with self.proxy.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def expect(self, status, data):
        answer = self.exchange(data)
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:200])
        self.assertEqual(len(re.findall(rb"HTTP/1\.1 \d", answer)), 1)
        self.assertIn(b"\r\nConnection: close\r\n", answer)

    def test_bad_requests_are_400_and_closed(self):
        for name, data in BAD.items():
            with self.subTest(name):
                before = len(self.endpoint.requests)
                # What follows on the connection must not be taken for a request.
                self.expect(400, data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(len(self.endpoint.requests), before)

    def test_limits_and_versions(self):
        self.expect(414, b"GET /" + b"a" * 1500 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        self.expect(431, b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5000 + b"\r\n\r\n")
        self.expect(505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n")
        self.expect(501, b"CONNECT a:80 HTTP/1.1\r\n" + b"Host: a:80\r\n\r\n")

    def test_a_good_request_still_works(self):
        with self.proxy.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            self.assertEqual(read_response(sock)[0], 200)

    def test_chunk_broken_after_a_forwarded_part_is_400(self):
        def reads_for_ever(endpoint, conn):
            endpoint.note(read_head(conn)[0])
            endpoint.note(read_all(conn))

        endpoint = Endpoint(reads_for_ever)
        proxy = Proxy([endpoint])
        with proxy.connect() as sock:
            sock.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            while not endpoint.requests:
                time.sleep(0.01)
            sock.sendall(b"zz\r\n")
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 400 "))
        self.assertEqual(proxy.stop(), 0)
        endpoint.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
