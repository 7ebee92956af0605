"""One `ringway up` on loopback with programs of its own on disk, so that a test can put others in their place; its web server
(ringway-origin); and what is asked of both. What is started here is ended here, by its pid."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import ports
import ringway_client as rw

BIN = os.environ["RINGWAY_BIN"]
PROGRAMS = ("ringway", "ringway-controlplane", "ringway-dataplane")


class Origin:
    """The web server behind: notes every request it has acted on."""

    def __init__(self, folder):
        self.port = ports.free_port()
        self.log = os.path.join(folder, "origin.requests")
        self.words = open(os.path.join(folder, "origin.log"), "w")
        self.process = subprocess.Popen([os.path.join(BIN, "ringway-origin"), "--address", "127.0.0.1", "--port", str(self.port), "--log",
                                         self.log],
                                        stdin=subprocess.DEVNULL, stdout=self.words, stderr=self.words)
        rw.wait_until(lambda: rw.get(f"http://127.0.0.1:{self.port}/")[0] == 200, 10, "the origin to answer")

    def requests(self):
        """Ids of the requests of ringway-load that it has acted on, in order."""
        with open(self.log) as file:
            lines = [line.split() for line in file]
        return [words[0] for words in lines if len(words) == 3]  # others have no id: probes

    def close(self):
        self.process.kill()
        self.process.wait()
        self.words.close()


class Node:
    def __init__(self, listeners=None, services=None, **config):
        self.folder = tempfile.TemporaryDirectory(prefix="ringway-upgrade-")
        self.dir = self.folder.name
        self.run_dir = os.path.join(self.dir, "run")
        self.port, self.stats_port, self.catalog_port = ports.free_port(), ports.free_port(), ports.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stats = rw.Stats(f"http://127.0.0.1:{self.stats_port}")
        self.config = {
            "catalog": {"type": "embedded", "listen": f"127.0.0.1:{self.catalog_port}", "data_dir": os.path.join(self.dir, "data")},
            "listeners": listeners or [{"name": "web", "bind": f"127.0.0.1:{self.port}", "protocol": "http",
                                        "routes": [{"service": "web"}]}],
            "services": services or {"web": {"health_check": False}},
            "stats": {"bind": f"127.0.0.1:{self.stats_port}", "user": "admin", "password": "admin"}, **config}
        self.bin = os.path.join(self.dir, "bin")
        os.makedirs(self.bin)
        for name in PROGRAMS:
            self.put(name)
        self.ups = []  # every `ringway up` started here, the last one first in charge
        self.logs = 0
        self.origin = None

    # Programs on disk.
    def put(self, name, source=None):
        """Puts `source`, or the program under test, in place of the program on disk, as a package manager does: by rename."""
        target = os.path.join(self.bin, name)
        if source is None:
            try:
                os.link(os.path.join(BIN, name), target + ".new")
            except OSError:
                shutil.copy2(os.path.join(BIN, name), target + ".new")
        else:
            with open(target + ".new", "w") as file:
                file.write(source)
            os.chmod(target + ".new", 0o755)
        os.rename(target + ".new", target)

    def write_config(self):
        path = os.path.join(self.dir, "ringway.json")
        with open(path, "w") as file:
            json.dump(self.config, file)
        return path

    # Processes.
    def up(self, *arguments, wait=True):
        self.logs += 1
        log = open(os.path.join(self.dir, f"up-{self.logs}.log"), "w")
        process = subprocess.Popen([os.path.join(self.bin, "ringway"), "up", "-c", self.write_config(), "--run-dir", self.run_dir,
                                    "--state-dir", os.path.join(self.dir, "state"), *arguments],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        process.log_path = log.name
        log.close()
        self.ups.append(process)
        if wait:
            rw.wait_until(self.serves, 20, "the web service to answer through `ringway up`")
        return process

    def start(self, *arguments):
        """With a web server behind it."""
        self.origin = Origin(self.dir)
        self.up(*arguments, wait=False)
        self.register("web", self.origin.port)
        rw.wait_until(self.serves, 20, "the web service to answer")
        # What a restart needs is on disk a moment later.
        rw.wait_until(lambda: str(self.origin.port) in self.kept(), 10, "the kept snapshot with the web server in it")

    def kept(self):
        with open(os.path.join(self.dir, "state", "snapshot.json")) as file:
            return file.read()

    def register(self, service, port):
        body = json.dumps({"Name": service, "ID": f"{service}-{port}", "Address": "127.0.0.1", "Port": port})

        def put():
            answer = subprocess.run(["curl", "-sf", "-X", "PUT", "-d", body,
                                     f"http://127.0.0.1:{self.catalog_port}/v1/agent/service/register"], capture_output=True)
            return answer.returncode == 0
        try:
            rw.wait_until(put, 20, "the catalog to take a registration")
        except rw.GaveUp as error:
            with open(self.ups[-1].log_path) as log:
                raise rw.GaveUp(f"{error}\n{log.read()[-3000:]}") from None

    def serves(self):
        return rw.get(self.url + "/")[0] == 200

    def ringway(self, *arguments, timeout=60):
        return subprocess.run([os.path.join(self.bin, "ringway"), *arguments, "--run-dir", self.run_dir], text=True,
                              capture_output=True, timeout=timeout)

    def upgrade(self, *arguments):
        done = self.ringway("upgrade", *arguments)
        if done.returncode != 0:
            raise rw.GaveUp(f"ringway upgrade: {done.returncode}: {done.stdout}{done.stderr}\n{self.log()}")
        return int(re.search(r"dataplane is process (\d+)", done.stdout).group(1))

    def children(self, program, up=None):
        """Processes of the last `ringway up` (or of `up`) that run this program, oldest first."""
        parent = (up or self.ups[-1]).pid
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except (OSError, IndexError):
                continue
            if int(fields[1]) == parent and fields[0] != "Z" and any(os.path.basename(w).decode() == program for w in words[:2]):
                found.append((int(fields[19]), int(entry)))
        return [pid for _, pid in sorted(found)]

    def dataplane(self):
        return rw.wait_until(lambda: self.children("ringway-dataplane"), 10, "a dataplane to run")[-1]

    def controlplane(self):
        return rw.wait_until(lambda: self.children("ringway-controlplane"), 10, "a control plane to run")[-1]

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)

    def log(self, number=None):
        with open((self.ups[-1] if number is None else self.ups[number]).log_path) as file:
            return file.read()

    def load(self, rate, **options):
        return rw.Load(os.path.join(BIN, "ringway-load"), self.url, os.path.join(self.dir, "load.json"), rate,
                       **{"mix": "get=80,post=15,big=5", **options})

    def close(self):
        for process in self.ups:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.ups:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self.origin is not None:
            self.origin.close()
        self.folder.cleanup()
