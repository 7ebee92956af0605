"""The access log's file: moved by logrotate, full, not read, switched on and off by reload, shared during an upgrade. In none of
these does a request wait or fail, and what is lost is counted."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import ringway_client as rw
from node import Node
from proxy import OK, Endpoint, Proxy, answering, read_response

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


def lines_of(*paths):
    found = []
    for path in paths:
        if not os.path.exists(path):
            continue
        with open(path, "rb") as file:
            found += [json.loads(line) for line in file.read().split(b"\n")[:-1]]
    return found


class Alone(unittest.TestCase):
    """A dataplane alone, its log at a path that gives trouble."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ringway-access-")
        self.endpoint = Endpoint(answering(OK))
        self.proxy = None

    def start(self, path, **options):
        self.proxy = Proxy([self.endpoint], listener={"access_log": True}, snapshot={"access_log": {"path": path, "format": "json"}}, **options)

    def tearDown(self):
        if self.proxy is not None:
            self.assertEqual(self.proxy.stop(), 0)
        self.endpoint.close()
        self.folder.cleanup()

    def ask(self, count, first=0):
        """All are answered, and at once."""
        begin = time.monotonic()
        with self.proxy.connect() as sock:
            rest = b""
            for i in range(count):
                sock.sendall(GET % (first + i))
                status, _, body, rest = read_response(sock, rest)
                self.assertEqual((status, body), (200, b"ok"))
        self.assertLess(time.monotonic() - begin, 10)

    def log(self):
        self.proxy.log.flush()
        with open(self.proxy.log.name) as file:
            return [line for line in file if "access log" in line]

    def status(self):
        return self.proxy.stats()["access_log"]

    def test_a_folder_that_is_missing_is_said_once_and_comes_back(self):
        path = os.path.join(self.folder.name, "later", "access.log")
        self.start(path)
        self.ask(500)
        rw.wait_until(lambda: self.status()["dropped_output"] == 500, 10, "500 lines to be counted as dropped")
        self.assertEqual(self.status()["trouble"], "No such file or directory")
        self.assertEqual(len(self.log()), 1, self.log())
        os.mkdir(os.path.dirname(path))
        rw.wait_until(lambda: os.path.exists(path), 5, "the file to be opened by itself")
        self.ask(10)
        rw.wait_until(lambda: len(lines_of(path)) == 10, 5, "ten lines")
        rw.wait_until(lambda: self.status()["trouble"] == "", 5, "the trouble to be over")
        self.assertEqual(len(self.log()), 2, self.log())
        self.assertIn("500 lines were dropped", self.log()[1])

    def test_a_full_disk_costs_lines_and_no_request(self):
        mount = os.path.join(self.folder.name, "small")
        os.mkdir(mount)
        inside = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=64k none {mount} && exec "$@"', "sh"]
        if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespace here")
        self.start(os.path.join(mount, "access.log"), before=inside)
        there = f"/proc/{self.proxy.process.pid}/root{mount}"
        self.ask(1000)
        rw.wait_until(lambda: self.status()["trouble"] == "No space left on device", 10, "the full disk to be noticed")
        # What waits in memory is bounded; beyond that lines are dropped.
        for batch in range(1, 30):
            self.ask(1000, batch * 1000)
            if self.status()["dropped_output"] > 0:
                break
        self.assertGreater(self.status()["dropped_output"], 0)
        self.assertEqual(len([line for line in self.log() if "No space left" in line]), 1, self.log())
        grown = subprocess.run(["nsenter", "-t", str(self.proxy.process.pid), "-m", "mount", "-o", "remount,size=16m", mount], capture_output=True)
        self.assertEqual(grown.returncode, 0, grown.stderr)
        rw.wait_until(lambda: self.status()["trouble"] == "", 10, "the trouble to be over")
        self.ask(10, 100000)
        rw.wait_until(lambda: self.status()["written"] + self.status()["dropped_output"] == (batch + 1) * 1000 + 10, 10, "all to be accounted for")
        targets = [line["target"] for line in lines_of(there + "/access.log")]  # none is torn
        self.assertEqual((len(targets), len(set(targets))), (self.status()["written"],) * 2)
        self.assertEqual(targets[-10:], [f"/{100000 + i}" for i in range(10)])

    def test_a_fifo_that_nobody_reads_holds_nobody_up(self):
        path = os.path.join(self.folder.name, "fifo")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.start(path)
        for batch in range(40):
            self.ask(1000, batch * 1000)
            if self.status()["dropped_output"] > 0:
                break
        status = self.status()
        self.assertGreater(status["dropped_output"], 0)
        self.assertEqual(status["trouble"], "its reader is too slow")
        data = b""
        quiet = time.monotonic() + 1
        while time.monotonic() < quiet:  # now it is read, and everything that waited is whole
            try:
                more = os.read(reader, 1 << 16)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            if more:
                data += more
                quiet = time.monotonic() + 1
        os.close(reader)
        targets = [json.loads(line)["target"] for line in data.split(b"\n")[:-1]]
        self.assertEqual(len(set(targets)), len(targets))
        self.assertEqual(len(targets) + self.status()["dropped_output"], (batch + 1) * 1000)
        self.assertEqual(len([line for line in self.log() if "too slow" in line]), 1, self.log())

    def test_standard_output(self):
        self.start("stdout")
        self.ask(5)
        rw.wait_until(lambda: self.status()["written"] == 5, 5, "five lines")
        with open(self.proxy.log.name) as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
        self.assertEqual([line["target"] for line in lines], [f"/{i}" for i in range(5)])


class Together(unittest.TestCase):
    """`ringway up` with a web server behind it."""

    def setUp(self):
        self.logs = tempfile.TemporaryDirectory(prefix="ringway-access-")
        self.path = os.path.join(self.logs.name, "access.log")
        self.node = Node(access_log={"path": self.path})
        self.node.config["listeners"][0]["access_log"] = True

    def tearDown(self):
        self.node.close()
        self.logs.cleanup()

    def ask(self, count, mark):
        for i in range(count):
            self.assertEqual(rw.get(f"{self.node.url}/{mark}/{i}")[0], 200)

    def all_lines(self, mark):
        paths = [os.path.join(self.logs.name, name) for name in os.listdir(self.logs.name)]
        return sorted(line["target"] for line in lines_of(*paths) if line["target"].startswith(f"/{mark}/"))

    def expect(self, count, mark):
        wanted = sorted(f"/{mark}/{i}" for i in range(count))
        try:
            rw.wait_until(lambda: self.all_lines(mark) == wanted, 10, f"each of {count} requests in the log once")
        except rw.GaveUp:
            self.assertEqual(self.all_lines(mark), wanted)

    def test_logrotate_by_move_without_and_with_a_signal(self):
        self.node.start()
        for round, signalled in enumerate((False, True, False)):
            self.ask(20, f"before{round}")
            os.rename(self.path, f"{self.path}.{round}")
            if signalled:
                os.kill(self.node.ups[-1].pid, signal.SIGUSR1)
            self.ask(50, f"while{round}")
            rw.wait_until(lambda: os.path.exists(self.path), 3, "a new file")
            self.ask(20, f"after{round}")
            self.expect(20, f"before{round}")
            self.expect(50, f"while{round}")
            self.expect(20, f"after{round}")
        self.assertIn("SIGUSR1: the access log is opened again", self.node.log())

    def test_logrotate_itself_with_the_example_file(self):
        if shutil.which("logrotate") is None:
            self.skipTest("no logrotate here")
        self.node.start()
        self.ask(10, "one")
        self.expect(10, "one")
        example = os.path.join(os.path.dirname(__file__), "..", "..", "..", "deploy", "logrotate", "ringway")
        with open(example) as file:
            config = file.read().replace("/var/log/ringway/*.log", self.path)
        conf, state = os.path.join(self.node.dir, "logrotate.conf"), os.path.join(self.node.dir, "logrotate.state")
        with open(conf, "w") as file:
            file.write(config)
        os.chmod(conf, 0o644)
        done = subprocess.run(["logrotate", "-f", "-s", state, conf], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.exists(self.path + ".1"))
        time.sleep(1.5)
        self.ask(10, "two")
        self.expect(10, "two")
        self.assertEqual(len([line for line in lines_of(self.path) if line["target"].startswith("/two/")]), 10)

    def test_on_and_off_by_reload(self):
        self.node.config["listeners"][0]["access_log"] = False
        self.node.start()
        self.ask(5, "off")
        self.assertFalse(os.path.exists(self.path))
        for on in (True, False, True):
            self.node.config["listeners"][0]["access_log"] = on
            self.node.write_config()
            done = self.node.ringway("reload")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.ask(10, f"round-{on}")
        rw.wait_until(lambda: len(self.all_lines("round-True")) == 20, 5, "20 lines")
        self.assertEqual(self.all_lines("off") + self.all_lines("round-False"), [])

    def test_an_upgrade_under_load_loses_no_line(self):
        self.node.start()
        load = self.node.load(300)
        self.addCleanup(load.kill)
        rw.wait_until(lambda: load.counts()["requests"] > 200, 20, "the load to run")
        self.node.upgrade()
        seen = load.counts()["requests"]
        rw.wait_until(lambda: load.counts()["requests"] > seen + 300, 20, "requests after the upgrade")
        report = load.finish()
        self.assertEqual(report["failed"], 0, "\n".join(rw.describe_failures(report)))
        acted_on = len(self.node.origin.requests())
        try:
            rw.wait_until(lambda: self.of_load() == acted_on, 10, "a line for each request of the load")
        except rw.GaveUp:
            self.assertEqual(self.of_load(), acted_on)

    def of_load(self):
        python = "Python-urllib/%d.%d" % sys.version_info[:2]
        return sum(1 for line in lines_of(self.path) if line["user_agent"] != python)


if __name__ == "__main__":
    unittest.main(verbosity=2)
