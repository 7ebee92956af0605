"""The clients: curl, redis-cli, redis-benchmark and dig, run in the client's namespace as anybody runs them, and what they say."""
import collections
import hashlib
import itertools
import os
import queue
import re
import subprocess
import threading
import time


class Client:
    """Starts programs in a namespace and, where `cgroup` is given, in that cgroup: connect delivery is for those."""

    def __init__(self, space, cgroup=None):
        self.space, self.cgroup = space, cgroup

    def start(self, *command, **options):
        def enter():
            if self.cgroup:
                with open(self.cgroup + "/cgroup.procs", "w") as procs:
                    procs.write("0")
        return subprocess.Popen(["ip", "netns", "exec", self.space.name, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=enter,
                                **options)

    def run(self, *command, given=None, timeout=30):
        """(status, stdout, stderr)"""
        process = self.start(*command, stdin=subprocess.PIPE)
        try:
            out, err = process.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return -1, b"", b"no end within %d s" % timeout
        return process.returncode, out, err


def host_port(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def http_get(client, where, path="/index.php", given=None, seconds=10):
    """(the instance's name, the body); raises OSError. The body's checksum is what the header says."""
    extra = ["--data-binary", "@-", "-H", "Expect:"] if given is not None else []
    status, out, err = client.run("curl", "-sS", "-i", "--fail", "--max-time", str(seconds), *extra, f"http://{where}{path}", given=given)
    if status != 0:
        raise OSError(f"curl: {status}: {err.decode()}")
    head, _, body = out.partition(b"\r\n\r\n")
    fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.decode().split("\r\n")[1:])}
    digest = fields.get("x-content-sha256")
    if digest and digest != hashlib.sha256(body).hexdigest():
        raise AssertionError(f"{where}{path}: {len(body)} bytes with another checksum")
    return fields["x-served-by"], body


# Two questions from one port within seconds are one flow, and go to one endpoint: each has a port of its own.
SOURCE_PORTS = itertools.cycle(range(20000, 60000))


def dns_ask(client, address, port, name, *options, seconds=2):
    """(the TXT strings, how it came: UDP or TCP, the whole answer); raises OSError."""
    source = f"{'::' if ':' in address else '0.0.0.0'}#{next(SOURCE_PORTS)}"
    status, out, _ = client.run("dig", "-b", source, f"@{address}", "-p", str(port), "TXT", name, "+tries=1", f"+timeout={seconds}", *options)
    text = out.decode()
    if status != 0 or "status: NOERROR" not in text:
        raise OSError(f"dig: {status}: {text[-300:]}")
    return re.findall(r'^\S+\s+\d+\s+IN\s+TXT\s+"(.*)"$', text, re.M), "TCP" if "(TCP)" in text else "UDP", text


class HeldRedis:
    """One redis-cli on one connection that counts up. It connects anew by itself when the connection breaks, to whichever: the
    connection's id and the endpoint's folder tell."""

    def __init__(self, client, address, port, key):
        self.key, self.count = key, 0
        self.process = client.start("redis-cli", "-h", address, "-p", str(port), stdin=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ask(f"DEL {key}")
        self.identity = self.ask("CLIENT ID"), self.endpoint()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.line()

    def line(self, seconds=20):
        try:
            return self.lines.get(timeout=seconds).strip()
        except queue.Empty:
            raise OSError(f"{self.key}: no answer within {seconds} s") from None

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def endpoint(self):
        return self.ask("CONFIG GET dir") and os.path.basename(self.line())

    def step(self):
        """The connection is the one that it was and the counter went up by one."""
        self.count += 1
        said = self.ask(f"INCR {self.key}"), (self.ask("CLIENT ID"), self.endpoint())
        if said != (str(self.count), self.identity):
            raise OSError(f"{self.key}: {said}, wanted {self.count} by {self.identity}")

    def last_words(self):
        """What it says to one more command."""
        self.process.stdin.write("PING\n")
        self.process.stdin.close()
        self.process.wait(20)
        self.reader.join(5)
        return "".join(self.lines.queue) + self.process.stderr.read()

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


class Repeat:
    """Does something again and again in a thread; keeps when it failed, and how often each endpoint answered."""

    def __init__(self, label, what, pause=0.02):
        self.label, self.what, self.pause = label, what, pause
        self.failures, self.answers, self.begins = [], collections.Counter(), []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopping.wait(self.pause):
            begin = time.monotonic()
            try:
                name = self.what()
                self.answers[name] += 1
                self.begins.append((begin, name))
            except (OSError, AssertionError) as error:
                self.failures.append((begin, f"{type(error).__name__}: {error}"))

    def answered_since(self, moment):
        """The endpoints that answered what was begun after `moment`."""
        return {name for begin, name in self.begins if begin > moment}

    def stop(self):
        self.stopping.set()
        self.thread.join(40)
