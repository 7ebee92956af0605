"""Network namespaces that nobody has named: each is an open descriptor of this process, and gone with it."""
import os
import socket
import subprocess
import threading

from namespace import NEWNET, check, libc


def enter(fd):
    """The calling thread, for good; None: nothing is done."""
    if fd is not None:
        check(libc.setns(fd, NEWNET), "setns")


def aside(call):
    """call() on a thread of its own, which may be in another namespace when it ends; what it returns or raises."""
    found = []

    def body():
        try:
            found.append((call(), None))
        except BaseException as wrong:  # noqa: BLE001 - handed on to the caller
            found.append((None, wrong))
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, wrong = found[0]
    if wrong:
        raise wrong
    return value


def within(fd, call):
    """call() in that namespace; None: in this process's own."""
    def body():
        enter(fd)
        return call()
    return call() if fd is None else aside(body)


def make():
    def body():
        check(libc.unshare(NEWNET), "unshare")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return aside(body)


def path(fd):
    """As ip's `netns` takes it."""
    return f"/proc/{os.getpid()}/fd/{fd}"


def run(fd, *words):
    """A command in that namespace: its output. Raises OSError with what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30, preexec_fn=lambda: enter(fd))
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sysctl(fd, name, value=None):
    """Sets, or without a value reads, one of the namespace's own."""
    def body():
        with open(f"/proc/sys/{name}", "r" if value is None else "w") as f:
            return f.read().strip() if value is None else f.write(str(value))
    return within(fd, body)


def ask(address, port, protocol):
    """One connection, or one datagram and its answer. Raises OSError."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(1)
        s.connect((address, port))
        if protocol == "udp":
            s.send(b"q" * 64)
            s.recv(64)


def ask_from(fd, address, port, protocol, before):
    """ask() by a process of its own, after before(). Raises OSError."""
    child = os.fork()
    if child == 0:
        try:
            before()
            enter(fd)
            ask(address, port, protocol)
            os._exit(0)
        except OSError as wrong:
            os._exit(wrong.errno or 1)
        finally:
            os._exit(1)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number))
