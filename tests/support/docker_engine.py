#!/usr/bin/env python3
"""A Docker engine for tests: the one that runs, or one of our own where none does, and the base image of the Dockerfiles.

    docker_engine.py run COMMAND...    runs COMMAND with an engine; stops the engine afterwards if nobody else uses it
    docker_engine.py start | stop      the same by hand; start prints the DOCKER_HOST to use
    docker_engine.py base-image        makes sure that debian:trixie-slim is there

An engine of our own keeps its data in $RINGWAY_CACHE (default /var/cache/ringway), so that images and build caches outlive
it, and listens on a socket of its own: a Docker installed later never meets it. Everything is stopped by pid. Several
users at once share it; the last one out stops it. As a module: `with engine() as host: ...`.
"""
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CACHE = os.environ.get("RINGWAY_CACHE", "/var/cache/ringway")
RUN = os.environ.get("RINGWAY_DOCKER_RUN", "/run/ringway-docker")
SOCKET = "unix://" + os.path.join(RUN, "docker.sock")
PID_FILE = os.path.join(RUN, "docker.pid")
LOG = os.path.join(RUN, "dockerd.log")
BASE_IMAGE = "debian:trixie-slim"
READY_SECONDS = 60


class EngineError(RuntimeError):
    """No engine could be had; the message says what was missing."""


def say(text):
    print(f"docker-engine: {text}", file=sys.stderr, flush=True)


def docker(host, *arguments, timeout=600, check=True, **options):
    environment = dict(os.environ)
    if host:
        environment["DOCKER_HOST"] = host
    options.setdefault("capture_output", True)
    return subprocess.run(["docker", *arguments], env=environment, text=True, timeout=timeout, check=check, **options)


def answers(host):
    try:
        return docker(host, "info", "--format", "{{.ServerVersion}}", timeout=10, check=False).returncode == 0
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False


def why_impossible():
    """Words when this machine cannot have an engine, else None. What could be installed is not impossible."""
    if answers(None) or answers(SOCKET):
        return None
    if os.geteuid() != 0:
        return "no Docker engine runs and starting one needs root"
    return None


# --- the engine

def ensure_cgroups():
    """Where no init has mounted them, the engine needs them. Version 2 where the kernel's controllers are free."""
    if os.path.ismount("/sys/fs/cgroup") or os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=False)


def iptables_path():
    """PATH with an iptables that works: some kernels have only the older interface. None: neither does."""
    if subprocess.run(["iptables", "-t", "nat", "-S"], capture_output=True, check=False).returncode == 0:
        return os.environ["PATH"]
    folder = os.path.join(RUN, "bin")
    os.makedirs(folder, exist_ok=True)
    for name in ("iptables", "ip6tables"):
        legacy = shutil.which(f"{name}-legacy")
        link = os.path.join(folder, name)
        if legacy and not os.path.lexists(link):
            os.symlink(legacy, link)
    path = folder + ":" + os.environ["PATH"]
    works = subprocess.run([os.path.join(folder, "iptables"), "-t", "nat", "-S"], capture_output=True, check=False).returncode == 0 \
        if os.path.exists(os.path.join(folder, "iptables")) else False
    return path if works else None


def start_engine():
    if os.geteuid() != 0:
        raise EngineError("no Docker engine runs and starting one needs root")
    if not shutil.which("dockerd"):
        raise EngineError("no dockerd here; scripts/install-deps test installs it")
    os.makedirs(RUN, exist_ok=True)
    ensure_cgroups()
    path = iptables_path()
    if path is None:
        raise EngineError("neither iptables nor iptables-legacy works on this kernel")
    command = ["dockerd", "--data-root", os.path.join(CACHE, "docker"), "--exec-root", os.path.join(RUN, "exec"),
               "--pidfile", PID_FILE, "--host", SOCKET]
    os.makedirs(CACHE, exist_ok=True)
    if os.path.exists(PID_FILE) and not process_alive(read_pid()):
        os.unlink(PID_FILE)
    with open(LOG, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   env=dict(os.environ, PATH=path))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EngineError(f"dockerd ended with {process.returncode}:\n{tail(LOG)}")
        if answers(SOCKET):
            say(f"started dockerd, pid {process.pid}, data in {CACHE}/docker")
            return
        time.sleep(0.2)
    process.terminate()
    process.wait(30)
    raise EngineError(f"dockerd was not ready within {READY_SECONDS} s:\n{tail(LOG)}")


def keep_running():
    """From now on the last one out leaves the engine up; `docker_engine.py stop` ends it."""
    os.makedirs(RUN, exist_ok=True)
    open(os.path.join(RUN, "keep"), "w").close()


def read_pid():
    try:
        with open(PID_FILE) as file:
            return int(file.read().strip())
    except (OSError, ValueError):
        return 0


def process_alive(pid):
    """Also false when the number has gone to another program, or the process is a zombie nobody reaps."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
        return "(dockerd)" in text and text.rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def stop_engine():
    pid = read_pid()
    if not process_alive(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while process_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    if process_alive(pid):
        say(f"dockerd {pid} did not end within 30 s, killed")
        os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
    say("stopped dockerd")


def tail(path, lines=15):
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError:
        return ""


@contextlib.contextmanager
def engine():
    """Yields the DOCKER_HOST to use, None for the environment's own."""
    if not shutil.which("docker"):
        raise EngineError("no docker command here; scripts/install-deps test installs it")
    if answers(None):
        yield None
        return
    if os.geteuid() != 0:
        raise EngineError("no Docker engine runs and starting one needs root")
    os.makedirs(RUN, exist_ok=True)
    # Users hold the lock shared. Starting and stopping hold `turn`, so that nobody starts what another one stops.
    with open(os.path.join(RUN, "users"), "w") as users, open(os.path.join(RUN, "turn"), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            if not answers(SOCKET):
                start_engine()
            fcntl.flock(users, fcntl.LOCK_SH)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield SOCKET
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.exists(os.path.join(RUN, "keep")):
                    stop_engine()
            except BlockingIOError:
                pass  # others go on using it


# --- the base image

def debian_mirror():
    """(mirror, keyring options) of this machine's own apt configuration."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"],
                          capture_output=True, text=True, check=False)
    found = [line.split() for line in done.stdout.splitlines()]
    uris = [(codename, uri) for origin, codename, uri in (f for f in found if len(f) == 3) if origin == "Debian"]
    for wanted in ("trixie", "bookworm"):
        for codename, uri in uris:
            if codename == wanted:
                return uri
    raise EngineError("apt knows no Debian mirror to make the base image from; run apt-get update, or pull " + BASE_IMAGE)


def ensure_base_image(host):
    if docker(host, "image", "inspect", BASE_IMAGE, check=False).returncode == 0:
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        if docker(host, "pull", "--quiet", BASE_IMAGE, timeout=180, check=False).returncode == 0:
            say(f"pulled {BASE_IMAGE}")
            return
    import_base_image(host)


def import_base_image(host):
    if not shutil.which("debootstrap"):
        raise EngineError(f"{BASE_IMAGE} cannot be pulled and there is no debootstrap; scripts/install-deps test installs it")
    mirror = debian_mirror()
    say(f"{BASE_IMAGE} cannot be pulled; making it with debootstrap")
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="base-") as folder:
        root = os.path.join(folder, "root")
        with open(os.path.join(folder, "log"), "w+") as log:
            done = subprocess.run(["debootstrap", "--variant=minbase", "trixie", root, mirror], stdout=log, stderr=log, check=False)
            if done.returncode != 0:
                log.seek(0)
                raise EngineError("debootstrap failed:\n" + log.read()[-2000:])
        copy_apt_proxy(root)
        shutil.rmtree(os.path.join(root, "var/cache/apt"), ignore_errors=True)
        tar = subprocess.Popen(["tar", "-C", root, "--exclude=./dev/*", "-c", "."], stdout=subprocess.PIPE)
        docker(host, "import", "-", BASE_IMAGE, stdin=tar.stdout)
        tar.stdout.close()
        if tar.wait() != 0:
            raise EngineError("tar of the base image failed")


def copy_apt_proxy(root):
    """If apt needs a proxy here, it needs it inside the image as well."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    proxies = [line for line in dump.splitlines() if line.lower().startswith(("acquire::http::proxy ", "acquire::https::proxy "))]
    if proxies:
        with open(os.path.join(root, "etc/apt/apt.conf.d/00proxy"), "w") as out:
            out.write("\n".join(proxies) + "\n")


def main(arguments):
    if len(arguments) > 1 and arguments[0] == "run":
        with engine() as host:
            return subprocess.run(arguments[1:], env=dict(os.environ, **({"DOCKER_HOST": host} if host else {})), check=False).returncode
    if arguments == ["start"]:
        keep_running()
        with engine() as host:
            print(host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
        return 0
    if arguments == ["stop"]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(RUN, "keep"))
        stop_engine()
        return 0
    if arguments == ["base-image"]:
        with engine() as host:
            ensure_base_image(host)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EngineError as error:
        say(str(error))
        sys.exit(1)
