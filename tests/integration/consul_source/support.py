"""What the tests of a real Consul as the catalog share: Consul servers, a proxy that can fail in every known way, the control
plane and the dataplane under test. Everything is on loopback with free ports; what is started here is ended here, by its pid.
"""
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))

from ports import free_port  # noqa: E402

BIN = os.environ["RINGWAY_BIN"]
HANG_GUARD_S = float(os.environ.get("HANG_GUARD_S", 60))
PORT_KEYS = ("http", "https", "server", "serf_lan", "serf_wan")


def wait_until(condition, what):
    """The first true value of `condition()`; the bound only guards against hanging."""
    deadline = time.monotonic() + HANG_GUARD_S
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what() if callable(what) else what} (last: {last!r})")


class Process:
    def __init__(self, command, log_path, **options):
        self.command, self.log_path, self.options = command, log_path, options
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self.options)

    def log(self):
        with open(self.log_path, errors="replace") as text:
            return text.read()

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Consul(Process):
    """One real Consul server with its state on disk, so that it can be killed and started again. `more` is merged into its config."""

    def __init__(self, root, name="s1", address="127.0.0.1", join=(), expect=1, more=None, token=None):
        self.name, self.address, self.token = name, address, token
        self.ports = {key: free_port(address) for key in PORT_KEYS}
        self.url = f"http://{address}:{self.ports['http']}"
        folder = os.path.join(root, name)
        os.makedirs(folder)
        config = {"server": True, "bootstrap_expect": expect, "node_name": name, "data_dir": os.path.join(folder, "data"),
                  "bind_addr": address, "client_addr": address, "disable_update_check": True, "leave_on_terminate": False,
                  "retry_join": list(join), "retry_interval": "300ms", "performance": {"raft_multiplier": 1},
                  "gossip_lan": {"probe_interval": "100ms", "probe_timeout": "100ms", "suspicion_mult": 3, "gossip_interval": "50ms"},
                  "ports": {"dns": -1, "grpc": -1, "https": -1, **{k: self.ports[k] for k in PORT_KEYS if k != "https"}}}
        for key, value in (more(self) if more else {}).items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
        path = os.path.join(folder, "config.json")
        with open(path, "w") as file:
            json.dump(config, file)
        super().__init__(["consul", "agent", "-config-file", path], os.path.join(folder, "log"))

    def serf(self):
        return f"{self.address}:{self.ports['serf_lan']}"

    def request(self, method, path, body=None, token=None):
        connection = http.client.HTTPConnection(self.address, self.ports["http"], timeout=20)
        try:
            token = token or self.token
            connection.request(method, path, None if body is None else json.dumps(body), {"X-Consul-Token": token} if token else {})
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            if response.status != 200:
                raise ValueError(f"{method} {path}: {response.status} {text}")
            return json.loads(text) if text.strip() else None
        finally:
            connection.close()

    def wait_leader(self):
        wait_until(lambda: self.request("GET", "/v1/status/leader"), lambda: "a leader; the log is:\n" + self.log()[-3000:])
        wait_until(lambda: self.request("GET", "/v1/catalog/nodes"), "the catalog is readable")

    def leader(self):
        return self.request("GET", "/v1/status/leader")

    def register(self, service, instance, address="127.0.0.1", port=1, node=None, **more):
        """On a node of its own, so that no agent's anti-entropy takes it away and every server may be asked."""
        self.request("PUT", "/v1/catalog/register", {"Node": node or f"node-{instance}", "Address": address, "SkipNodeUpdate": False,
                                                     "Service": {"ID": instance, "Service": service, "Address": address, "Port": port}, **more})

    def deregister(self, instance, node=None):
        self.request("PUT", "/v1/catalog/deregister", {"Node": node or f"node-{instance}", "ServiceID": instance})


class Cluster:
    """Three servers on 127.0.0.x."""

    def __init__(self, root):
        self.servers = []
        for i in (1, 2, 3):
            join = [server.serf() for server in self.servers]
            self.servers.append(Consul(root, f"s{i}", f"127.0.0.{i + 10}", join=join, expect=3))
        self.start()

    def start(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_leader()

    def leader(self):
        address = wait_until(lambda: next((s.leader() for s in self.alive()), None), "a leader")
        return next(server for server in self.servers if address == f"{server.address}:{server.ports['server']}")

    def alive(self):
        return [server for server in self.servers if server.process.poll() is None]

    def stop(self):
        for server in self.servers:
            server.kill()


class FaultProxy:
    """Between the control plane and one Consul. `mode` says what happens to each answer from now on, on paths that begin with
    `only`; `hits` counts what was done. A mode that begins with "once:" is done once, then all is well again.

    pass, 500, hang, garbage, truncated, object, no-index, backwards, empty, slow, close"""

    def __init__(self, upstream):
        self.upstream = upstream
        self.mode, self.only, self.hits = "pass", "/", {}
        self.paths = []   # asked for, in order
        self.hit_at = {}  # mode -> how many there were when it was last done
        self.open = set()
        self.cut = set()
        self.changed = threading.Condition()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                proxy.serve(self)

            do_POST = do_GET

            def setup(self):
                super().setup()
                proxy.open.add(self.connection)

            def finish(self):
                proxy.open.discard(self.connection)
                proxy.cut.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 1024

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def set(self, mode, only="/"):
        """From now on; questions that wait at Consul are ended, as the end of their connection would."""
        with self.changed:
            self.mode, self.only = mode, only
            self.hits.pop(mode.removeprefix("once:"), None)
            self.changed.notify_all()

    def set_and_cut(self, mode, only="/"):
        self.set(mode, only)
        for connection in list(self.open):
            self.cut.add(connection)
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def hit(self, mode):
        return self.hits.get(mode, 0)

    def take_mode(self, path):
        with self.changed:
            if not path.startswith(self.only):
                return "pass"
            mode = self.mode
            if mode == "once:backwards" and "index=" not in path:
                return "pass"  # only a question that blocks can see one
            if mode.startswith("once:"):
                self.mode = "pass"
            mode = mode.removeprefix("once:")
            self.hits[mode] = self.hits.get(mode, 0) + 1
            self.hit_at[mode] = len(self.paths)
            return mode

    def fetch(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        connection = http.client.HTTPConnection(self.upstream.address, self.upstream.ports["http"], timeout=120)
        headers = {key: value for key, value in handler.headers.items() if key.lower() not in ("host", "connection")}
        connection.request(handler.command, handler.path, body, headers)
        response = connection.getresponse()
        answer = response.status, response.getheader("X-Consul-Index"), response.read()
        connection.close()
        return answer

    def serve(self, handler):
        self.paths.append(handler.path)
        if self.mode == "hang" and handler.path.startswith(self.only):
            return self.hang(handler)
        try:
            status, index, body = self.fetch(handler)
        except (OSError, http.client.HTTPException):
            handler.close_connection = True
            return None
        if handler.connection in self.cut:  # nobody is there to get what a mode does
            handler.close_connection = True
            return None
        mode = self.take_mode(handler.path)
        if mode == "hang":
            return self.hang(handler)
        if mode == "close":
            handler.close_connection = True
            return None
        if mode == "500":
            status, body = 500, b"rpc error making call: something broke"
        elif mode == "garbage":
            body = b"<html>\x00\xff\xfe this is no JSON" * 1000
        elif mode == "object":
            body = b'{"Error": "not the list you wanted"}'
        elif mode == "empty":
            body = b"[]"
        elif mode == "backwards":
            index, body = "1", b"[]"
        elif mode == "no-index":
            index = None
        return self.answer(handler, status, index, body, mode)

    def answer(self, handler, status, index, body, mode):
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        if index is not None:
            handler.send_header("X-Consul-Index", index)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if mode == "truncated":
            handler.wfile.write(body[:len(body) // 2])
            handler.close_connection = True
        elif mode == "slow":
            for i in range(0, len(body), max(1, len(body) // 50)):
                handler.wfile.write(body[i:i + max(1, len(body) // 50)])
                handler.wfile.flush()
                time.sleep(0.02)
        else:
            handler.wfile.write(body)

    def hang(self, handler):
        with self.changed:
            self.hits["hang"] = self.hits.get("hang", 0) + 1
            while self.mode == "hang":
                self.changed.wait()
        handler.close_connection = True

    def close(self):
        self.set("close")
        self.server.shutdown()
        self.server.server_close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ControlPlane(Process):
    """The real ringway-controlplane with a Consul as its catalog. `catalog` is merged into that section of the config."""

    def __init__(self, root, addresses, services=("web",), catalog=None, http_port=None, stats_port=None, service=None):
        self.root = root
        os.makedirs(os.path.join(root, "data"), exist_ok=True)
        http_port, stats_port = (http_port, stats_port) if http_port else (free_port(), free_port())
        self.http_port, self.stats_port = http_port, stats_port
        self.config = {
            "catalog": {"type": "consul", "address": addresses, "data_dir": os.path.join(root, "data"), **(catalog or {})},
            "listeners": [{"name": "main", "bind": f"127.0.0.1:{http_port}", "protocol": "http",
                           "routes": [{"service": services[0]}, *({"path": f"/{name}", "service": name} for name in services[1:])]}],
            "services": {name: {"health_check": False, **(service or {})} for name in services},
            "stats": {"bind": f"127.0.0.1:{stats_port}", "user": "u", "password": "p"}}
        self.path = os.path.join(root, "ringway.json")
        self.write_config()
        super().__init__([os.path.join(BIN, "ringway-controlplane"), "-c", self.path, "--run-dir", root], os.path.join(root, "controlplane.log"))
        self.start()

    def write_config(self):
        with open(self.path, "w") as file:
            json.dump(self.config, file)

    def request(self, method, target):
        connection = UnixConnection(os.path.join(self.root, "control.sock"))
        try:
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.request("GET", "/status")[1])

    def catalog(self):
        return self.status()["catalog"]

    def ok(self):
        return self.catalog()["ok"]

    def endpoints(self, service="web"):
        """{part of the id behind the node: endpoint}"""
        found = next(s for s in self.status()["services"] if s["name"] == service)
        return {e["id"].split("/", 1)[1]: e for e in found["endpoints"]}

    def ready(self, service="web"):
        return sorted(name for name, endpoint in self.endpoints(service).items() if endpoint["state"] == "ready")

    def wait_ready(self, names, service="web"):
        wait_until(lambda: self.ready(service) == sorted(names),
                   lambda: f"{service} has {names} ready; the log is:\n{self.log()[-3000:]}")

    def wait_ok(self, wanted=True):
        return wait_until(lambda: self.catalog()["ok"] == wanted and self.catalog(),
                          lambda: f"the catalog is {'' if wanted else 'not '}ok; the log is:\n{self.log()[-3000:]}")


class Dataplane(Process):
    def __init__(self, root):
        super().__init__([os.path.join(BIN, "ringway-dataplane"), "--workers", "1", "--run-dir", root, "--state-dir", root],
                         os.path.join(root, "dataplane.log"))
        self.start()


class Origin:
    """Answers every GET with its name."""

    def __init__(self, name):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def open_files(pid):
    """What each open file of a process is, as /proc tells it; one that closes meanwhile is left out."""
    links = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except FileNotFoundError:
            pass
    return links


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Case(unittest.TestCase):
    """A test with a folder of its own; whatever it started is stopped at its end, and logs are shown when it failed."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="ringway-consul-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.started = []

    def folder(self, name):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    def keep(self, thing):
        self.addCleanup(thing.stop if hasattr(thing, "stop") else thing.close)
        return thing

    def consul(self, **options):
        server = self.keep(Consul(self.root, **options))
        server.start()
        server.wait_leader()
        return server

    def plane(self, addresses, **options):
        return self.keep(ControlPlane(self.folder("plane"), addresses, **options))


def main():
    """Runs the tests of the calling file. Where Consul is not installed they are skipped, and the exit status says so."""
    if shutil.which("consul") is None:
        print("skipped: consul is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
