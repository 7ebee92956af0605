"""What the figures were made on: CPU, kernel, commit, and which CPU does what."""
import os
import platform
import re
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def processor():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"model name\s*:\s*(.+)", f.read())
    return found.group(1) if found else platform.machine()


def commit():
    """Abbreviated, with '+' where files under version control were changed."""
    name = output("git", "-C", ROOT, "rev-parse", "--short=10", "HEAD")
    changed = output("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no")
    return name + ("+" if changed else "")


def describe():
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024
    return {"processor": processor(), "cpus": len(os.sched_getaffinity(0)), "memory_mib": memory,
            "virtual": output("systemd-detect-virt") or "unknown", "kernel": platform.release(), "commit": commit(),
            "date": time.strftime("%Y-%m-%d %H:%M %Z")}


class Cpus:
    """Which CPU does what. The proxy never shares its first CPU with the load while there are two."""

    def __init__(self):
        usable = sorted(os.sched_getaffinity(0))
        self.usable = usable
        if len(usable) >= 4:
            self.pair, self.load, self.origin = usable[:2], [usable[2]], [usable[3]]
        elif len(usable) == 3:
            self.pair, self.load, self.origin = usable[:2], [usable[1]], [usable[2]]
        else:
            self.pair, self.load, self.origin = usable[:2], [usable[-1]], [usable[-1]]

    def proxy(self, workers):
        return self.pair[:workers]

    def words(self):
        first = f"proxy on CPU {self.pair[0]}, load on {self.load[0]}, endpoint on {self.origin[0]}"
        if len(self.usable) == 1:
            return first + ": one CPU for all, so requests/s and latency say little"
        if self.load[0] in self.pair:
            first += f"; two workers on CPUs {self.pair[0]} and {self.pair[1]}, shared with the load"
        return first
