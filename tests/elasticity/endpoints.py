"""What requests end at: a real Apache with PHP under ringway-sidecar, or one light server that answers for hundreds of
addresses. Each endpoint has a loopback address of its own and notes every request that it has acted on."""
import json
import os
import signal

import paths
import ports
import ringway_client as rw
from processes import Process, children_of, send

APACHE_CONF = """
ServerRoot "{dir}"
ServerName {name}
Listen {address}:{port}
PidFile "{dir}/apache.pid"
Mutex file:{dir}
DefaultRuntimeDir "{dir}"
ErrorLog "{dir}/error.log"
LogLevel warn
LogFormat "%{{X-Load-Id}}i %m {name}" acted
CustomLog "{dir}/acted.log" acted
{user}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule env_module {modules}/mod_env.so
LoadModule reqtimeout_module {modules}/mod_reqtimeout.so
LoadModule php_module {php}
KeepAlive On
KeepAliveTimeout {keepalive_timeout}
MaxKeepAliveRequests 100
Timeout 60
StartServers {start_servers}
MinSpareServers 4
MaxSpareServers 64
MaxRequestWorkers 64
GracefulShutdownTimeout 30
TypesConfig /etc/mime.types
DocumentRoot "{html}"
DirectoryIndex index.php
SetEnv RINGWAY_DEMO_INSTANCE {name}
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
<Directory "{html}">
  Require all granted
</Directory>
"""


class Endpoint:
    """One container's inside: the sidecar, and a server under it. A subclass says which."""

    def __init__(self, world, name, address, port, server, sidecar_options=(), namespace=None, environment=None):
        self.name, self.address, self.port = name, address, port
        self.dir = os.path.join(world.folder, name)
        os.makedirs(os.path.join(self.dir, "consul.d"))
        self.acted_log = os.path.join(self.dir, "acted.log")
        with open(os.path.join(self.dir, "consul.d", "web.json"), "w") as out:
            json.dump({"service": {"name": world.service, "address": address, "port": port,
                                   "checks": [{"name": "it answers", "http": f"http://{address}:{port}/", "interval": "2s",
                                               "timeout": "2s", "failures_before_critical": 3}]},
                       "leave_on_terminate": True}, out)
        prefix = ("ip", "netns", "exec", namespace.name) if namespace else ()
        url = namespace.catalog_url if namespace else world.catalog_url
        self.sidecar = Process("sidecar", [paths.program("ringway-sidecar"), "-config-dir", os.path.join(self.dir, "consul.d"), *sidecar_options,
                                           "--", *server], self.dir,
                               {"RINGWAY_CATALOG": url, "RINGWAY_INSTANCE": name, **(environment or {})}, prefix)

    def start(self):
        self.sidecar.start()
        return self

    def kill_all(self):
        """Sidecar and server at once, as when the container is killed."""
        send(self.sidecar.tree(), signal.SIGKILL)
        self.sidecar.process.wait()

    def kill_sidecar(self):
        self.sidecar.kill()

    def freeze(self):
        self.sidecar.freeze()

    def thaw(self):
        self.sidecar.thaw()

    def ask_to_stop(self):
        self.sidecar.ask_to_stop()

    def stop(self):
        """SIGTERM, as `docker stop`: drain, then the server, then deregister. It must end with 0."""
        status = self.sidecar.stop()
        if status != 0:
            raise rw.GaveUp(f"{self.name} ended with {status}:\n{self.sidecar.last_words()}")

    def end(self):
        self.sidecar.end()


class Origin(Endpoint):
    """ringway-origin under a sidecar: starts in milliseconds."""

    def __init__(self, world, name, address, port, **options):
        server = [paths.program("ringway-origin"), "--address", address, "--port", str(port),
                  "--log", os.path.join(world.folder, name, "acted.log")]
        super().__init__(world, name, address, port, server, **options)


class Apache(Endpoint):
    """A real Apache with PHP under a sidecar."""

    def __init__(self, world, name, address, port, keepalive_timeout=5, start_servers=6, **options):
        folder = os.path.join(world.folder, name)
        self.conf = os.path.join(folder, "apache.conf")
        scratch = os.path.join(folder, "tmp")  # PHP keeps long request bodies in files, as Apache's user
        super().__init__(world, name, address, port, [paths.apache(), "-DFOREGROUND", "-f", self.conf],
                         environment={"TMPDIR": scratch}, **options)
        os.makedirs(scratch)
        os.chmod(scratch, 0o1777)
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        with open(self.conf, "w") as out:
            out.write(APACHE_CONF.format(dir=self.dir, name=name, address=address, port=port, user=user, modules=paths.APACHE_MODULES,
                                         php=paths.php_module(), keepalive_timeout=keepalive_timeout, start_servers=start_servers,
                                         html=world.html))

    def pids(self):
        """Apache's processes, the master first."""
        try:
            with open(os.path.join(self.dir, "apache.pid")) as file:
                return [pid for pid in children_of(int(file.read())) if self._ours(pid)]
        except (OSError, ValueError):
            return []

    def kill_apache(self):
        send(self.pids(), signal.SIGKILL)

    def end(self):
        left = self.pids()  # also when the sidecar has gone before them
        super().end()
        send(left, signal.SIGCONT)
        send([pid for pid in left if self._ours(pid)], signal.SIGKILL)

    def _ours(self, pid):
        """Still this Apache, not another process that got its number."""
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                return self.conf in file.read()
        except OSError:
            return False


class Light:
    """ringway-origin on every address of one port: endpoints are addresses 127.x.y.z, registered by the test itself."""

    def __init__(self, world):
        self.port = ports.free_port("0.0.0.0")
        self.acted_log = os.path.join(world.folder, "origin.acted.log")
        self.process = Process("origin", [paths.program("ringway-origin"), "--port", str(self.port), "--log", self.acted_log], world.folder)
        self.process.start()
        rw.wait_until(lambda: rw.get(f"http://127.0.0.1:{self.port}/")[0] == 200, 10, "ringway-origin to answer")

    def end(self):
        self.process.end()


def acted_twice(logs):
    """Ids of non-idempotent requests that endpoints acted on more than once: must be none, whatever fails."""
    seen, twice = set(), []
    for path in logs:
        try:
            with open(path) as file:
                for line in file:
                    words = line.split()
                    if len(words) < 2 or words[1] != "POST" or words[0] == "-":
                        continue
                    if words[0] in seen:
                        twice.append(words[0])
                    seen.add(words[0])
        except FileNotFoundError:
            pass
    return twice
