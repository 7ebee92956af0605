"""The compose stack of deploy/ as a user runs it, under a project name, images and ports of its own."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import docker_engine  # noqa: E402
import ports  # noqa: E402
import ringway_client as rw  # noqa: E402

PROJECT = "ringway-e2e"
COMPOSE = os.path.join(ROOT, "deploy", "compose.yaml")
# What stands beside compose.yaml, by delivery.
BESIDE = {"proxy": [], "packet": [os.path.join(ROOT, "deploy", "compose.packet.yaml")]}


# A service over UDP beside the one of deploy/ringway-packet.json.
UDP_PORT = 5300
UDP_LISTENER = f'{{ "name": "udp", "bind": "0.0.0.0:{UDP_PORT}", "protocol": "udp", "delivery": "packet", "service": "udp" }}'


def packet_config():
    """The configuration of packet delivery as it is in deploy/, and the UDP service; a file that goes with the object."""
    with open(os.path.join(ROOT, "deploy", "ringway-packet.json")) as file:
        text = file.read()
    made = tempfile.NamedTemporaryFile("w", prefix="ringway-packet-", suffix=".json")
    made.write(text.replace('"listeners": [', f'"listeners": [ {UDP_LISTENER},'))
    made.flush()
    os.chmod(made.name, 0o644)
    return made


class Stack:
    def __init__(self, host, delivery="proxy"):
        self.host = host
        self.files = [word for path in [COMPOSE, *BESIDE[delivery]] for word in ("-f", path)]
        self.ports = {"http": ports.free_port(), "stats": ports.free_port(), "catalog": ports.free_port()}
        self.environment = dict(os.environ, RINGWAY_IMAGE="ringway:e2e", RINGWAY_WEB_IMAGE="ringway-web:e2e",
                                RINGWAY_HTTP_PORT=str(self.ports["http"]), RINGWAY_STATS_PORT=str(self.ports["stats"]),
                                RINGWAY_CATALOG_PORT=str(self.ports["catalog"]), BUILDKIT_PROGRESS="plain")
        if delivery == "packet":
            self.config = packet_config()
            self.environment["RINGWAY_CONFIG_FILE"] = self.config.name
        if host:
            self.environment["DOCKER_HOST"] = host
        self.stats = rw.Stats(f"http://127.0.0.1:{self.ports['stats']}")
        self.catalog = rw.Catalog(f"http://127.0.0.1:{self.ports['catalog']}")

    def compose(self, *arguments, timeout=180, check=True):
        done = subprocess.run(["docker", "compose", "-p", PROJECT, *self.files, *arguments], env=self.environment, text=True,
                              capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise rw.GaveUp(f"docker compose {' '.join(arguments)}: {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def docker(self, *arguments, timeout=60, check=True):
        done = subprocess.run(["docker", *arguments], env=self.environment, text=True, capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise rw.GaveUp(f"docker {' '.join(arguments)}: {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def docker_output(self, *arguments, timeout=60):
        """stdout and stderr, whatever the status."""
        done = subprocess.run(["docker", *arguments], env=self.environment, text=True, capture_output=True, timeout=timeout, check=False)
        return done.stdout + done.stderr

    def build(self, timeout):
        docker_engine.ensure_base_image(self.host)
        self.compose("build", timeout=timeout)

    def scale(self, count):
        """`up --scale web=N`, as a user types it: it returns when the containers run, or have stopped."""
        self.compose("up", "-d", "--no-build", "--scale", f"web={count}")

    def down(self):
        """Everything this project made: containers, network, volume."""
        self.compose("down", "-v", "--remove-orphans", "-t", "20", check=False)

    def containers(self, service, everything=False):
        """{container id (12 digits, its hostname): address} as `docker ps` tells, running ones unless `everything`."""
        arguments = ["ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter",
                     f"label=com.docker.compose.service={service}"] + (["-a"] if everything else [])
        found = {}
        for identity in self.docker(*arguments).split():
            networks = self.inspect(identity)["NetworkSettings"]["Networks"]
            found[identity[:12]] = next(iter(networks.values()))["IPAddress"]
        return found

    def inspect(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def balancer(self):
        """(id, address) of the balancer's container."""
        return next(iter(self.containers("ringway").items()))

    def pids(self, program):
        """Process ids, inside the balancer's container, of a program by its file name."""
        script = f'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /usr/local/bin/{program} ] && echo ${{p#/proc/}}; done; true'
        return [int(pid) for pid in self.docker("exec", self.balancer()[0], "sh", "-c", script).split()]

    def kill_in_balancer(self, program):
        pids = self.pids(program)
        if not pids:
            raise rw.GaveUp(f"no {program} runs in the balancer's container")
        self.docker("exec", self.balancer()[0], "sh", "-c", "kill -9 " + " ".join(map(str, pids)))
        return pids

    def logs(self, lines=40):
        """The balancer's last words, and the web containers' without what Apache answered well."""
        balancer = self.compose("logs", "--no-color", "--tail", str(lines), "ringway", check=False)
        web = self.compose("logs", "--no-color", "--tail", "400", "web", check=False).splitlines()
        return balancer + "\n".join([line for line in web if '" 200 ' not in line][-lines:])

    # --- do the three views agree?

    def views(self):
        """What docker, the catalog and the statistics each call running and ready: three sets of addresses."""
        docker_view = set(self.containers("web").values())
        catalog_view = {i["address"] for i in self.catalog.instances(passing=True)}
        rows = self.stats.endpoint_rows().values()
        csv_view = {row["addr"].rsplit(":", 1)[0] for row in rows if row["status"].startswith("UP")}
        services = {service["name"]: service for service in self.stats.json()["services"]}
        json_view = {e["address"].rsplit(":", 1)[0] for e in services["web"]["endpoints"] if e["state"] == "ready"} if "web" in services else set()
        return {"docker ps": docker_view, "catalog": catalog_view, "csv": csv_view, "stats.json": json_view}

    def wait_agreement(self, count, timeout=30):
        """Until docker ps, catalog and both forms of the statistics name the same `count` containers."""
        seen = {}

        def agree():
            seen.update(self.views())
            return len(seen["docker ps"]) == count and all(view == seen["docker ps"] for view in seen.values())

        try:
            rw.wait_until(agree, timeout, f"agreement on {count} containers", interval=0.2)
        except rw.GaveUp as error:
            told = "\n".join(f"    {name}: {sorted(view)}" for name, view in seen.items())
            raise rw.GaveUp(f"{error}\n{told}") from None
