"""Ringway as a user runs it: `ringway up` with a config file. The control plane and the supervisor are counted apart."""
import base64
import json
import os
import re
import subprocess
import urllib.request

from contenders.base import Contender
from l4 import spaces
from processes import pin, program_of


class Ringway(Contender):
    name, label = "ringway", "Ringway"

    @classmethod
    def version(cls, place):
        return subprocess.run([os.path.join(place.bin, "ringway-dataplane"), "--version"], capture_output=True, text=True,
                              check=True).stdout.strip()

    @classmethod
    def missing(cls, place, settings):
        return "proxies no UDP: it is delivered as packets" if settings.protocol == "udp" else ""

    def document(self):
        s = self.settings
        listener = {"name": "front", "bind": f"{s.listen}:{self.port}", "protocol": s.protocol, "service": "back"}
        if s.protocol == "http":
            listener["client_idle"] = "300s"
            listener["defer_accept"] = s.defer_accept
        if s.log:
            listener["access_log"] = True
        service = {
            "endpoints": [f"{address}:{port}" for address, port in s.addresses()],
            "health_check": {"type": "tcp", "interval": f"{s.check_interval}s"},
            "upstreams_idle_max": 4000,
            "timeouts": {"connect": "5s", "idle": "300s", "upstream_idle": "60s"},
        }
        document = {
            "catalog": {"type": "embedded", "listen": f"127.0.0.1:{self.catalog_port}", "data_dir": f"{self.folder}/data"},
            "listeners": [listener], "services": {"back": service},
            "stats": {"bind": f"127.0.0.1:{self.stats_port}", "user": "admin", "password": "bench"},
        }
        if s.log:
            document["access_log"] = {"path": f"{self.folder}/access.log", "format": "combined"}
        return document

    def config(self):
        return {"ringway.json": json.dumps(self.document(), indent=2 if self.settings.endpoints < 100 else None)}

    def page(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.stats_port}{path}",
                                         headers={"Authorization": "Basic " + base64.b64encode(b"admin:bench").decode()})

        def body():
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read().decode()
        return spaces.within(self.place.net and self.place.net.balancer, body)

    def stats(self):
        return json.loads(self.page("/stats.json"))

    def metric(self, name):
        """The sum of one of its metrics."""
        lines = self.page("/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if re.match(rf"ringway_{name}[{{ ]", line))

    def remarks(self):
        if self.settings.endpoints > 1:
            return [f"Ringway, {self.settings.endpoints:,} endpoints: {self.metric('worker_upstreams_open'):,.0f} connections to them in the end"]
        if not self.settings.log:
            return []
        written, dropped = (int(self.metric(f"access_log_{what}_total")) for what in ("written", "dropped"))
        return [f"Ringway's access log: {written} lines written, {dropped} dropped"]

    def command(self):
        return [os.path.join(self.place.bin, "ringway"), "up", "-c", f"{self.folder}/ringway.json", "--run-dir", self.folder,
                "--state-dir", f"{self.folder}/state", "--workers", str(self.settings.workers)]

    def sort_processes(self):
        self.proxies, self.aside = [], [self.process.pid]
        for pid in self.children():
            # Names of processes are cut after 15 letters.
            (self.proxies if program_of(pid) == "ringway-datapla" else self.aside).append(pid)
        for pid in self.aside:
            pin(pid, self.place.cpus.load)
