"""A real ringway-dataplane in the balancer's namespace, fed by the test as a control plane does (docs/reference/feed.md), with a
bpf file system of its own. What is started here is ended here, by its pid."""
import base64
import copy
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from network import FRONT, run

BIN = os.environ["RINGWAY_BIN"]


class Feed:
    """The control plane's end: sends whole snapshots, keeps what comes back."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.lock = threading.Lock()
        self.connections, self.acks, self.reports, self.refusals, self.snapshot = [], {}, {}, [], None
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(conn,), daemon=True).start()

    def _send(self, conn, message):
        payload = json.dumps(message).encode()
        try:
            conn.sendall(struct.pack(">I", len(payload)) + payload)
        except OSError:
            pass

    def _read(self, conn):
        stream = conn.makefile("rb")
        pid = None
        while len(length := self._bytes(stream, 4)) == 4:
            message = json.loads(self._bytes(stream, struct.unpack(">I", length)[0]))
            with self.lock:
                if message["type"] == "hello":
                    pid = message["pid"]
                    self.connections.append(conn)
                    if self.snapshot and (message["epoch"], message["version"]) == (self.snapshot["epoch"], self.snapshot["version"]):
                        self.acks[pid] = message["version"]  # it runs the kept one, which is the same
                    elif self.snapshot:
                        self._send(conn, self.snapshot)
                elif message["type"] == "ack":
                    self.acks[pid] = message["version"]
                elif message["type"] == "report":
                    self.reports[pid] = message
                elif message["type"] == "refuse":
                    self.refusals.append(message["reason"])
        with self.lock:
            if conn in self.connections:
                self.connections.remove(conn)
        stream.close()
        conn.close()

    @staticmethod
    def _bytes(stream, size):
        try:
            return stream.read(size)
        except OSError:  # a dataplane that was killed
            return b""

    def push(self, snapshot):
        with self.lock:
            self.snapshot = snapshot
            for conn in self.connections:
                self._send(conn, snapshot)

    def close(self):
        # The thread ends before the descriptor's number is another feed's.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for conn in self.connections:
            conn.close()


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what() if callable(what) else what}")


class Balancer:
    def __init__(self, network, endpoints, packet=None, listeners=None, **snapshot):
        self.network = network
        self.folder = tempfile.TemporaryDirectory(prefix="ringway-packet-")
        self.dir = self.folder.name
        self.bpf = os.path.join(self.dir, "bpf")
        os.mkdir(self.bpf)
        run("mount", "-t", "bpf", "bpf", self.bpf)
        self.pins = os.path.join(self.bpf, "ringway")
        self.feed = Feed(os.path.join(self.dir, "feed.sock"))
        self.processes, self.version = [], 0
        self.snapshot = {
            "type": "snapshot", "epoch": "test", "version": 0,
            "listeners": listeners or [
                {"name": "web", "bind": f"{FRONT}:80", "protocol": "tcp", "delivery": "packet", "routes": [{"host": "", "path": "", "service": "web"}]},
                {"name": "dns", "bind": f"{FRONT}:53", "protocol": "udp", "delivery": "packet", "routes": [{"host": "", "path": "", "service": "web"}]}],
            "services": [{"name": "web", "endpoints": endpoints}],
            "stats": {"bind": "127.0.0.1:9000", "user": "u", "password": "p"},
            "packet": {"pin_dir": self.pins, "flows_max": 4096, **(packet or {})},
            "shutdown_timeout_ms": 5000, **snapshot}

    def start(self, *arguments, wrapper=(), wait=True):
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "a") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.network.balancer.name, *wrapper, os.path.join(BIN, "ringway-dataplane"), "--run-dir", self.dir,
                 "--state-dir", os.path.join(self.dir, "state"), "--workers", "1", *arguments], stdout=log, stderr=log)
        self.processes.append(process)
        if self.version == 0:
            self.push()
        if wait:
            self.wait_applied(process)
        return process

    def words(self):
        with open(self.log) as log:
            return log.read()

    def push(self, endpoints=None, **changes):
        self.version += 1
        self.snapshot = copy.deepcopy(self.snapshot)
        self.snapshot.update(version=self.version, **changes)
        if endpoints is not None:
            self.snapshot["services"][0]["endpoints"] = endpoints
        self.feed.push(self.snapshot)

    def wait_applied(self, process=None):
        process = process or self.processes[-1]
        acked = lambda: self.feed.acks.get(process.pid) == self.version or process.poll() is not None or self.feed.refusals
        wait_until(acked, 20, lambda: "an ack:\n" + self.words())
        if self.feed.refusals:
            raise AssertionError(f"refused: {self.feed.refusals}")
        if process.poll() is not None:
            raise AssertionError("the dataplane has ended:\n" + self.words())

    def change(self, endpoints=None, **changes):
        """Pushed, acknowledged, and in the kernel."""
        self.push(endpoints, **changes)
        self.wait_applied()
        time.sleep(0.3)  # the acknowledgement is the workers'; the maps follow within a turn

    def stats(self, path="/stats.json"):
        sock = self.network.balancer.socket()
        sock.settimeout(10)
        sock.connect(("127.0.0.1", 9000))
        token = base64.b64encode(b"u:p").decode()
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {token}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while more := sock.recv(1 << 16):
            data += more
        sock.close()
        head, _, body = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise AssertionError(head.decode())
        return json.loads(body) if path.endswith(".json") else body.decode()

    def kill(self, process=None):
        process = process or self.processes[-1]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self, process=None):
        process = process or self.processes[-1]
        process.terminate()
        return process.wait(30)

    def traces(self):
        """What is left of packet delivery: pins, programs at interfaces, qdiscs."""
        left = sorted(os.listdir(self.pins)) if os.path.isdir(self.pins) else []
        seen = self.network.balancer.exec("bpftool", "net", "show")
        left += [line for line in seen.splitlines() if "l4_" in line]
        left += [line for line in self.network.balancer.exec("tc", "qdisc", "show").splitlines() if "clsact" in line]
        left += [line for line in self.network.balancer.exec("ip", "-d", "link", "show").splitlines() if "prog/xdp" in line]
        return left

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self.feed.close()
        run("umount", self.bpf, check=False)
        self.folder.cleanup()
