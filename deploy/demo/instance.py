"""One web instance of scripts/demo: a directory with its Apache configuration and its service definition, and the sidecar
that runs both. Owned by demo.py; every process is started here and stopped here, by its pid."""
import glob
import json
import os
import signal
import subprocess
import time

import paths


class Instance:
    def __init__(self, number, state_dir, port, catalog_url):
        self.name = f"web-{number}"
        self.number = number
        self.port = port
        self.dir = os.path.join(state_dir, self.name)
        self.catalog_url = catalog_url
        self.process = None
        self.started_at = None

    def start(self):
        os.makedirs(os.path.join(self.dir, "consul.d"), exist_ok=True)
        self._write_apache_config()
        self._write_service()
        log = open(os.path.join(self.dir, "sidecar.log"), "ab")
        command = [paths.program("ringway-sidecar"), "-config-dir", os.path.join(self.dir, "consul.d"), "--",
                   paths.apache(), "-DFOREGROUND", "-f", os.path.join(self.dir, "apache.conf")]
        # PHP keeps long request bodies in files, as Apache's user.
        scratch = os.path.join(self.dir, "tmp")
        os.makedirs(scratch, exist_ok=True)
        os.chmod(scratch, 0o1777)
        environment = dict(os.environ, TMPDIR=scratch, RINGWAY_CATALOG=self.catalog_url, RINGWAY_INSTANCE=self.name)
        self.started_at = time.time()
        # A session of its own: Ctrl-C in the terminal reaches the demo alone, which stops things in order.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                        cwd=self.dir, start_new_session=True)
        log.close()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self):
        """SIGTERM to the sidecar: it drains, stops Apache and deregisters."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)

    def wait_stopped(self, timeout):
        """Exit status, or None when it had to be killed."""
        if self.process is None:
            return 0
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None

    def last_words(self):
        try:
            with open(os.path.join(self.dir, "sidecar.log"), errors="replace") as log:
                return "".join(log.readlines()[-8:])
        except OSError:
            return ""

    def _write_apache_config(self):
        php = sorted(glob.glob(os.path.join(paths.APACHE_MODULES, "libphp*.so")))
        if not php:
            raise SystemExit(f"demo: no PHP module in {paths.APACHE_MODULES}; scripts/install-deps demo installs it")
        with open(os.path.join(paths.HERE, "apache.conf.in")) as template:
            text = template.read()
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else "# runs as who started it"
        values = {"DIR": self.dir, "NAME": self.name, "ADDRESS": "127.0.0.1", "PORT": str(self.port), "USER": user,
                  "MODULES": paths.APACHE_MODULES, "PHP_MODULE": php[-1], "HTML": paths.HTML}
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        with open(os.path.join(self.dir, "apache.conf"), "w") as out:
            out.write(text)

    def _write_service(self):
        service = {"service": {"name": "web", "address": "127.0.0.1", "port": self.port,
                               "checks": [{"name": "Apache answers", "http": f"http://127.0.0.1:{self.port}/",
                                           "interval": "1s", "timeout": "2s", "failures_before_critical": 3}]},
                   "leave_on_terminate": True}
        with open(os.path.join(self.dir, "consul.d", "web.json"), "w") as out:
            json.dump(service, out, indent=2)
