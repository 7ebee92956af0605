"""Connect delivery and steering by the real dataplane: its death, its restart, its upgrade, its end. A cgroup and a bpf file
system of the test's own; loopback only."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import ports
import ringway_client as rw

BIN = os.environ["RINGWAY_BIN"]

CLIENT = """
import socket, sys
address, port, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for _ in range(times):
    try:
        with socket.create_connection((address, port), 5) as s:
            print(s.recv(16).decode(), "%s:%d" % s.getpeername(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


class Server:
    """Says its name to everyone who connects, and keeps the connection."""

    def __init__(self, name):
        self.name, self.kept = name, []
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            try:
                client.send(self.name.encode())
            except OSError:
                pass
            self.kept.append(client)

    def close(self):
        self.listening.close()
        for client in self.kept:
            client.close()


class Place(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ringway-connect-")
        self.dir = self.folder.name
        self.bpf = os.path.join(self.dir, "bpf")
        os.mkdir(self.bpf)
        subprocess.run(["mount", "-t", "bpf", "bpf", self.bpf], check=True)
        with open("/proc/self/mounts") as mounts:
            root = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
        self.cgroup = os.path.join(root, f"ringway-live-{os.getpid()}")
        os.mkdir(self.cgroup)
        self.a, self.b = Server("a"), Server("b")
        self.stats_port = ports.free_port()
        self.service = ("127.77.0.1", ports.free_port("127.77.0.1"))
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        self.a.close()
        self.b.close()
        subprocess.run(["umount", "-l", self.bpf], check=True)
        rw.wait_until(lambda: os.rmdir(self.cgroup) is None, 10, "the cgroup to be empty")
        self.folder.cleanup()

    def snapshot(self, endpoints, on_stop="detach", **listener):
        path = os.path.join(self.dir, "snapshot.json")
        self.version = getattr(self, "version", 0) + 1
        with open(path, "w") as file:
            json.dump({"type": "snapshot", "epoch": "e", "version": self.version,
                       "listeners": [{"name": "db", "bind": "%s:%d" % self.service, "protocol": "tcp", "delivery": "connect",
                                      "routes": [{"service": "db"}], **listener}],
                       "services": [{"name": "db", "endpoints": [
                           {"id": s.name, "generation": 1, "address": "127.0.0.1", "port": s.port} for s in endpoints]}],
                       "stats": {"bind": f"127.0.0.1:{self.stats_port}", "user": "u", "password": "p"},
                       "connect": {"cgroups": [self.cgroup], "pin_dir": self.bpf + "/pins", "on_stop": on_stop},
                       "steering": "least_sessions", "shutdown_timeout_ms": 1000}, file)
        return path

    def dataplane(self, path, *arguments, wrapper=(), state="on"):
        log = os.path.join(self.dir, f"dataplane-{len(self.processes)}.log")
        with open(log, "w") as output:
            process = subprocess.Popen([*wrapper, os.path.join(BIN, "ringway-dataplane"), "--snapshot", path, "--run-dir", self.dir + "/run", "--workers", "2",
                                        *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        process.log = log
        self.processes.append(process)
        rw.wait_until(lambda: self.stats()["pid"] == process.pid and self.stats()["programs"][0]["state"] == state, 20,
                      "the dataplane to serve: see its log")
        return process

    def another(self, path, **options):
        """A dataplane whose run directory has the same name, as that of another container that shares the bpf file system."""
        inside = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=1m none {self.dir}/run && exec "$@"', "sh"]
        return self.dataplane(path, wrapper=inside, **options)

    def words(self, process):
        with open(process.log) as log:
            return log.read()

    def stats(self):
        return rw.get_json(f"http://127.0.0.1:{self.stats_port}/stats.json", user="u", password="p")

    def clients(self, times=1, inside=True):
        """A process of its own in the cgroup that connects so often; its lines."""
        def enter():
            if inside:
                with open(self.cgroup + "/cgroup.procs", "w") as procs:
                    procs.write("0")
        process = subprocess.Popen([sys.executable, "-c", CLIENT, self.service[0], str(self.service[1]), str(times)], stdout=subprocess.PIPE,
                                   text=True, preexec_fn=enter)
        return process

    def connect(self, times=1, inside=True):
        process = self.clients(times, inside)
        output, _ = process.communicate(timeout=60)
        return output.split("\n")[:-1]

    def shown(self):
        return "%s:%d" % self.service


class Connect(Place):
    def test_direct_for_those_in_the_cgroup_and_by_the_proxy_for_others(self):
        self.dataplane(self.snapshot([self.a]))
        self.assertEqual(self.connect(3), ["a " + self.shown()] * 3)
        stats = self.stats()
        self.assertEqual(stats["services"][0]["endpoints"][0]["connect_chosen"], 3)
        self.assertEqual(stats["listeners"][0]["sessions"], 0, "no byte of it came to the proxy")
        self.assertEqual(self.connect(2, inside=False), ["a " + self.shown()] * 2)
        self.assertEqual(self.stats()["listeners"][0]["sessions"], 2)
        status, _, metrics = rw.get(f"http://127.0.0.1:{self.stats_port}/metrics", user="u", password="p")
        self.assertIn(b'ringway_listener_connect_chosen_total{listener="db"} 3', metrics)

    def test_nobody_ready_goes_to_the_proxy_or_is_refused(self):
        self.dataplane(self.snapshot([], fallback="refuse"))
        self.assertEqual(self.connect(2), ["ConnectionRefusedError"] * 2)
        self.assertEqual(self.stats()["listeners"][0]["connect_empty"], 2)
        self.assertEqual(self.connect(1, inside=False), ["ConnectionRefusedError"], "nobody listens either")

    def test_killed_dataplane_leaves_no_gap_and_the_next_takes_over(self):
        first = self.dataplane(self.snapshot([self.a], fallback="refuse"))
        self.assertEqual(self.connect(), ["a " + self.shown()])
        first.kill()
        first.wait(10)
        self.assertEqual(self.connect(2), ["a " + self.shown()] * 2)
        endless = self.clients(2000)
        self.dataplane(self.snapshot([self.a, self.b], fallback="refuse"))
        lines = endless.communicate(timeout=60)[0].split("\n")[:-1]
        self.assertEqual(len(lines), 2000)
        self.assertEqual({line.split()[1] for line in lines}, {self.shown()}, "none refused")
        self.assertLessEqual({"a", "b"}, {line.split()[0] for line in lines + self.connect(4)})
        self.assertGreaterEqual(self.stats()["listeners"][0]["connect_chosen"], 2003, "counted on")

    def test_upgrade_leaves_no_gap(self):
        first = self.dataplane(self.snapshot([self.a], fallback="refuse"))
        endless = self.clients(2000)
        second = self.dataplane(self.snapshot([self.b], fallback="refuse"), "--take-over")
        lines = endless.communicate(timeout=60)[0].split("\n")[:-1]
        self.assertEqual({line.split()[1] for line in lines}, {self.shown()})
        first.wait(20)
        self.assertEqual(self.connect(2), ["b " + self.shown()] * 2, "the end of the first one takes nothing away")
        self.assertNotIn("another dataplane", self.words(second), "its folder was free")
        second.terminate()
        second.wait(20)
        self.assertEqual(self.connect(), ["ConnectionRefusedError"])

    def test_end_leaves_no_trace(self):
        process = self.dataplane(self.snapshot([self.a], fallback="refuse"))
        self.assertTrue(os.listdir(self.bpf + "/pins"))
        process.terminate()
        process.wait(20)
        self.assertFalse(os.path.exists(self.bpf + "/pins"), "no trace is left")
        self.assertEqual(self.connect(), ["ConnectionRefusedError"])

    def test_end_keeps_it_where_asked(self):
        process = self.dataplane(self.snapshot([self.a], on_stop="keep", fallback="refuse"))
        process.terminate()
        process.wait(20)
        self.assertEqual(self.connect(), ["a " + self.shown()])

    def test_cgroup_that_is_not_there_is_said(self):
        self.cgroup, real = self.cgroup + "-absent", self.cgroup
        process = self.dataplane(self.snapshot([self.a]))
        self.assertIn(self.cgroup, self.stats()["programs"][0]["detail"])
        self.cgroup = real
        self.assertEqual(self.words(process).count("-absent: "), 1, "once, not each second")

    def test_two_with_one_folder_do_not_take_each_others_tables(self):
        first = self.dataplane(self.snapshot([self.a], fallback="refuse"))
        service, self.service = self.service, ("127.77.0.2", ports.free_port("127.77.0.2"))
        stats_port, self.stats_port = self.stats_port, ports.free_port()
        second = self.another(self.snapshot([self.b]), state="refused")
        self.assertEqual(self.connect(2), ["b " + self.shown()] * 2, "by the proxy")
        self.assertEqual(self.stats()["listeners"][0]["sessions"], 2)
        self.service, other = service, self.service
        self.assertEqual(self.connect(2), ["a " + self.shown()] * 2, "nothing has changed for the first one's")
        self.stats_port, stats_port = stats_port, self.stats_port
        self.assertEqual(self.stats()["programs"][0]["state"], "on")
        # It asks again, and may have it when the first one has gone.
        first.kill()
        first.wait(10)
        self.service, self.stats_port = other, stats_port
        rw.wait_until(lambda: self.stats()["programs"][0]["state"] == "on", 10, "the folder to be the second one's")
        self.assertEqual(self.words(second).count("another dataplane runs with"), 1)
        self.assertEqual(self.connect(), ["b " + self.shown()])
        self.assertEqual(self.stats()["listeners"][0]["sessions"], 2, "not by the proxy any more")

    def test_one_without_such_listeners_leaves_another_ones_folder_alone(self):
        self.dataplane(self.snapshot([self.a], fallback="refuse"))
        service, self.service = self.service, ("127.77.0.2", ports.free_port("127.77.0.2"))
        self.stats_port = ports.free_port()
        self.another(self.snapshot([self.b], delivery="proxy"), state="off")
        self.service = service
        self.assertEqual(self.connect(2), ["a " + self.shown()] * 2)

    def test_a_start_that_cannot_load_leaves_nothing_of_an_earlier_life(self):
        first = self.dataplane(self.snapshot([self.a], fallback="refuse"))
        first.kill()
        first.wait(10)
        self.assertEqual(self.connect(), ["a " + self.shown()])
        caps = "+net_admin,+net_bind_service"
        self.dataplane(self.snapshot([self.b]), wrapper=["setpriv", f"--inh-caps=-all,{caps}", f"--bounding-set=-all,{caps}"], state="refused")
        rw.wait_until(lambda: self.connect() == ["b " + self.shown()], 5, "the proxy")
        self.assertFalse(os.path.exists(self.bpf + "/pins"), "no trace is left")


class Steering(Place):
    def test_sessions_are_evened_out_and_an_upgrade_goes_on_steering(self):
        self.dataplane(self.snapshot([self.a]))
        first = [socket.create_connection(self.service) for _ in range(20)]
        rw.wait_until(lambda: [w["sessions_open"] for w in self.stats()["workers"]] == [10, 10], 10, "ten sessions in each worker")
        self.assertEqual(self.stats()["steered"]["least"], 20)
        self.dataplane(self.snapshot([self.a]), "--take-over")
        second = []

        def steered():
            second.append(socket.create_connection(self.service))
            return self.stats()["steered"]["least"] > 0
        rw.wait_until(steered, 10, "the successor to steer")
        for client in first + second:
            client.close()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: kernel programs are loaded by root")
        sys.exit(77)
    unittest.main()
