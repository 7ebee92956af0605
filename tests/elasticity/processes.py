"""Processes that a run started: found, signalled and ended by their ids, never by name. Everything started here is ended here."""
import os
import signal
import subprocess
import time

STOP_SECONDS = 45


def alive(pid):
    """True while `pid` runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    """Process ids of the whole tree below `pid`, itself first."""
    found, index = [pid], 0
    while index < len(found):
        try:
            for task in os.listdir(f"/proc/{found[index]}/task"):
                with open(f"/proc/{found[index]}/task/{task}/children") as file:
                    found.extend(int(word) for word in file.read().split())
        except OSError:
            pass
        index += 1
    return found


def send(pids, number):
    """`number` to each, as close together as may be; one that has gone is no error."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Process:
    """One program with its output in a file. start() again after it has ended."""

    def __init__(self, name, command, folder, environment=None, prefix=()):
        self.name = name
        self.command = [*prefix, *command]
        self.log_path = os.path.join(folder, f"{name}.log")
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.asked = False  # to stop

    def start(self):
        self.asked = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                                            start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def tree(self):
        return children_of(self.pid)

    def kill(self):
        """kill -9 of this process alone."""
        self.process.kill()
        self.process.wait()

    def kill_tree(self):
        """kill -9 of it and all below, as the end of a container does. The moment when it was done."""
        send(self.tree(), signal.SIGKILL)
        done = time.time()
        self.process.wait()
        return done

    def freeze(self):
        self.frozen = self.tree()
        send(self.frozen, signal.SIGSTOP)

    def thaw(self):
        send(self.frozen, signal.SIGCONT)

    def ask_to_stop(self):
        """SIGTERM, once: a second one tells the sidecar not to wait."""
        if self.alive() and not self.asked:
            self.asked = True
            self.process.terminate()

    def wait(self, timeout=STOP_SECONDS):
        """Exit status; None when it had to be killed."""
        if self.process is None:
            return 0
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill_tree()
            return None

    def stop(self):
        self.ask_to_stop()
        return self.wait()

    def end(self):
        """At the end of a scenario: gone, whatever state it was in."""
        if self.alive():
            tree = self.tree()
            send(tree, signal.SIGCONT)
            send(tree, signal.SIGKILL)
            self.process.wait()

    def last_words(self, lines=15):
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    def count_in_log(self, text):
        with open(self.log_path, errors="replace") as log:
            return sum(text in line for line in log)
