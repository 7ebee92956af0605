"""Clients that stall, each on a connection and a thread of its own, and what each must get all the same."""
import hashlib
import socket
import threading
import time

BIG_BYTES = 3_000_000


def read_answer(sock, pause=0.0):
    """(status, headers, body) of one answer; `pause` seconds between reads of at most 64 KiB."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise OSError(f"closed after {len(data)} bytes of the head")
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        time.sleep(pause)
        piece = sock.recv(65536)
        if not piece:
            raise OSError(f"closed after {len(body)} of {length} bytes of the body")
        body += piece
    return int(lines[0].split()[1]), headers, body


class Staller:
    def __init__(self, port, each):
        self.port, self.each = port, each
        self.problems, self.done, self.lock = [], {}, threading.Lock()
        self.threads = [threading.Thread(target=self._play, args=(kind,), daemon=True)
                        for kind in (self.slow_read, self.slow_write, self.half_close, self.split_head) for _ in range(each)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def finish(self):
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.problems.append("a stalling client did not end within 60 s")
                break
        return self.problems[:10]

    def words(self):
        return ", ".join(f"{count} x {name}" for name, count in sorted(self.done.items()))

    def _play(self, kind):
        name = kind.__name__.replace("_", " ")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=40) as sock:
                problem = kind(sock)
        except (OSError, ValueError) as error:
            problem = repr(error)
        with self.lock:
            self.done[name] = self.done.get(name, 0) + 1
            if problem:
                self.problems.append(f"{name}: {problem}")

    @staticmethod
    def slow_read(sock):
        """Three megabytes, 64 KiB every 50 ms, after a second of nothing."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(f"GET /big.php?bytes={BIG_BYTES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(1)
        status, headers, body = read_answer(sock, pause=0.05)
        if status != 200 or len(body) != BIG_BYTES or hashlib.sha256(body).hexdigest() != headers["x-content-sha256"]:
            return f"status {status}, {len(body)} bytes"
        return None

    @staticmethod
    def slow_write(sock):
        """A body of 100 bytes, one every 30 ms."""
        body = bytes(range(100))
        sock.sendall(f"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            sock.sendall(bytes([byte]))
            time.sleep(0.03)
        status, headers, _ = read_answer(sock)
        if status != 200 or headers.get("x-body-sha256") != hashlib.sha256(body).hexdigest():
            return f"status {status}, {headers}"
        return None

    @staticmethod
    def half_close(sock):
        """Says that it will send no more, right behind the request: the answer comes all the same."""
        sock.sendall(b"GET /slow.php?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        status, _, _ = read_answer(sock)
        return None if status == 200 else f"status {status}"

    @staticmethod
    def split_head(sock):
        """The head in pieces, a second between them: within head_timeout that is a good request."""
        for piece in (b"GE", b"T / HTTP/1.1\r\nHo", b"st: a\r\n", b"\r\n"):
            sock.sendall(piece)
            time.sleep(0.7)
        status, _, _ = read_answer(sock)
        return None if status == 200 else f"status {status}"
