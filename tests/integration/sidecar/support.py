"""What the sidecar's tests share: the running sidecar, a catalog that plays a script, a real Consul, a real Apache.

Everything listens on loopback and on ports the kernel picked; every process is stopped by its id.
"""
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))

from ports import free_port  # noqa: E402

BINARY = os.environ.get("RINGWAY_SIDECAR", "ringway-sidecar")
HANG_GUARD_S = 30


def wait_until(condition, what):
    """Polls until `condition()` is true; the bound only guards against hanging."""
    deadline = time.monotonic() + HANG_GUARD_S
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError("never happened: " + (what() if callable(what) else what))


def alive(pid):
    """True while `pid` runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Sidecar:
    """One ringway-sidecar with its standard streams in files."""

    def __init__(self, *arguments, environment=None, command=None, start_new_session=True):
        self.directory = tempfile.mkdtemp(prefix="sidecar-test-")
        self.out_path = os.path.join(self.directory, "out")
        self.err_path = os.path.join(self.directory, "err")
        words = [BINARY, *arguments] + (["--", *command] if command else [])
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(
                words, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=start_new_session,
                env={**os.environ, **(environment or {})})

    def out(self):
        with open(self.out_path, errors="replace") as text:
            return text.read()

    def err(self):
        with open(self.err_path, errors="replace") as text:
            return text.read()

    def wait_err(self, text):
        wait_until(lambda: text in self.err() or self.process.poll() is not None and text in self.err(),
                   lambda: f"log line with {text!r}; the log is:\n" + self.err())

    def wait_out(self, text):
        wait_until(lambda: text in self.out(), lambda: f"output with {text!r}; the log is:\n" + self.err())

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(timeout=HANG_GUARD_S)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=HANG_GUARD_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class ScriptedCatalog:
    """Answers every PUT, and each GET that `answers` knows, with what it says and keeps an account of them, in order."""

    def __init__(self, port=0):
        self.requests = []   # (path, body or None)
        self.answers = {}    # path prefix -> (status, text) or a function(path, body) -> (status, text)
        catalog = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                body = json.loads(text) if text else None
                catalog.requests.append((self.path, body))
                status, answer = catalog.answer_for(self.path, body)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer.encode())
                except OSError:
                    pass

            def do_GET(self):
                if any(self.path.startswith(prefix) for prefix in catalog.answers):
                    return self.do_PUT()
                return self.send_error(501)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer_for(self, path, body):
        for prefix, answer in self.answers.items():
            if path.startswith(prefix):
                return answer(path, body) if callable(answer) else answer
        return 200, ""

    def bodies(self, prefix):
        return [body for path, body in list(self.requests) if path.startswith(prefix)]

    def count(self, prefix):
        return len(self.bodies(prefix))

    def statuses(self):
        """What was told of the lease's check, registrations included, in order."""
        said = []
        for path, body in list(self.requests):
            if path.startswith("/v1/agent/service/register"):
                said.append(body["Checks"][0]["Status"])
            elif path.startswith("/v1/agent/check/update/"):
                said.append(body["Status"])
        return said

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Consul:
    """A real Consul in -dev mode."""

    def __init__(self):
        if shutil.which("consul") is None:
            raise unittest.SkipTest("consul is not installed")
        ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        self.port = ports["http"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["consul", "agent", "-dev", "-client=127.0.0.1", "-bind=127.0.0.1", "-node=node-under-test",
             f"-http-port={ports['http']}", f"-server-port={ports['server']}", "-dns-port=-1", "-grpc-port=-1",
             f"-serf-lan-port={ports['serf_lan']}", f"-serf-wan-port={ports['serf_wan']}"],
            stdout=self.log, stderr=subprocess.STDOUT)
        wait_until(self.has_leader, "Consul has a leader")

    def has_leader(self):
        try:
            return self.get("/v1/status/leader") not in ("", None)
        except OSError:
            return False

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def passing(self, service):
        return self.get(f"/v1/health/service/{service}?passing")

    def instances(self, service):
        return self.get(f"/v1/health/service/{service}")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=HANG_GUARD_S)
        self.log.close()


class Apache:
    """Configuration for a real Apache with PHP on a free port; started by the sidecar under test, not from here."""

    def __init__(self):
        if shutil.which("apache2") is None:
            raise unittest.SkipTest("apache2 is not installed")
        modules = "/usr/lib/apache2/modules"
        php = [name for name in os.listdir(modules) if name.startswith("libphp")]
        if not php:
            raise unittest.SkipTest("PHP for Apache is not installed")
        self.port = free_port()
        self.root = tempfile.mkdtemp(prefix="sidecar-apache-")
        os.chmod(self.root, 0o755)
        pages = os.path.join(self.root, "pages")
        os.mkdir(pages)
        with open(os.path.join(pages, "index.php"), "w") as page:
            page.write("<?php echo 'hello from ' . getmypid();")
        with open(os.path.join(pages, "slow.php"), "w") as page:
            page.write("<?php touch('/dev/shm/slow-' . $_SERVER['SERVER_PORT']); usleep(1500000); echo 'slow but whole';")
        self.conf = os.path.join(self.root, "apache2.conf")
        self.pid_file = os.path.join(self.root, "apache2.pid")
        with open(self.conf, "w") as conf:
            conf.write(f"""
ServerRoot {self.root}
ServerName localhost
PidFile {self.pid_file}
Mutex file:{self.root} default
Listen 127.0.0.1:{self.port}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
TypesConfig /dev/null
LoadModule php_module {modules}/{php[0]}
User www-data
Group www-data
StartServers 2
MinSpareServers 1
DocumentRoot {pages}
DirectoryIndex index.php
ErrorLog /dev/stderr
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
""")
        self.envvars = os.path.join(self.root, "envvars")
        with open(self.envvars, "w") as envvars:
            envvars.write("export APACHE_STARTED_BY=envvars\n")

    def command(self):
        return ["/usr/sbin/apache2", "-f", self.conf, "-DFOREGROUND"]

    def supervisord_conf(self, config_dir):
        """The classic demo's file, with this Apache's paths."""
        path = os.path.join(self.root, "supervisord.conf")
        with open(path, "w") as conf:
            conf.write(f"""[supervisord]
nodaemon=true

[program:apache2]
command=/bin/bash -c "source {self.envvars} && exec /usr/sbin/apache2 -f {self.conf} -DFOREGROUND"

[program:consul]
command=/usr/bin/consul agent -config-dir={config_dir} -data-dir={self.root}/consul -join consul
""")
        return path

    def web_json(self):
        """The classic demo's service definition with this Apache's port; returns its directory."""
        directory = os.path.join(self.root, "consul.d")
        os.mkdir(directory)
        with open(os.path.join(directory, "web.json"), "w") as definition:
            json.dump({"service": {"name": "web", "port": self.port, "tags": ["apache", "php"],
                                   "check": {"http": f"http://localhost:{self.port}/", "interval": "10s"}},
                       "leave_on_terminate": True}, definition)
        return directory

    def master(self):
        """The process id of the running master, by its own file, or 0."""
        try:
            with open(self.pid_file) as text:
                return int(text.read())
        except (OSError, ValueError):
            return 0

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_GUARD_S)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def busy(self):
        """Has slow.php begun? A file says so, where Apache's own user may write."""
        return os.path.exists(f"/dev/shm/slow-{self.port}")

    def answers(self):
        try:
            return self.get()[0] == 200
        except OSError:
            return False

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)
        if self.busy():
            os.unlink(f"/dev/shm/slow-{self.port}")


class Case(unittest.TestCase):
    """A test case whose helpers are closed in reverse order."""

    def sidecar(self, *arguments, **options):
        sidecar = Sidecar(*arguments, **options)
        self.addCleanup(sidecar.close)
        return sidecar

    def scripted_catalog(self, port=0):
        catalog = ScriptedCatalog(port)
        self.addCleanup(catalog.close)
        return catalog

    def file(self, name, text):
        directory = tempfile.mkdtemp(prefix="sidecar-test-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        path = os.path.join(directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path


def main():
    """unittest.main, but a run in which everything was skipped exits with 77."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        raise SystemExit(1)
    skipped_all = result.testsRun > 0 and len(result.skipped) >= result.testsRun
    raise SystemExit(77 if skipped_all else 0)
