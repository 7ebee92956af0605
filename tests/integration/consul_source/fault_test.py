"""Every way in which a catalog may fail, between a real Consul and a real control plane: the pool stays what it was, it is told,
and it heals."""
import shutil
import signal
import tempfile

import support
from support import wait_until

HEALTH = "/v1/health/"


class Faults(support.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="ringway-consul-shared-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        cls.server = support.Consul(cls.shared)
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()
        cls.server.wait_leader()

    def setUp(self):
        super().setUp()
        self.service = self.id().rsplit(".", 1)[1].replace("_", "-")
        self.proxy = self.keep(support.FaultProxy(self.server))
        self.a, self.b = f"{self.service}-a", f"{self.service}-b"
        self.server.register(self.service, self.a, port=1)
        self.cp = self.plane(self.proxy.url, services=(self.service,), catalog={"wait": "2s"})
        self.wait_ready(self.a)
        self.cp.wait_ok()

    def wait_ready(self, *names):
        self.cp.wait_ready(names, self.service)

    def told_and_healed(self, mode, only="/", during=None):
        """The fault is told and changes nothing; afterwards a change comes through."""
        version = self.cp.status()["version"]
        self.proxy.set_and_cut(mode, only)
        catalog = self.cp.wait_ok(False)
        self.assertNotEqual(catalog["error"], "")
        wait_until(lambda: self.proxy.hit(mode) >= 3, f"three answers of {mode}")
        if during:
            during()
        self.assertEqual(self.cp.ready(self.service), [self.a])
        self.assertEqual(self.cp.status()["version"], version)
        wait_until(lambda: self.cp.log().count("is not ok") == 1, "the line that says what is wrong")
        self.server.register(self.service, self.b, port=2)
        self.proxy.set("pass")
        self.wait_ready(self.a, self.b)
        self.assertEqual(self.cp.wait_ok()["error"], "")
        wait_until(lambda: self.cp.log().count("is ok again") == 1, "the line that says it is over")
        return catalog["error"]

    def test_500_everywhere(self):
        self.assertIn("500", self.told_and_healed("500"))

    def test_500_to_watches_alone(self):
        self.assertIn("something broke", self.told_and_healed("500", HEALTH))

    def test_garbage(self):
        self.assertIn("not JSON", self.told_and_healed("garbage", HEALTH))

    def test_json_that_is_no_list(self):
        self.assertIn("wanted Consul's list", self.told_and_healed("object", HEALTH))

    def test_truncated(self):
        self.assertIn("cut short", self.told_and_healed("truncated", HEALTH))

    def test_no_index(self):
        self.assertIn("X-Consul-Index", self.told_and_healed("no-index", HEALTH))

    def test_connections_closed_without_a_byte(self):
        self.told_and_healed("close")

    def test_hang(self):
        self.assertIn("no answer", self.told_and_healed("hang"))

    def test_backwards_index_is_not_believed(self):
        version = self.cp.status()["version"]
        self.proxy.set_and_cut("once:backwards", HEALTH)
        wait_until(lambda: self.proxy.hit("backwards") == 1, "an index that went backwards")
        wait_until(lambda: any("index=" not in path for path in self.proxy.paths[self.proxy.hit_at["backwards"]:] if path.startswith(HEALTH)),
                   lambda: f"asked from the beginning: {self.proxy.paths}")
        self.server.register(self.service, self.b, port=2)
        self.wait_ready(self.a, self.b)
        self.assertEqual(self.cp.status()["version"], version + 1)

    def test_empty_once_is_not_believed(self):
        version = self.cp.status()["version"]
        self.proxy.set_and_cut("once:empty", HEALTH)
        wait_until(lambda: self.proxy.hit("empty") == 1, "an answer without instances")
        self.server.register(self.service, self.b, port=2)
        self.wait_ready(self.a, self.b)
        self.assertEqual(self.cp.status()["version"], version + 1)

    def test_slow_bytes_are_waited_for(self):
        self.proxy.set_and_cut("slow", HEALTH)
        self.server.register(self.service, self.b, port=2)
        self.wait_ready(self.a, self.b)
        self.assertGreaterEqual(self.proxy.hit("slow"), 1)

    def test_an_index_that_spins_is_bounded(self):
        # Every question is answered at once: the proxy takes the index away from what it passes on.
        real = self.proxy.fetch

        def never_blocks(handler):
            handler.path = handler.path.split("&index=")[0]
            return real(handler)

        self.proxy.fetch = never_blocks
        self.proxy.set_and_cut("pass")
        asked = len(self.proxy.paths)
        wait_until(lambda: self.proxy.hit("pass") > 0 and len(self.proxy.paths) > asked + 10, "a spinning index")
        before = len(self.proxy.paths)
        leaders = sum(path.startswith("/v1/status") for path in self.proxy.paths)
        # The probe comes about once a second: it is the clock by which the watch is judged.
        wait_until(lambda: sum(path.startswith("/v1/status") for path in self.proxy.paths) >= leaders + 5, "five probes")
        self.assertLess(len(self.proxy.paths) - before, 60)
        self.assertEqual(self.cp.ready(self.service), [self.a])

    def test_a_watch_that_hangs_alone_is_replaced(self):
        # Probes are answered, the blocking query is not: only its own time-out finds out.
        self.proxy.set_and_cut("hang", HEALTH)
        wait_until(lambda: self.proxy.hit("hang") >= 2, "a second question after the first was given up")
        self.assertEqual(self.cp.ready(self.service), [self.a])
        self.assertIn("no answer", self.cp.wait_ok(False)["error"])
        self.server.register(self.service, self.b, port=2)
        self.proxy.set("pass")
        self.wait_ready(self.a, self.b)
        self.cp.wait_ok()

    def test_an_address_that_fails_behind_its_sign_of_life_is_left_for_another(self):
        cp = self.keep(support.ControlPlane(self.folder("second"), [self.proxy.url, self.server.url], services=(self.service,)))
        cp.wait_ready([self.a], self.service)
        self.proxy.set_and_cut("500", HEALTH)
        wait_until(lambda: cp.catalog()["in_use"] == self.server.url, "the other address is used")
        cp.wait_ok()
        self.server.register(self.service, self.b, port=2)
        cp.wait_ready([self.a, self.b], self.service)

    def test_server_stopped_by_a_signal(self):
        self.server.send(signal.SIGSTOP)
        try:
            self.cp.wait_ok(False)
            self.assertEqual(self.cp.ready(self.service), [self.a])
        finally:
            self.server.send(signal.SIGCONT)
        self.cp.wait_ok()
        self.server.register(self.service, self.b, port=2)
        self.wait_ready(self.a, self.b)


if __name__ == "__main__":
    support.main()
