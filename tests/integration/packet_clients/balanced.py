"""A `ringway up` in the balancer's namespace with the endpoints of parts.py in its catalog, by packet delivery and, for clients in a
cgroup, by connect delivery."""
import json
import os
import signal
import subprocess

import ringway_client as rw
from network import BACK, BACK6, FRONT, FRONT6, Network, run
from parts import ENDS_WITH_US, Endpoint

BIN = os.environ["RINGWAY_BIN"]
PORTS = {"web": 80, "cache": 6379, "dns": 53}
DIRECT = 20000  # the port of a connect listener is this much higher


def listeners():
    made = []
    for service, port in PORTS.items():
        for protocol in ("tcp", "udp") if service == "dns" else ("tcp",):
            for family, address in (("4", FRONT), ("6", f"[{FRONT6}]")):
                made.append({"name": f"{service}-{protocol}{family}", "bind": f"{address}:{port}", "protocol": protocol, "delivery": "packet",
                             "service": service})
                made.append({"name": f"{service}-{protocol}{family}-direct", "bind": f"{address}:{port + DIRECT}", "protocol": protocol,
                             "delivery": "connect", "service": service})
    return made


class Balanced:
    def __init__(self, folder):
        self.folder, self.process, self.network = folder, None, None
        self.endpoints, self.cgroup, self.bpf = {}, None, None
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        self.bpf = os.path.join(self.folder, "bpf")
        os.mkdir(self.bpf)
        run("mount", "-t", "bpf", "bpf", self.bpf)
        with open("/proc/self/mounts") as mounts:
            root = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
        self.cgroup = os.path.join(root, f"ringway-clients-{os.getpid()}")
        os.mkdir(self.cgroup)
        self.network = Network()
        # Connect delivery changes no source: client and endpoints need a way to each other.
        self.network.client.ip("route", "add", "10.77.2.0/24", "via", FRONT)
        self.network.client.ip("-6", "route", "add", "fd77:2::/64", "via", FRONT6)
        for name in self.network.names:
            addresses = [self.network.address(name), self.network.address(name, v6=True)]
            space = next(s for s in self.network.spaces if s.name.endswith("-" + name))
            self.endpoints[name] = Endpoint(space, name, addresses, self.folder)
            self.endpoints[name].join(BACK, BACK6)
            self.endpoints[name].start()
        self._up()
        for name in self.endpoints:
            self._register(name)

    def _up(self):
        check = {"interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}
        config = {
            "catalog": {"type": "embedded", "listen": "127.0.0.1:8500", "data_dir": os.path.join(self.folder, "data")},
            "listeners": listeners(),
            "services": {"web": {"health_check": {**check, "path": "/index.php"}}, "cache": {"health_check": {**check, "type": "tcp"}},
                         "dns": {"health_check": {**check, "type": "tcp"}}},
            "stats": {"bind": "127.0.0.1:9000", "user": "u", "password": "p"},
            "packet": {"pin_dir": self.bpf + "/ringway", "flows_max": 16384},
            "connect": {"pin_dir": self.bpf + "/ringway", "cgroups": [self.cgroup]}}
        path = os.path.join(self.folder, "ringway.json")
        with open(path, "w") as file:
            json.dump(config, file)
        with open(os.path.join(self.folder, "log"), "w") as log:
            # Not by `ip netns exec`, which mounts a /sys without cgroups.
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, "nsenter", f"--net=/var/run/netns/{self.network.balancer.name}", os.path.join(BIN, "ringway"), "up", "-c", path, "--workers", "1",
                 "--run-dir", self.folder + "/run", "--state-dir", self.folder + "/state"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _register(self, name):
        for service, port in PORTS.items():
            for address in self.endpoints[name].addresses:
                body = {"Name": service, "ID": f"{service}-{name}{'v6' if ':' in address else ''}", "Address": address, "Port": port}
                rw.wait_until(lambda: self.curl("-X", "PUT", "-d", json.dumps(body), "http://127.0.0.1:8500/v1/agent/service/register") is not None,
                              20, "the catalog to take a registration")

    def curl(self, *arguments):
        """By the balancer itself; None when it fails."""
        done = subprocess.run(["ip", "netns", "exec", self.network.balancer.name, "curl", "-sf", "--max-time", "5", *arguments], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def stats(self):
        return json.loads(self.curl("-u", "u:p", "http://127.0.0.1:9000/stats.json") or "{}")

    def states(self, service):
        """{"e1": "ready", "e1v6": ...}"""
        found = {}
        for each in self.stats().get("services", []):
            if each["name"] == service:
                found = {endpoint["id"].rsplit("-", 1)[1]: endpoint["state"] for endpoint in each["endpoints"]}
        return found

    def wait_states(self, wanted, services=tuple(PORTS)):
        """Until these endpoints, in both families, have the state, by the statistics of the dataplane, and the kernel's tables follow."""
        def agree():
            stats = self.stats()
            if "packet" not in stats:  # not up yet, or before its first snapshot
                return False
            in_kernel = stats["packet"].get("snapshot_version") == stats["feed"]["version"]
            return in_kernel and all(self.states(service).get(name + family) == state for service in services for name, state in wanted.items() for family in ("", "v6"))
        try:
            rw.wait_until(agree, 20, f"{wanted} in {services}", interval=0.1)
        except rw.GaveUp as error:
            raise rw.GaveUp(f"{error}\n{[self.states(s) for s in services]}\n{self.words()}") from None

    def ringway(self, *arguments, timeout=60):
        done = subprocess.run([os.path.join(BIN, "ringway"), *arguments, "--run-dir", self.folder + "/run"], capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout + done.stderr

    def words(self):
        with open(os.path.join(self.folder, "log")) as file:
            return file.read()[-4000:]

    def close(self):
        for endpoint in self.endpoints.values():
            endpoint.close()
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if self.network:
            self.network.close()
        if self.bpf:
            run("umount", "-l", self.bpf, check=False)
        if self.cgroup:
            rw.wait_until(lambda: os.rmdir(self.cgroup) is None, 10, "the cgroup to be empty")
