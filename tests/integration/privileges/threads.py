"""What each thread of a process may do, as the kernel has it: /proc/PID/task/*/status, and the numbers of linux/capability.h."""
import os

NUMBERS = {"dac_override": 1, "fowner": 3, "net_bind_service": 10, "net_admin": 12, "perfmon": 38, "bpf": 39}
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def mask(*names):
    return sum(1 << NUMBERS[name] for name in names)


def statuses(pid):
    """{thread id: {field: value}}; a thread that ends meanwhile is left out."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/status") as file:
                found[int(tid)] = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def capabilities(pid):
    """{thread name: what it may do}: the first thread is "main", others of the program's own name "writer". Of threads of one name
    all must be alike; effective and permitted must be, nothing may be inherited by a program, and none may gain by executing one."""
    found = {}
    for tid, status in statuses(pid).items():
        name = "main" if tid == pid else "writer" if status["Name"].startswith("ringway-data") else status["Name"]
        inherited, permitted, effective, ambient = (int(status[which], 16) for which in SETS)
        seen = {field: status[field] for field in ("Name", *SETS, "NoNewPrivs")}
        assert effective == permitted and (inherited, ambient) == (0, 0) and status["NoNewPrivs"] == "1", (name, seen)
        assert found.setdefault(name, effective) == effective, (name, seen)
    return found
