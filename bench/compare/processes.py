"""Starting, pinning and ending the programs of a run, and what /proc tells about them."""
import os
import re
import resource
import signal
import socket
import subprocess
import time
from glob import glob

from l4 import spaces
from namespace import die_with_parent

TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not do what the run needs; the text is for the user."""


def raise_open_files(wanted=400_000):
    """As many open files as this user may have; root takes what the run wants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/proc/sys/fs/nr_open") as f:
        wanted = min(wanted, int(f.read()))
    for limit in ((wanted, max(wanted, hard)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def wait_until_free(address, first, last, seconds=10):
    """Until nobody listens on any of these ports."""
    end = time.monotonic() + seconds
    for port in range(first, last + 1):
        while True:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((address, port))
                    break
                except OSError as taken:
                    if time.monotonic() > end:
                        raise Failed(f"port {port} of {address}: {taken.strerror}") from None
            time.sleep(0.02)


class Process:
    """A program in a session of its own, on the given CPUs, its words in a file. Dies with this process."""

    def __init__(self, command, cpus, log, root=None, env=None, netns=None):
        def before():
            die_with_parent()
            spaces.enter(netns)
            os.sched_setaffinity(0, cpus)
            if root:
                os.chroot(root)
                os.chdir("/")
        self.command, self.log = command, log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=before,
                                          start_new_session=True, env=dict(os.environ, **(env or {})))
        self.pid = self.popen.pid

    def words(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-2000:].strip()

    def wait_for(self, port, address="127.0.0.1", protocol="tcp", seconds=30, space=None):
        """Until it accepts, or with UDP answers; asked from a network namespace."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                raise Failed(f"{self.command[0]} ended with {self.popen.returncode}: {self.words()}")
            try:
                spaces.within(space, lambda: spaces.ask(address, port, protocol))
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.command[0]} does not listen on port {port}: {self.words()}")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                try:
                    os.killpg(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                self.popen.wait()


def children(pid):
    found = []
    for path in glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(text.split()[0]))
    return sorted(found)


def program_of(pid):
    with open(f"/proc/{pid}/comm") as f:
        return f.read().strip()


def pin(pid, cpus):
    """All threads of a process that runs already."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cpus)


def times(pids):
    """(user, system) clock ticks of these processes."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    return total
