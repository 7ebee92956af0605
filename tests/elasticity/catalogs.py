"""The two catalogs under test: the embedded one, which is a part of the control plane, and a real Consul behind a gate that can
make it vanish, hang, answer slowly or answer nonsense."""
import json
import os
import random
import shutil
import socket
import socketserver
import threading
import time
import urllib.request

import paths  # adds tests/support
import ports
import ringway_client as rw
from processes import Process

CONSUL_MODES = ("pass", "refuse", "hang", "slow", "error", "garbage", "truncate", "backwards")


def put(url, path, body=None, timeout=10):
    request = urllib.request.Request(url + path, method="PUT", data=json.dumps(body).encode() if body is not None else b"")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as answer:
        return answer.read()


class Api:
    """What a registrar does, on either catalog."""

    def __init__(self, url):
        self.url = url
        self.catalog = rw.Catalog(url)

    def register(self, service, identity, address, port, ttl="600s", status="passing", extra=None):
        body = {"ID": identity, "Name": service, "Address": address, "Port": port, "Check": {"TTL": ttl, "Status": status}}
        body.update(extra or {})
        put(self.url, "/v1/agent/service/register", body)

    def deregister(self, identity):
        put(self.url, f"/v1/agent/service/deregister/{identity}")

    def maintenance(self, identity, on):
        put(self.url, f"/v1/agent/service/maintenance/{identity}?enable={'true' if on else 'false'}&reason=test")

    def set_check(self, identity, status):
        put(self.url, f"/v1/agent/check/update/service:{identity}", {"Status": status, "Output": "by the test"})


class Embedded:
    """Lives in the control plane: World starts it."""
    name = "embedded"
    gate = None

    def __init__(self, folder):
        pass

    def config(self, port, data_dir):
        return {"type": "embedded", "listen": f"127.0.0.1:{port}", "data_dir": data_dir}

    def url(self, port):
        return f"http://127.0.0.1:{port}"

    def close(self):
        pass


class Consul:
    """One real Consul server with its data on disk, for all scenarios of a run: each has a service name of its own."""
    name = "consul"

    def __init__(self, folder, gated=True):
        self.gated = gated
        if shutil.which("consul") is None:
            raise FileNotFoundError("consul is not installed; scripts/install-deps test installs it")
        numbers = {name: ports.free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        self.port = numbers["http"]
        data = os.path.join(folder, "consul")
        os.makedirs(data, exist_ok=True)
        config = os.path.join(folder, "consul.json")
        # Raft as fast as on a production server (the default is for small machines), and more than 200 connections from here.
        with open(config, "w") as out:
            json.dump({"performance": {"raft_multiplier": 1}, "limits": {"http_max_conns_per_client": 4000}}, out)
        self.process = Process("consul", ["consul", "agent", "-server", "-bootstrap-expect=1", f"-data-dir={data}", f"-config-file={config}",
                                          "-client=127.0.0.1", "-bind=127.0.0.1", "-node=node-under-test", f"-http-port={numbers['http']}",
                                          f"-server-port={numbers['server']}", "-dns-port=-1", "-grpc-port=-1",
                                          f"-serf-lan-port={numbers['serf_lan']}", f"-serf-wan-port={numbers['serf_wan']}",
                                          "-log-level=warn"], folder)
        self.start()
        self.gate = Gate(self.port)

    def start(self):
        self.process.start()
        rw.wait_until(self._leader, 40, "Consul to have a leader")

    def _leader(self):
        return rw.get_json(f"http://127.0.0.1:{self.port}/v1/status/leader") != "" and \
            rw.get(f"http://127.0.0.1:{self.port}/v1/catalog/nodes")[0] == 200

    def config(self, port, data_dir):
        """`port` is not used: Consul has its own. The control plane comes through the gate, unless times are measured."""
        return {"type": "consul", "address": f"http://127.0.0.1:{self.gate.port if self.gated else self.port}", "data_dir": data_dir}

    def url(self, _port):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.gate.close()
        self.process.end()


class Gate:
    """A TCP relay between the control plane and Consul. `mode` decides what a client meets from now on; a change of mode breaks
    what is open, as a failing server does, except for "hang", which freezes it."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.mode = "pass"
        self.requests = 0
        self.open = set()
        self.lock = threading.Lock()
        gate = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                gate.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def set(self, mode):
        assert mode in CONSUL_MODES, mode
        self.mode = mode
        if mode == "hang":
            return
        with self.lock:
            for sock in list(self.open):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.set("refuse")
        self.server.shutdown()
        self.server.server_close()

    def serve(self, client):
        with self.lock:
            self.open.add(client)
        try:
            while self.serve_one(client):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(client)

    def serve_one(self, client):
        """One request and its answer; False when the connection is done."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return False
            head += piece
        self.requests += 1
        answer = self.answer(head)
        while self.mode == "hang":  # it read the request and never answers
            time.sleep(0.05)
        if answer is None:
            return False
        client.sendall(answer)
        return True

    def answer(self, head):
        if self.mode == "refuse":
            return None
        if self.mode == "slow":
            time.sleep(random.uniform(1.0, 2.0))
        if self.mode == "error":
            return b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 17\r\n\r\nNo cluster leader"
        if self.mode == "garbage":
            return b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: 999999999\r\nContent-Length: 19\r\n\r\n[{"Node": {"Node": '
        raw = self.forward(head)
        if raw is None:
            return None
        if self.mode == "truncate":
            return raw[:max(20, len(raw) - 40)] if len(raw) > 60 else None
        if self.mode == "backwards":  # an index that falls, as after a restore: the client starts from 0
            return raw.replace(b"X-Consul-Index: ", b"X-Consul-Index: 0000000001\r\nX-Was: ", 1)
        return raw

    def forward(self, head):
        """The whole answer of Consul on a connection of its own, or None."""
        with socket.create_connection(("127.0.0.1", self.target_port), timeout=5) as upstream:
            with self.lock:
                self.open.add(upstream)
            try:
                lines = head.split(b"\r\n")
                kept = [line for line in lines if not line.lower().startswith(b"connection:")]
                upstream.settimeout(700)
                upstream.sendall(b"\r\n".join([kept[0], b"Connection: close", *kept[1:]]))
                data = b""
                while piece := upstream.recv(65536):
                    data += piece
                if b"\r\n\r\n" not in data:
                    return None
                return data.replace(b"Connection: close\r\n", b"", 1)
            finally:
                with self.lock:
                    self.open.discard(upstream)
