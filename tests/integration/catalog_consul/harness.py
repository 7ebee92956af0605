"""Starts the two servers under comparison, ours and a real Consul, each on free ports and in a folder of its own."""
import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))

from ports import free_port  # noqa: E402

CONSUL = "/usr/bin/consul"
SKIPPED = 77


class Server:
    def __init__(self, name, port, process):
        self.name, self.port, self.process = name, port, process
        atexit.register(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
            connection.putrequest(method, path, skip_accept_encoding=True)
            data = data.encode() if isinstance(data, str) else data
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            for key, value in (headers or {}).items():
                connection.putheader(key, value)
            connection.endheaders(data)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def index(self):
        value = self.headers.get("X-Consul-Index")
        return None if value is None else int(value)

    def json(self):
        return json.loads(self.text)


def start_ours(binary, data_dir=None):
    if data_dir is None:
        data_dir = tempfile.mkdtemp(prefix="ringway-catalog-")
        atexit.register(shutil.rmtree, data_dir, True)
    process = subprocess.Popen([binary, data_dir], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{binary} did not start: exit status {process.wait()}")
    return Server("ringway", int(line), process)


def start_consul():
    if not os.access(CONSUL, os.X_OK):
        print(f"skipped: {CONSUL} is not installed")
        sys.exit(SKIPPED)
    port = free_port()
    command = [CONSUL, "agent", "-dev", "-client", "127.0.0.1", "-bind", "127.0.0.1", "-node", "consul-node",
               "-dns-port", "-1", "-grpc-port", "-1", "-http-port", str(port)]
    for option in ("-serf-lan-port", "-serf-wan-port", "-server-port"):
        command += [option, str(free_port())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server("consul", port, process)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            # The leader has registered its own node and the agent has synced: writes are quiet from here on.
            node = server.get("/v1/catalog/node/consul-node")
            if node.status == 200 and node.json() and node.json()["Node"]["Meta"]:
                return server
        except (OSError, http.client.HTTPException, ValueError):
            pass
        time.sleep(0.05)
    raise SystemExit("consul did not come up within 20 s")


def quote(text):
    return urllib.parse.quote(text, safe="")
