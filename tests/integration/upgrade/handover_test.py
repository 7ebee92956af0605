"""From one dataplane to the next, without `ringway up`: the protocol, releases apart, successors that fail, workers, time-outs."""
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import ringway_client as rw
from handover_client import Successor
from proxy import BIN, OK, Endpoint, Proxy, answering, read_response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Handover(unittest.TestCase):
    def setUp(self):
        self.endpoint, self.started, self.streams = Endpoint(answering(OK)), [], []
        self.proxy = None

    def tearDown(self):
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.wait(30)
        if self.proxy is not None:
            self.proxy.stop()
        self.endpoint.close()

    def start(self, workers=1, **options):
        self.proxy = Proxy([self.endpoint], **options)
        rw.wait_until(lambda: os.path.exists(self.proxy.dir.name + "/handover.sock"), 10, "the handover's socket")
        self.snapshot = os.path.join(self.proxy.dir.name, "snapshot.json")
        if workers != 1:
            self.succeed(workers)

    def run_successor(self, workers=1, wrapper=()):
        """(process, first words of its status)."""
        read, write = os.pipe()
        process = subprocess.Popen([*wrapper, os.path.join(BIN, "ringway-dataplane"), "--snapshot", self.snapshot, "--workers",
                                    str(workers), "--run-dir", self.proxy.dir.name, "--take-over", "--status-fd", str(write)],
                                   stdout=self.proxy.log, stderr=self.proxy.log, pass_fds=[write])
        os.close(write)
        self.started.append(process)
        with os.fdopen(read) as status:
            return process, status.readline().strip()

    def succeed(self, workers=1):
        process, word = self.run_successor(workers)
        self.assertEqual(word, "serving", self.words())
        return process

    def words(self):
        with open(self.proxy.log.name) as log:
            return log.read()

    def ask(self, sock=None):
        if sock is not None:
            sock.sendall(GET)
            return read_response(sock)
        with self.proxy.connect() as fresh:
            return self.ask(fresh)

    def assert_serving(self, process):
        self.assertIsNone(process.poll())
        for _ in range(20):
            self.assertEqual(self.ask()[0], 200)

    def test_idle_session_gets_its_next_answer_and_is_told_to_go(self):
        self.start()
        with self.proxy.connect() as sock:
            self.assertEqual(self.ask(sock)[0], 200)
            self.succeed()
            status, headers, _, _ = self.ask(sock)
            self.assertEqual((status, headers.get("connection")), (200, ["close"]))
        self.assertEqual(self.proxy.process.wait(30), 0)
        self.assert_serving(self.started[-1])

    def test_socket_belongs_to_the_one_that_serves_and_is_private(self):
        self.start()
        path = self.proxy.dir.name + "/handover.sock"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.succeed()
        self.proxy.process.wait(30)
        self.assertTrue(os.path.exists(path))
        self.started[-1].terminate()
        self.started[-1].wait(30)
        self.assertFalse(os.path.exists(path))

    def test_older_and_newer_protocols(self):
        self.start()
        newer = Successor(self.proxy.dir.name)
        offer, names = newer.take_all(protocol=7, protocol_min=1, colour="unknown keys are ignored")
        self.assertEqual(offer["protocol"], 1)
        self.assertEqual({(n["bind"], n["protocol"], n["worker"]) for n in names},
                         {(f"127.0.0.1:{self.proxy.port}", "http", 0), (f"127.0.0.1:{self.proxy.stats_port}", "stats", 0)})
        with os.fdopen(os.dup(newer.files[0])) as snapshot:
            snapshot.seek(0)
            self.assertEqual(json.load(snapshot)["version"], 1)
        newer.close()
        for protocols in ((9, 9), (0, 0)):
            far = Successor(self.proxy.dir.name)
            answer = far.take(*protocols)
            self.assertEqual(answer["type"], "refuse")
            self.assertIn("protocol", answer["reason"])
            far.close()
        self.assert_serving(self.proxy.process)
        self.succeed()

    def test_successor_that_goes_away_leaves_everything_as_it_was(self):
        self.start()
        for messages in ([], [{"type": "take"}], [{"type": "take", "protocol": 1, "protocol_min": 1}],
                         [{"type": "ready"}], [{"type": "take", "protocol": 1}, {"type": "what"}],
                         [{"type": "take", "protocol": 1}, {"type": "refuse", "reason": "changed its mind"}]):
            gone = Successor(self.proxy.dir.name)
            for message in messages:
                gone.say(**message)
            if len(messages) > 1:
                while gone.hear()["type"] != "refuse":
                    pass
            gone.close()
            self.assert_serving(self.proxy.process)
        rubbish = Successor(self.proxy.dir.name)
        rubbish.socket.send(b"\0\xff not JSON")
        self.assertEqual(rubbish.hear()["type"], "refuse")
        rubbish.close()
        self.assert_serving(self.proxy.process)
        self.succeed()

    def test_second_successor_is_refused_while_one_takes_over(self):
        self.start()
        first = Successor(self.proxy.dir.name)
        first.take_all()
        process, word = self.run_successor()
        self.assertTrue(word.startswith("failed") and "taking over already" in word, word)
        self.assertEqual(process.wait(20), 75)
        self.assert_serving(self.proxy.process)
        first.close()
        rw.wait_until(lambda: "has not taken over" in self.words(), 10, "the first one's end to be noticed")
        self.succeed()

    def test_successor_that_hangs_is_given_up_and_may_not_come_back(self):
        self.start()
        slow = Successor(self.proxy.dir.name)
        slow.take_all()
        self.assertEqual(slow.hear()["type"], "refuse")
        try:
            slow.say(type="ready")
            self.assertIsNone(slow.hear())
        except OSError:  # it has closed, before or after our word
            pass
        slow.close()
        self.assert_serving(self.proxy.process)
        self.succeed()

    def test_killed_right_after_it_was_ready(self):
        self.start()
        gone = Successor(self.proxy.dir.name)
        gone.take_all()
        # What the kernel shows of a process that was killed between its word and ours.
        self.proxy.process.send_signal(signal.SIGSTOP)
        gone.say(type="ready")
        gone.close()
        self.proxy.process.send_signal(signal.SIGCONT)
        rw.wait_until(lambda: "has not taken over" in self.words(), 10, "the successor's end to be noticed")
        self.assert_serving(self.proxy.process)

    def test_never_fewer_workers_than_sockets_and_more_if_wanted(self):
        self.start(workers=3)
        failures = []
        stop = threading.Event()

        def client():
            while not stop.is_set():
                try:
                    if self.ask()[0] != 200:
                        failures.append("status")
                except (OSError, ValueError, IndexError) as error:
                    failures.append(repr(error))

        clients = [threading.Thread(target=client) for _ in range(3)]
        for thread in clients:
            thread.start()
        try:
            for wanted, got in ((1, 3), (5, 5), (2, 5)):
                self.succeed(wanted)
                self.assertEqual(len(self.proxy.stats()["workers"]), got)
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        self.assertEqual(failures, [])
        self.assertIn("3 workers instead of 1", self.words())

    def test_sessions_left_at_handover_timeout_are_cut_and_counted(self):
        self.start(snapshot={"handover_timeout_ms": 300})
        with self.proxy.connect() as idle:
            self.assertEqual(self.ask(idle)[0], 200)
            self.succeed()
            self.assertEqual(self.proxy.process.wait(30), 0)
            self.assertIn("1 sessions are still open", self.words())
            self.assertEqual(idle.recv(1), b"")

    def test_sigterm_while_leaving_ends_it(self):
        self.start()
        with self.proxy.connect() as idle:
            self.ask(idle)
            self.succeed()
            self.proxy.process.terminate()
            self.assertEqual(self.proxy.process.wait(30), 0)
        self.assert_serving(self.started[-1])

    def test_snapshot_of_a_newer_release_that_is_not_understood_is_no_reason_to_serve_nothing(self):
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as web, \
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as newer, tempfile.TemporaryFile() as snapshot:
            service = {"name": "web", "balance": "of a newer release", "endpoints": []}
            snapshot.write(json.dumps({"type": "snapshot", "epoch": "e", "version": 1, "services": [service]}).encode())
            snapshot.flush()
            newer.bind(folder + "/handover.sock")
            newer.listen(1)
            newer.settimeout(20)
            read, write = os.pipe()
            older = subprocess.Popen([os.path.join(BIN, "ringway-dataplane"), "--run-dir", folder, "--state-dir", folder + "/state",
                                      "--take-over", "--status-fd", str(write)], stderr=subprocess.DEVNULL, pass_fds=[write])
            self.started.append(older)
            os.close(write)
            with newer.accept()[0] as channel, os.fdopen(read) as status:
                self.assertEqual(json.loads(channel.recv(65536))["type"], "take")
                offer = {"type": "offer", "protocol": 1, "pid": 1, "release": "newer", "workers": 1, "sockets": 1, "snapshot": True}
                socket.send_fds(channel, [json.dumps(offer).encode()], [snapshot.fileno()])
                names = [{"bind": "127.0.0.1:0", "protocol": "http", "worker": 0}]
                socket.send_fds(channel, [json.dumps({"type": "sockets", "sockets": names}).encode()], [web.fileno()])
                self.assertEqual(channel.recv(65536), b"", "it says ready, and the newer one would leave")
                self.assertTrue(status.readline().startswith("failed "))
            self.assertEqual(older.wait(20), 75)

    def test_nobody_there_is_an_ordinary_start(self):
        self.start()
        self.proxy.process.kill()
        self.proxy.process.wait()
        self.succeed()
        self.assert_serving(self.started[-1])

    def test_tcp_sessions_go_on(self):
        def echo(endpoint, conn):
            while data := conn.recv(65536):
                conn.sendall(data)
        self.endpoint.close()
        self.endpoint = Endpoint(echo)
        self.start(protocol="tcp")
        with self.proxy.connect() as before:
            before.sendall(b"one")
            self.assertEqual(before.recv(10), b"one")
            self.succeed()
            with self.proxy.connect() as after:
                for sock in (before, after, before):
                    sock.sendall(b"two")
                    self.assertEqual(sock.recv(10), b"two")
            before.shutdown(socket.SHUT_WR)
            self.assertEqual(before.recv(10), b"")
        self.assertEqual(self.proxy.process.wait(30), 0)

    def test_stats_answer_throughout(self):
        self.start()
        for _ in range(3):
            self.succeed()
            self.assertTrue(self.proxy.stats())


if __name__ == "__main__":
    unittest.main(verbosity=2)
