#!/usr/bin/env python3
"""The rows of layer 4 of bench/compare, for some tenths of a second each: every way answers every request, the kernel's deliveries are
the kernel's, connection tracking is on where it belongs and nowhere else, and nothing stays. No figure is judged."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
COMPARE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3, "bench", "compare"))
sys.path.insert(0, COMPARE)
import document  # noqa: E402
from contenders import layer4  # noqa: E402
from l4 import rows  # noqa: E402

# Of the programs of this system: nginx is not among what a test needs.
WAYS = [way for way in rows.WAYS if way != "nginx" or shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")]


class Rows(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="compare-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.json = os.path.join(self.folder, "out.json")

    def measure(self, row, expected):
        done = subprocess.run([sys.executable, os.path.join(COMPARE, "run"), "--rows", row, "--rounds", "1", "--seconds", "0.2", "--chroot-suite", "none",
                               "--contenders", ",".join(WAYS), "--json", self.json], env=dict(os.environ, TMPDIR=self.folder), capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = document.read(self.json)["rows"][0]
        self.assertEqual(set(found["results"]), set(expected), found["left_out"])
        for key, result in found["results"].items():
            self.assertTrue(result["counts"], f"{key}: {result['why']}")
            self.assertEqual(len(result["rounds"]), 1)
            self.assertGreater(result["metrics"]["machine_us"]["min"], 0, key)
            self.assertIn("share_us", result["metrics"], key)
            self.assertEqual(result["metrics"]["tracked"]["min"] > 0, key == "dnat")
        self.nothing_is_left()
        return found

    def nothing_is_left(self):
        self.assertEqual(os.listdir(self.folder), ["out.json"])
        groups = layer4.version_two()
        left = [name for name in os.listdir(groups) if name.startswith("ringway-bench-")] if groups else []
        self.assertEqual([name for name in left if name not in self.before], [])

    def run(self, result=None):
        groups = layer4.version_two()
        self.before = os.listdir(groups) if groups else []
        return super().run(result)

    def ways(self, *without):
        return [way for way in WAYS if way not in without and (way != "connect" or layer4.version_two())]

    def test_small_messages_over_every_way(self):
        found = self.measure("l4-small", self.ways())
        self.assertIn("DNAT", found["configs"]["dnat"][0])
        self.assertEqual(json.loads(found["configs"]["packet-xdp"][0])["packet"]["interfaces"][0]["mode"], "xdp")

    def test_connections(self):
        self.measure("l4-connections", self.ways())

    def test_bulk(self):
        self.measure("l4-bulk", self.ways() + ["haproxy:buffers", "haproxy:splice"])

    def test_datagrams_go_every_way_that_takes_them(self):
        found = self.measure("l4-packets", self.ways("ringway", "haproxy"))
        self.assertEqual(set(found["left_out"]), {"ringway", "haproxy"})

    def test_the_flow_table_holds_what_it_was_given(self):
        done = subprocess.run([sys.executable, os.path.join(COMPARE, "..", "flow_table", "run"), "--flows", "2000", "--json", self.json],
                              env=dict(os.environ, TMPDIR=self.folder), capture_output=True, text=True, timeout=110, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.json) as f:
            found = json.load(f)
        self.assertGreaterEqual(found["entries"], 4000)
        self.assertEqual((found["sampled"], found["answered"], found["opened_by_sample"]), (2000, 2000, 0))
        self.nothing_is_left()


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.path.exists("/sys/fs/bpf"):
        print("skipped: network namespaces and kernel programs need root")
        sys.exit(77)
    unittest.main()
