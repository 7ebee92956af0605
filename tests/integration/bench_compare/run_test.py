#!/usr/bin/env python3
"""bench/compare/run for a few seconds, with this system's HAProxy: its JSON and report are whole, a contender that fails is told, and
neither its end nor Ctrl-C leaves a process, a folder or a network namespace behind. No figure is judged."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from glob import glob

sys.dont_write_bytecode = True
COMPARE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3, "bench", "compare"))
sys.path.insert(0, COMPARE)
import document  # noqa: E402

SHORT = ["--rounds", "2", "--seconds", "0.3", "--chroot-suite", "none"]
ENDED_BY_CTRL_C = 130


def command(*arguments):
    return [sys.executable, os.path.join(COMPARE, "run"), *arguments]


def namespaces():
    """Network namespaces in which a process lives."""
    found = set()
    for path in glob("/proc/[0-9]*/ns/net"):
        try:
            found.add(os.readlink(path))
        except OSError:
            continue
    return found


def of_the_run(folder):
    """Processes whose environment names the folder this test gave them."""
    found = []
    for path in glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as f:
                if folder.encode() in f.read() and int(path.split("/")[2]) != os.getpid():
                    found.append(int(path.split("/")[2]))
        except OSError:
            continue
    return found


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="compare-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.env = dict(os.environ, TMPDIR=self.folder)
        self.json, self.html = (os.path.join(self.folder, name) for name in ("out.json", "out.html"))

    def nothing_is_left(self):
        end = time.monotonic() + 10
        while of_the_run(self.folder) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(of_the_run(self.folder), [])
        self.assertEqual(glob(self.folder + "/ringway-bench-*"), [])

    def test_a_short_run_is_whole_and_leaves_nothing(self):
        done = subprocess.run(command("--rows", "small-64,tcp-small", "--contenders", "null,ringway,haproxy", *SHORT, "--json", self.json,
                                      "--html", self.html), env=self.env, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = document.read(self.json)
        self.assertEqual([row["name"] for row in found["rows"]], ["small-64", "tcp-small"])
        self.assertEqual(list(found["rows"][0]["results"]), ["null", "ringway", "haproxy", "haproxy:reuse"])
        for row in found["rows"]:
            for key, result in row["results"].items():
                self.assertTrue(result["counts"], f"{row['name']} {key}: {result['why']}")
                self.assertEqual(len(result["rounds"]), 2)
                self.assertGreater(result["metrics"]["cpu_us"]["min"], 0)
                self.assertGreater(result["metrics"]["rss_kib"]["min"], 100)
        self.assertIn("http-reuse always", found["rows"][0]["configs"]["haproxy:reuse"][0])
        self.assertEqual(found["machine"]["congestion"], "reno")
        self.assertRegex(done.stdout, r"HAProxy(, reuse)? / Ringway: \d")
        with open(self.html) as f:
            page = f.read()
        self.assertIn("Chart", page)
        for text in ('src="http', "src='http", "@import", 'href="http'):
            self.assertNotIn(text, page)
        self.nothing_is_left()

    def test_a_report_of_earlier_runs_measures_nothing(self):
        subprocess.run(command("--rows", "small-1", "--contenders", "ringway", *SHORT, "--json", self.json), env=self.env, capture_output=True,
                       timeout=120, check=True)
        again = os.path.join(self.folder, "again.json")
        begin = time.monotonic()
        subprocess.run(command("--from", self.json, "--json", again), env=self.env, capture_output=True, timeout=60, check=True)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(document.read(again)["rows"][0]["results"], document.read(self.json)["rows"][0]["results"])

    def test_ctrl_c_leaves_nothing(self):
        before = namespaces()
        run = subprocess.Popen(command("--rows", "small-64", "--contenders", "null,ringway,haproxy", "--rounds", "50", "--seconds", "5",
                                       "--chroot-suite", "none"), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
        end = time.monotonic() + 30
        while len(of_the_run(self.folder)) < 6 and time.monotonic() < end:  # the contenders and the load generator are there
            time.sleep(0.05)
        self.assertGreaterEqual(len(of_the_run(self.folder)), 6)
        self.assertGreater(len(namespaces() - before), 0)
        os.killpg(run.pid, signal.SIGINT)
        run.communicate(timeout=20)
        self.assertEqual(run.returncode, ENDED_BY_CTRL_C)
        self.nothing_is_left()

    def test_what_is_missing_is_named_with_what_to_do(self):
        done = subprocess.run(command("--bin", self.folder), env=self.env, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ringway-null-proxy", done.stderr)
        self.assertIn("cmake --workflow --preset bench", done.stderr)


def may_unshare():
    return subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"] if os.geteuid() == 0 else
                          ["unshare", "--user", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if not may_unshare():
        print("no namespaces here: neither root nor unprivileged user namespaces")
        sys.exit(77)
    unittest.main()
