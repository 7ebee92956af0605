"""What a scenario is, what it gives back, and how a run's table is printed."""
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Callable

import paths  # noqa: F401
import ringway_client as rw
from world import World, summary

HEADER = ["scenario", "catalog", "requests", "ok", "failed", "expected", "p50 ms", "p99 ms", "max ms", "verdict", "note"]


def named(*names):
    """A reason why this machine cannot run a scenario, or None."""
    def missing():
        for name in names:
            if name == "root" and os.geteuid() != 0:
                return "needs root"
            if name == "root" and shutil.which("ip") is None:
                return "needs iproute2"
            if name != "root" and shutil.which(name) is None:
                return f"needs {name}"
        return None
    return missing


@dataclass
class Scenario:
    name: str
    play: Callable
    catalogs: tuple = ("embedded", "consul")
    needs: Callable = lambda: None
    needs_long: tuple = ()  # catalogs with which it takes too long for the short form

    def why_not(self, catalog, long):
        if catalog not in self.catalogs:
            return "not for this catalog"
        if catalog in self.needs_long and not long:
            return "long form only"
        return self.needs()


@dataclass
class Outcome:
    requests: list
    problems: list
    expected: str
    note: str = ""
    figures: dict = field(default_factory=dict)

    def row(self, name, catalog, seconds):
        return {"scenario": name, "catalog": catalog, **summary(self.requests), "expected": self.expected,
                "verdict": "as expected" if not self.problems else "FAILED", "note": self.note, "problems": self.problems,
                "seconds": round(seconds, 1), **self.figures}


class Run:
    """What a scenario asks of the run it is part of."""

    def __init__(self, catalog, folder, long):
        self.catalog, self.folder, self.long, self.left = catalog, folder, long, []

    @property
    def short_rounds(self):
        """A stop takes --drain-grace longer with a Consul."""
        return 2 if self.catalog.name == "embedded" else 1

    def pick(self, short, long):
        return long if self.long else short

    def world(self, name, **options):
        world = World(name, self.catalog, self.folder, **options)
        self.left.append(world.folder)
        return world

    def tidy(self):
        """Logs and records of scenarios that went as expected."""
        for folder in self.left:
            shutil.rmtree(folder, ignore_errors=True)
        self.left.clear()


def failed_row(name, catalog, problem, seconds):
    return {"scenario": name, "catalog": catalog, "requests": 0, "ok": 0, "failed": {}, "p50_ms": 0, "p99_ms": 0, "max_ms": 0, "expected": "",
            "verdict": "FAILED", "note": "", "problems": [problem], "seconds": round(seconds, 1)}


def text(rows):
    cells = [[row["scenario"], row["catalog"], row["requests"], row["ok"], ", ".join(f"{n} x {k}" for k, n in row["failed"].items()) or "0",
              row["expected"], row["p50_ms"], row["p99_ms"], row["max_ms"], row["verdict"], row["note"]] for row in rows]
    return rw.table(HEADER, cells)


def scratch():
    folder = tempfile.mkdtemp(prefix="ringway-elasticity-")
    os.chmod(folder, 0o755)
    return folder
