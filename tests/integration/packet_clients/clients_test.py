"""Packet and connect delivery as real clients meet them: curl with Apache and PHP, redis-cli and redis-benchmark with redis, dig with
dnsmasq, over IPv4 and IPv6, behind a whole `ringway up`; also while an endpoint drains, and when one dies. Root only."""
import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
import unittest

import ringway_client as rw
from balanced import DIRECT, PORTS, Balanced
from network import BACK, BACK6, FRONT, FRONT6
from parts import BIG_ANSWER, missing
from traffic import Client, HeldRedis, Repeat, dns_ask, host_port, http_get

EVERYONE = {"e1", "e2", "e3"}
FAMILIES = {"IPv4": FRONT, "IPv6": FRONT6}


class Site(unittest.TestCase):
    """One balancer and its endpoints for all tests; each leaves them as it found them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ringway-clients-")
        cls.addClassCleanup(cls.folder.cleanup)
        os.chmod(cls.folder.name, 0o755)  # Apache's user enters
        cls.site = Balanced(cls.folder.name)
        cls.addClassCleanup(cls.site.close)
        cls.site.wait_states(dict.fromkeys(EVERYONE, "ready"))
        cls.far = Client(cls.site.network.client)
        cls.near = Client(cls.site.network.client, cls.site.cgroup)

    def ways(self):
        """(label, client, address, what is added to a port) of each delivery and family."""
        for family, address in FAMILIES.items():
            yield f"packet {family}", self.far, address, 0
            yield f"connect {family}", self.near, address, DIRECT

    def web(self, client, address, higher=0, path="/index.php", **options):
        return http_get(client, host_port(address, PORTS["web"] + higher), path, **options)

    def who(self, client, address, higher=0):
        return dns_ask(client, address, PORTS["dns"] + higher, "whoami.test")[0][0]

    def cache(self, client, address, higher=0, **options):
        held = HeldRedis(client, address, PORTS["cache"] + higher, **options)
        self.addCleanup(held.close)
        return held

    def proxied(self):
        """Sessions that the proxy took: none, all of this goes past it."""
        return sum(listener["sessions"] for listener in self.site.stats()["listeners"])


class Clients(Site):
    def test_curl_and_apache(self):
        sent = os.urandom(3 << 20)
        for label, client, address, higher in self.ways():
            with self.subTest(label):
                self.assertEqual({self.web(client, address, higher)[0] for _ in range(30)}, EVERYONE)
                self.assertEqual(len(self.web(client, address, higher, "/big.php?bytes=20000000")[1]), 20000000)
                length, digest, _ = self.web(client, address, higher, "/echo.php", given=sent)[1].decode().split()
                self.assertEqual((int(length), digest), (len(sent), hashlib.sha256(sent).hexdigest()))
        self.assertEqual(self.proxied(), 0)

    def test_redis(self):
        value = os.urandom(1 << 18).hex()
        for label, client, address, higher in self.ways():
            with self.subTest(label):
                _, out, err = client.run("redis-cli", "-h", address, "-p", str(PORTS["cache"] + higher), given=f"SET k {value}\nGET k\n".encode())
                self.assertEqual(out.decode().split(), ["OK", value], err)
                self.benchmark(client, address, higher)
        self.assertEqual(self.proxied(), 0)

    def benchmark(self, client, address, higher, requests=20000):
        status, out, err = client.run("redis-benchmark", "-h", address, "-p", str(PORTS["cache"] + higher), "-n", str(requests), "-c", "20", "-d", "512", "-t",
                                      "set,get", "-q", timeout=60)
        self.assertEqual((status, err), (0, b""), out)
        self.assertIn(b"GET:", out)

    def test_dns(self):
        for label, client, address, higher in self.ways():
            with self.subTest(label):
                self.assertEqual({self.who(client, address, higher) for _ in range(40)}, EVERYONE)
                # Answers of three packets: in fragments, and by TCP when the client takes no more than 512 bytes.
                for options, way in ((["+bufsize=4096", "+ignore"], "UDP"), (["+noedns"], "TCP")):
                    strings, came, _ = dns_ask(client, address, PORTS["dns"] + higher, "big.test", *options)
                    self.assertEqual((sorted(strings), came), (BIG_ANSWER, way))
        self.assertEqual(self.proxied(), 0)


class Night(Site):
    def setUp(self):
        self.running = []
        self.addCleanup(lambda: [each.stop() for each in self.running])

    def traffic(self):
        """Every client again and again, and connections that are held."""
        for label, client, address, higher in self.ways():
            self.repeat(f"web by {label}", lambda c=client, a=address, h=higher: self.web(c, a, h, seconds=3)[0])
            self.repeat(f"dns by {label}", lambda c=client, a=address, h=higher: self.who(c, a, h))
        self.repeat("bulk", lambda: self.web(self.far, FRONT, path="/big.php?bytes=4000000", seconds=5)[0])
        return [self.cache(client, address, higher, key=f"held-{label}-{i}".replace(" ", "-")) for label, client, address, higher in self.ways()
                for i in range(6)]

    def repeat(self, label, what):
        self.running.append(Repeat(label, what))

    def assert_answered_by(self, wanted, seconds=1.5):
        moment = time.monotonic()
        time.sleep(seconds)
        seen = {each.label: each.answered_since(moment) for each in self.running}
        self.assertEqual(set().union(*seen.values()), wanted, seen)

    def failures(self):
        for each in self.running:
            each.stop()
        self.assertGreaterEqual(min(sum(each.answers.values()) for each in self.running), 3, "everyone has been answered")
        return sorted(failure for each in self.running for failure in each.failures)

    def test_a_drain_breaks_nothing(self):
        held = self.traffic()
        on_it = [each for each in held if each.identity[1] == "e1"]
        self.assertTrue(on_it)
        self.assert_answered_by(EVERYONE)
        answers = {}

        def drain(service, identity):
            answers[service, identity] = self.site.ringway("drain", "--service", service, "--timeout", "40s", identity)
        drains = [threading.Thread(target=drain, args=(service, f"{service}-e1{family}")) for service in PORTS for family in ("", "v6")]
        for each in drains:
            each.start()
        self.site.wait_states({"e1": "draining"})
        self.assert_answered_by({"e2", "e3"})
        for each in held:
            each.step()
        self.assertNotIn(("cache", "cache-e1"), answers, "it waits for the connections that are held")
        for each in on_it:
            each.close()
        for each in drains:
            each.join(60)
        self.assertEqual({status for status, _ in answers.values()}, {0}, answers)
        for each in held:
            if each not in on_it:
                each.step()
        self.assertEqual(self.failures(), [])
        for service in PORTS:
            for family in ("", "v6"):
                self.assertEqual(self.site.ringway("undrain", "--service", service, f"{service}-e1{family}")[0], 0)
        self.site.wait_states(dict.fromkeys(EVERYONE, "ready"))

    def test_a_host_that_dies_takes_its_own_connections_and_no_others(self):
        held = self.traffic()
        self.assertTrue([each for each in held if each.identity[1] == "e2"])
        self.assert_answered_by(EVERYONE)
        killed = time.monotonic()
        self.site.endpoints["e2"].power_off()
        self.site.wait_states({"e2": "down"})
        known = time.monotonic()
        self.assert_answered_by({"e1", "e3"}, seconds=4)
        for each in held:
            if each.identity[1] != "e2":
                each.step()
            elif "connect" not in each.key:  # packet delivery resets them; by connect nobody is between who could
                self.assertIn("reset", each.last_words().lower())
        failures = self.failures()
        late = [failure for begin, failure in failures if begin > known + 0.5 or begin < killed - 5]
        self.assertEqual(late, [], f"killed at {killed}, known at {known}")
        print(f"  {known - killed:.1f} s until the death was known; {len(failures)} of {sum(sum(r.answers.values()) for r in self.running)} failed meanwhile")
        self.site.endpoints["e2"].power_on(BACK, BACK6)
        self.site.wait_states(dict.fromkeys(EVERYONE, "ready"))
        self.assertEqual({self.web(self.far, FRONT)[0] for _ in range(40)}, EVERYONE)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces and kernel programs need root")
        sys.exit(77)
    if missing():
        print(f"skipped: no {', '.join(missing())} here; scripts/install-deps test installs them")
        sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed then, too
    unittest.main(verbosity=2)
