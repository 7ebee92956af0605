"""`ringway upgrade` under load: not one connection refused or reset, and a program that cannot start changes nothing."""
import os
import shutil
import socket
import subprocess
import threading
import time

import paths
from table import Outcome, Scenario


def upgrade_exists():
    done = subprocess.run([paths.program("ringway"), "--help"], capture_output=True, text=True, check=False)
    return None if "upgrade" in done.stdout else "this ringway has no `upgrade`"


class Knocker(threading.Thread):
    """Opens a connection every 2 ms, one request each, and keeps what failed."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.made, self.failed, self.done = port, 0, [], False

    def run(self):
        while not self.done:
            self.made += 1
            time.sleep(0.002)
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    data = b""
                    while piece := sock.recv(65536):
                        data += piece
                    if not data.startswith(b"HTTP/1.1 200"):
                        self.failed.append(f"{time.time():.3f}: {data[:60]!r}")
            except OSError as error:
                self.failed.append(f"{time.time():.3f}: {error}")


def copied_programs(world):
    """Programs of the scenario's own: an upgrade starts what is on disk, and one of them shall be broken."""
    folder = os.path.join(world.folder, "bin")
    os.makedirs(folder)
    for name in ("ringway", "ringway-controlplane", "ringway-dataplane"):
        shutil.copy(paths.program(name), folder)
    world.up.command[0] = os.path.join(folder, "ringway")
    return folder


def upgrade_once(world, problems, number):
    before = world.child("ringway-dataplane")
    done = world.command("upgrade")
    if done.returncode != 0:
        problems.append(f"upgrade {number}: {done.returncode}: {done.stdout}{done.stderr}")
    elif world.child("ringway-dataplane") == before:
        problems.append(f"upgrade {number}: the dataplane is the same process as before")


def failing_upgrade(world, folder, problems):
    """A new dataplane that cannot start: `ringway upgrade` says so, and the old one goes on."""
    good, broken = os.path.join(folder, "ringway-dataplane"), os.path.join(folder, "broken")
    with open(broken, "w") as out:
        out.write("#!/bin/sh\nexit 1\n")
    os.chmod(broken, 0o755)
    os.rename(good, good + ".good")
    os.rename(broken, good)
    done = world.command("upgrade", "--timeout", "5s")
    if done.returncode == 0:
        problems.append("an upgrade to a program that cannot start was called done")
    os.rename(good + ".good", good)


def upgrade(run):
    """`ringway upgrade`, ten times (short: three), once to a program that cannot start, with new connections all the time and
    requests of 1.5 s in flight."""
    world = run.world("upgrade", up=True)
    folder = copied_programs(world)
    with world:
        world.start(2, start_servers=40)
        load = world.load(rate=100, connections=64, mix="get=70,post=20,big=5,slow=5", extra=("--slow-ms", "1500"))
        knockers = [Knocker(world.ports["http"]) for _ in range(2)]
        for knocker in knockers:
            knocker.start()
        problems, rounds = [], run.pick(3, 10)
        for number in range(rounds):
            time.sleep(0.5)
            upgrade_once(world, problems, number + 1)
            if number == 0:
                failing_upgrade(world, folder, problems)
        while sum(k.made for k in knockers) < run.pick(1000, 10000):
            time.sleep(0.1)
        time.sleep(1)
        for knocker in knockers:
            knocker.done = True
            knocker.join(20)
        requests, more = world.finish(load)
        for knocker in knockers:
            problems += [f"a new connection failed at {words}" for words in knocker.failed[:5]]
        made = sum(knocker.made for knocker in knockers)
        return Outcome(requests, problems + more, "0", f"{rounds} upgrades and one that failed, {made} connections besides")


ALL = [Scenario("upgrade", upgrade, needs=upgrade_exists)]
