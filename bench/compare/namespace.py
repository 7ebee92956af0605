"""A place of its own for one run: network, mounts and processes that the kernel takes away with it, whatever ends the run.

The run's process forks once. The child is process 1 of a PID namespace, so that its end, even by SIGKILL, ends everything that was
started; the network namespace holds both ends of every connection, with the congestion control and port range of the run and no
trace on the host; the work folder is a tmpfs of the mount namespace. Without root this needs unprivileged user namespaces.
"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 16384, 1 << 18, 4096
PR_SET_PDEATHSIG = 1
SYSCTLS = {"net/ipv4/ip_local_port_range": "10240 65535", "net/core/somaxconn": "65535"}

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind, flags=0, data=""):
    check(libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()), f"mount {target}")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def isolate():
    """Leaves the host's namespaces; the next child is process 1 of the new ones. Raises OSError where that is not allowed."""
    if os.geteuid() == 0:
        check(libc.unshare(NEWNS | NEWPID | NEWNET), "unshare")
        return
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(NEWUSER | NEWNS | NEWPID | NEWNET), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING


def sysctl(name, value=None):
    """Sets, or without a value reads. None where it cannot be read or set."""
    try:
        with open(f"/proc/sys/{name}", "r" if value is None else "w") as f:
            return f.read().split() if value is None else f.write(value)
    except OSError:
        return None


def furnish(work, congestion):
    """Inside: /proc, loopback, sysctls and the work folder. Returns what could not be had, in words."""
    complaints = []
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    mount("tmpfs", work, "tmpfs", 0, "mode=0755")
    loopback_up()
    for name, value in SYSCTLS.items():
        sysctl(name, value)
    if congestion != "system" and sysctl("net/ipv4/tcp_congestion_control", congestion) is None:
        complaints.append(f"congestion control '{congestion}' is not to be had here: "
                          f"{' '.join(sysctl('net/ipv4/tcp_congestion_control'))} for everyone")
    return complaints


def run_inside(body, work, congestion):
    """body(complaints) in namespaces of its own; returns its exit code. Signals that end the run are handed on to it."""
    isolate()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_with_parent()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # process 1 has no default for it
            signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
            code = body(furnish(work, congestion))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except KeyboardInterrupt:
            code = 130
        except BaseException:  # noqa: BLE001 - the child must not return into the parent's frames
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256
    libc.umount2(work.encode(), 2)  # MNT_DETACH: this process shares the child's mounts
    return code
