"""`ringway up` of scripts/demo: its configuration, its process, and what is asked of it."""
import json
import os
import signal
import subprocess

import paths
import ringway_client as rw


class Balancer:
    def __init__(self, state_dir, http_port, stats_port, catalog_port):
        self.dir = state_dir
        self.http_url = f"http://127.0.0.1:{http_port}"
        self.stats_url = f"http://127.0.0.1:{stats_port}"
        self.catalog_url = f"http://127.0.0.1:{catalog_port}"
        self.config = {
            "catalog": {"type": "embedded", "listen": f"127.0.0.1:{catalog_port}", "data_dir": os.path.join(state_dir, "data")},
            "listeners": [{"name": "web", "bind": f"127.0.0.1:{http_port}", "protocol": "http", "routes": [{"service": "web"}]}],
            "services": {"web": {"balance": "round_robin",
                                 "health_check": {"method": "HEAD", "path": "/", "host": "localhost", "interval": "2s",
                                                  "rise": 2, "fall": 3}}},
            "stats": {"bind": f"127.0.0.1:{stats_port}", "user": "admin", "password": "admin"}}
        self.process = None

    def start(self):
        for folder in ("data", "run", "state"):
            os.makedirs(os.path.join(self.dir, folder), exist_ok=True)
        config = os.path.join(self.dir, "ringway.json")
        with open(config, "w") as out:
            json.dump(self.config, out, indent=2)
        environment = dict(os.environ, RINGWAY_RUN_DIR=os.path.join(self.dir, "run"),
                           RINGWAY_STATE_DIR=os.path.join(self.dir, "state"))
        with open(self.log_path(), "wb") as log:
            self.process = subprocess.Popen([paths.program("ringway"), "up", "-c", config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment, start_new_session=True)
        rw.wait_until(self._answers, 15, "`ringway up` to answer on its statistics and catalog ports")

    def _answers(self):
        if not self.alive():
            raise SystemExit(f"demo: `ringway up` ended with {self.process.returncode}:\n{self.last_words()}")
        return rw.get(f"{self.stats_url}/live")[0] == 200 and rw.get(f"{self.catalog_url}/v1/status/leader")[0] == 200

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if not self.alive():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log_path(self):
        return os.path.join(self.dir, "ringway.log")

    def last_words(self):
        try:
            with open(self.log_path(), errors="replace") as log:
                return "".join(log.readlines()[-12:])
        except OSError:
            return ""
