"""One scenario's Ringway: control plane and dataplane as processes of their own (or `ringway up`), a catalog, a load, endpoints. All on
loopback; what it started it ends."""
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time

import paths
import ports
import ringway_client as rw
from catalogs import Api
from endpoints import Apache, Light, Origin, acted_twice
from judge import failures, judge, latencies_ms, read_records
from processes import Process

_networks = itertools.count(1)


class World:
    def __init__(self, name, catalog, folder, settings=None, top=None, up=False, workers=2):
        self.name, self.catalog = name, catalog
        self.service = f"web-{name}".replace("_", "-")
        self.folder = tempfile.mkdtemp(prefix=f"{catalog.name}-{name}-", dir=folder)
        os.chmod(self.folder, 0o755)
        self.html = self.pages()
        network = next(_networks)
        self.network = f"127.{32 + os.getpid() % 180}.{network % 250}"
        self.ports = {what: ports.free_port() for what in ("http", "stats", "catalog")}
        self.http_url = f"http://127.0.0.1:{self.ports['http']}/"
        self.catalog_url = catalog.url(self.ports["catalog"])
        self.api = Api(self.catalog_url)
        self.stats = rw.Stats(f"http://127.0.0.1:{self.ports['stats']}")
        self.endpoints, self.lights, self.loads, self.others = [], [], [], []
        self.config = {"catalog": catalog.config(self.ports["catalog"], os.path.join(self.folder, "data")),
                       "listeners": [{"name": "web", "bind": f"127.0.0.1:{self.ports['http']}", "protocol": "http",
                                      "routes": [{"service": self.service}]}],
                       "services": {self.service: {"health_check": {"method": "HEAD", "path": "/", "host": "localhost", "interval": "2s",
                                                                    "rise": 2, "fall": 3}, **(settings or {})}},
                       "stats": {"bind": f"127.0.0.1:{self.ports['stats']}", "user": "admin", "password": "admin"}}
        for key, value in (top or {}).items():
            self.config[key] = {**self.config.get(key, {}), **value} if isinstance(value, dict) else value
        self.config_path = os.path.join(self.folder, "ringway.json")
        self.write_config()
        self.run_dir, self.state_dir = os.path.join(self.folder, "run"), os.path.join(self.folder, "state")
        for path in (self.run_dir, self.state_dir):
            os.makedirs(path)
        run = ["--run-dir", self.run_dir]
        state = ["--state-dir", self.state_dir, "--workers", str(workers)]
        self.control = Process("controlplane", [paths.program("ringway-controlplane"), "-c", self.config_path, *run], self.folder)
        self.data = Process("dataplane", [paths.program("ringway-dataplane"), *run, *state], self.folder)
        self.up = Process("up", [paths.program("ringway"), "up", "-c", self.config_path, *run, *state], self.folder) if up else None

    def pages(self):
        """The web image's pages, and one that takes its time over a body."""
        folder = os.path.join(self.folder, "html")
        shutil.copytree(paths.HTML, folder)
        with open(os.path.join(folder, "slow_echo.php"), "w") as out:
            out.write("<?php usleep(40000); require __DIR__ . '/echo.php';\n")
        return folder

    def write_config(self):
        with open(self.config_path, "w") as out:
            json.dump(self.config, out, indent=1)

    def __enter__(self):
        for process in [self.up] if self.up else [self.control, self.data]:
            process.start()
        try:
            rw.wait_until(self._begun, 20, "Ringway to answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begun(self):
        for process in [self.up] if self.up else [self.control, self.data]:
            if not process.alive():
                raise rw.GaveUp(f"{process.name} ended with {process.process.returncode}:\n{process.last_words()}")
        return self.stats.ready() and rw.get(self.catalog_url + "/v1/status/leader")[0] == 200

    def __exit__(self, *_):
        for load in self.loads:
            load.kill()
        for endpoint in [*self.endpoints, *self.lights, *self.others]:
            endpoint.end()
        for process in [self.up, self.control, self.data]:
            if process:
                process.end()

    # --- endpoints

    def address(self, number):
        """A loopback address nobody else uses: 127.x.y.NUMBER, or beyond 250 with the next y."""
        first, second, third = self.network.rsplit(".", 2)
        return f"{first}.{second}.{(int(third) + number // 250) % 256}.{number % 250 + 1}"

    def apache(self, **options):
        """One more, not yet started."""
        return self.endpoint(Apache, **options)

    def origin(self, **options):
        return self.endpoint(Origin, **options)

    def endpoint(self, kind, at=None, **options):
        """`at` is (address, port), else it gets some of its own."""
        number = len(self.endpoints) + 1
        address = at[0] if at else options["namespace"].address if options.get("namespace") else self.address(number)
        port = at[1] if at else ports.free_port(address) if not options.get("namespace") else 80
        endpoint = kind(self, f"{self.service}-{number}", address, port, **options)
        self.endpoints.append(endpoint)
        return endpoint

    def start(self, count, serving=True, **options):
        """`count` more Apaches, started at once; returns when each has answered through the balancer."""
        new = [self.apache(**options).start() for _ in range(count)]
        if serving:
            self.wait_serving(new)
        return new

    def light(self):
        self.lights.append(Light(self))
        return self.lights[-1]

    def wait_serving(self, endpoints, timeout=30):
        missing = {endpoint.name for endpoint in endpoints}

        def seen():
            for endpoint in endpoints:
                if not endpoint.sidecar.alive():
                    raise rw.GaveUp(f"{endpoint.name} has ended:\n{endpoint.sidecar.last_words()}")
            status, headers, _ = rw.get(self.http_url)
            if status == 200:
                missing.discard(headers.get("X-Served-By"))
            return not missing

        rw.wait_until(seen, timeout, f"an answer of {sorted(missing)}", interval=0.01)

    # --- `ringway up`

    def children(self, program):
        """Process ids of a program below `ringway up`, the youngest last."""
        found = []
        for pid in sorted(self.up.tree()[1:]):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")).split(".")[0].split(" ")[0] == program:
                    found.append(pid)
            except OSError:
                pass
        return found

    def child(self, program):
        """The youngest of them, 0 while there is none."""
        return ([0] + self.children(program))[-1]

    # --- what the dataplane says

    def states(self):
        """{address:port: state} of the service's endpoints, as the dataplane has them."""
        for service in self.stats.json()["services"]:
            if service["name"] == self.service:
                return {endpoint["address"]: endpoint["state"] for endpoint in service["endpoints"]}
        return {}

    def ready(self):
        return {address for address, state in self.states().items() if state == "ready"}

    def stat(self, name):
        """One number of each endpoint's statistics."""
        for service in self.stats.json()["services"]:
            if service["name"] == self.service:
                return [endpoint[name] for endpoint in service["endpoints"]]
        return []

    def wait_ready(self, count, timeout=30):
        rw.wait_until(lambda: len(self.ready()) == count, timeout, Late(lambda: f"{count} ready endpoints, there are {self.states()}"))

    def wait_out(self, endpoint, timeout=30):
        """Until the endpoint is not ready; the moment."""
        where = f"{endpoint.address}:{endpoint.port}"
        rw.wait_until(lambda: self.states().get(where) != "ready", timeout, f"{where} to leave rotation", interval=0.01)
        return time.time()

    def status(self):
        """`ringway status --json`"""
        done = subprocess.run([paths.program("ringway"), "status", "--json", "--run-dir", self.run_dir], capture_output=True, text=True,
                              timeout=20, check=True)
        return json.loads(done.stdout)

    def command(self, *words, timeout=60):
        """`ringway WORDS`: the finished process."""
        return subprocess.run([paths.program("ringway"), *words, "--run-dir", self.run_dir], capture_output=True, text=True,
                              timeout=timeout, check=False)

    # --- load

    def load(self, rate=150, connections=16, new=0.3, mix="get=70,post=22,big=8", timeout=30, extra=()):
        number = len(self.loads)
        path = os.path.join(self.folder, f"load-{number}.json")
        load = rw.Load(paths.program("ringway-load"), self.http_url, path, rate, connections, new, mix, timeout,
                       ("--record", f"{path}.record", "--big-bytes", "200000", "--post-bytes", "100000", "--seed", str(number + 1), *extra))
        load.record_path = f"{path}.record"
        self.loads.append(load)
        rw.wait_until(lambda: load.counts()["requests"] > 0, 10, "the load to begin")
        return load

    def finish(self, load, allowed=()):
        """Ends the load and judges it: (requests, problems)."""
        report = load.finish()
        requests = list(read_records(load.record_path))
        problems = judge(requests, allowed)
        if len(requests) != report["requests"]:
            problems.append(f"{report['requests']} requests were issued, {len(requests)} recorded")
        if not requests:
            problems.append("no request was sent")
        twice = acted_twice([endpoint.acted_log for endpoint in self.endpoints + self.lights])
        if twice:
            problems.append(f"POSTs that endpoints acted on twice: {twice[:10]}")
        return requests, problems


class Late:
    """Words that are made when they are needed."""

    def __init__(self, make):
        self.make = make

    def __str__(self):
        return self.make()


def summary(requests):
    p50, p99, longest = latencies_ms(requests)
    return {"requests": len(requests), "ok": sum(not r.failure for r in requests), "failed": failures(requests),
            "p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "max_ms": round(longest, 1)}
