"""A real ringway-dataplane between raw sockets: endpoints whose answers a test scripts byte by byte, and a client.

The dataplane runs from a snapshot file, without a control plane. Everything is on loopback with free ports; what is started here
is ended here, by its pid.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))

from ports import free_port  # noqa: E402

BIN = os.environ["RINGWAY_BIN"]


def read_head(sock, already=b""):
    data = already
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def headers_of(head):
    result = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        result.setdefault(name.strip().lower().decode(), []).append(value.strip().decode())
    return result


class Endpoint:
    """Accepts connections and calls script(connection, first_bytes_reader) in a thread of its own for each. `address` is where the
    dataplane finds it."""

    def __init__(self, script, bind="127.0.0.1", address="127.0.0.1"):
        self.script = script
        self.address = address
        self.connections = 0
        self.requests = []  # heads, in order
        self.lock = threading.Lock()
        self.listener = socket.create_server((bind, 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            conn.settimeout(60)
            with self.lock:
                self.connections += 1
                self.open.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            self.script(self, conn)
        except OSError:
            pass
        finally:
            conn.close()

    def note(self, head):
        with self.lock:
            self.requests.append(head)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.open:
            conn.close()


def answering(response, close=False):
    """A script that answers every request with the same bytes (a body is read by its length), or by response(head, body)."""

    def script(endpoint, conn):
        rest = b""
        while True:
            head, rest = read_head(conn, rest)
            if not head:
                return
            endpoint.note(head)
            length = int(headers_of(head).get("content-length", ["0"])[0])
            while len(rest) < length:
                more = conn.recv(1 << 16)
                if not more:
                    return
                rest += more
            body, rest = rest[:length], rest[length:]
            conn.sendall(response(head, body) if callable(response) else response)
            if close:
                return

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Proxy:
    """One dataplane process with one listener, for the endpoints given. Options go into the listener and the service, `before`
    stands before the command."""

    def __init__(self, endpoints, protocol="http", listener=None, service=None, snapshot=None, before=()):
        self.port, self.stats_port = free_port(), free_port()
        self.dir = tempfile.TemporaryDirectory(prefix="ringway-http-")
        document = {
            "type": "snapshot", "epoch": "test", "version": 1,
            "listeners": [{"name": "main", "bind": f"127.0.0.1:{self.port}", "protocol": protocol,
                           "routes": [{"host": "", "path": "", "service": "web"}], **(listener or {})}],
            "services": [{"name": "web", "endpoints": [
                {"id": f"n/{i}", "generation": 1, "address": e.address, "port": e.port, "weight": 1, "state": "ready"}
                for i, e in enumerate(endpoints)], **(service or {})}],
            "stats": {"bind": f"127.0.0.1:{self.stats_port}", "user": "u", "password": "p"},
            **(snapshot or {}),
        }
        path = os.path.join(self.dir.name, "snapshot.json")
        with open(path, "w") as f:
            json.dump(document, f)
        self.log = open(os.path.join(self.dir.name, "log"), "w+")
        self.process = subprocess.Popen(
            [*before, os.path.join(BIN, "ringway-dataplane"), "--snapshot", path, "--workers", "1", "--run-dir", self.dir.name,
             "--state-dir", self.dir.name], stdout=self.log, stderr=self.log)
        self._wait_ready()

    def _wait_ready(self):
        for _ in range(400):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        raise AssertionError("the dataplane did not come up:\n" + self.log.read())

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        sock.settimeout(20)
        return sock

    def stats(self):
        import base64
        import urllib.request
        request = urllib.request.Request(f"http://127.0.0.1:{self.stats_port}/stats.json",
                                         headers={"Authorization": "Basic " + base64.b64encode(b"u:p").decode()})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.log.close()
        self.dir.cleanup()
        return code


def read_all(sock):
    data = b""
    while True:
        try:
            more = sock.recv(1 << 16)
        except ConnectionResetError:
            return data + b"<RST>"
        if not more:
            return data
        data += more


def read_response(sock, rest=b"", head_only=False):
    """(status, headers, body, bytes behind it). Bodies by length or chunked (given back with their framing)."""
    head, rest = read_head(sock, rest)
    status = int(head.split(b" ", 2)[1])
    headers = headers_of(head)
    if head_only or status in (204, 304) or status < 200:
        return status, headers, b"", rest
    if "content-length" in headers:
        length = int(headers["content-length"][0])
        while len(rest) < length:
            more = sock.recv(1 << 16)
            if not more:
                break
            rest += more
        return status, headers, rest[:length], rest[length:]
    if headers.get("transfer-encoding") == ["chunked"]:
        while not (rest.endswith(b"0\r\n\r\n") or b"\r\n0\r\n" in rest and rest.endswith(b"\r\n\r\n")):
            more = sock.recv(1 << 16)
            if not more:
                break
            rest += more
        return status, headers, rest, b""
    return status, headers, rest + read_all(sock), b""
