"""`"balance": "least_latency"` on real sockets: whom a slow way, a slow answer and a failed endpoint cost its requests, and that the
round trips and retransmits on the stats are the kernel's own (ss)."""
import os
import re
import subprocess
import sys
import threading
import time
import unittest

import ringway_client as rw
from far import FAR, NEAR, Mirror
from proxy import OK, Endpoint, Proxy, answering, read_all, read_response

FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok"
MIRROR = None


class Site:
    """Answers after `seconds`, with `response`; empty: closes instead."""

    def __init__(self, test, seconds=0.0, response=OK, far=False):
        self.seconds, self.response = seconds, response
        self.endpoint = Endpoint(answering(self.answer, close=response is CUT), *((NEAR, FAR) if far else ()))
        test.addCleanup(self.endpoint.close)

    def answer(self, _head, _body):
        time.sleep(self.seconds)
        if not self.response:
            raise OSError("closed unanswered")
        return self.response

    def count(self):
        return len(self.endpoint.requests)


class LeastLatency(unittest.TestCase):
    def proxy(self, *sites, **service):
        self.sites = sites
        self.dataplane = Proxy([site.endpoint for site in sites], service={"balance": "least_latency", **service})
        self.addCleanup(self.dataplane.stop)

    def ask(self, requests=50, clients=4):
        """How many of these requests each site got."""
        before = [site.count() for site in self.sites]

        def client():
            with self.dataplane.connect() as conn:
                rest = b""
                for _ in range(requests):
                    conn.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    rest = read_response(conn, rest)[3]
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [site.count() - count for site, count in zip(self.sites, before)]

    def share(self, site, **how):
        """Of an `ask` of 200 requests, what this one got."""
        got = self.ask(**how)
        return got[self.sites.index(site)] / sum(got)

    def endpoints(self):
        return self.dataplane.stats()["services"][0]["endpoints"]

    def test_a_slow_way_gets_less_until_it_is_short_again(self):
        MIRROR.delay = 0.025
        self.addCleanup(setattr, MIRROR, "delay", 0.0)
        near, far = Site(self), Site(self, far=True)
        self.proxy(near, far)
        self.ask(5)
        self.assertLess(self.share(far), 0.4)
        seen = self.endpoints()
        self.assertGreater(seen[1]["rtt_ms"], 49)
        self.assertLess(seen[0]["rtt_ms"], 20)
        MIRROR.delay = 0.0
        rw.wait_until(lambda: self.share(far) > 0.4, 60, "the far one to get its part again")

    def test_a_slow_answer_gets_less_until_it_is_quick_again(self):
        near, slow = Site(self, 0.002), Site(self, 0.05)
        self.proxy(near, slow)
        self.ask(5)
        self.assertLess(self.share(slow), 0.4)
        slow.seconds = near.seconds
        rw.wait_until(lambda: self.share(slow) > 0.4, 60, "the slow one to get its part again")

    def failing(self, response, **service):
        good = [Site(self, 0.02) for _ in range(3)]
        bad = Site(self, response=response)
        self.proxy(*good, bad, **service)
        self.ask(10)
        self.assertLess(self.share(bad), 0.2, "drawn twice it is a sixteenth; by its speed it would be seven")

    def test_quick_failures_attract_nobody(self):
        self.failing(FAILED)

    def test_nor_does_what_is_no_answer(self):
        self.failing(b"no HTTP at all\r\n\r\n", passive_health={"failures_max": 0})

    def test_nor_do_closed_connections(self):
        self.failing(b"", passive_health={"failures_max": 0})

    def test_nor_do_answers_that_are_cut(self):
        good, bad = Site(self, 0.005), Site(self, response=CUT)
        self.proxy(good, bad)
        for _ in range(200):
            with self.dataplane.connect() as conn:
                conn.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                read_all(conn)
        self.assertEqual(good.count() + bad.count(), 200)
        self.assertLess(bad.count(), 80, "drawn twice it is a quarter; by its speed it would be three")

    def test_one_that_failed_gets_its_part_when_it_answers_again(self):
        good, bad = Site(self, 0.005), Site(self, response=FAILED)
        self.proxy(good, bad)
        self.assertLess(self.share(bad), 0.4)
        bad.response, bad.seconds = OK, good.seconds
        rw.wait_until(lambda: self.share(bad) > 0.4, 60, "the failed one to get its part again")

    def test_stats_say_what_the_kernel_says(self):
        MIRROR.delay = 0.02
        self.addCleanup(setattr, MIRROR, "delay", 0.0)
        self.addCleanup(setattr, MIRROR, "lost_every", 0)
        far = Site(self, far=True)
        self.proxy(far, timeouts={"upstream_idle_ms": 30000})
        self.ask(10, clients=1)
        MIRROR.lost_every = 5
        self.ask(30, clients=1)
        MIRROR.lost_every = 0
        time.sleep(0.3)
        self.ask(1, clients=1)  # its end is sampled
        text = subprocess.run(["ss", "-tinH", "dst", FAR, "and", "dport", "=", str(far.endpoint.port)], capture_output=True, text=True,
                              check=True).stdout
        seen = self.endpoints()[0]
        kernel = {name: float(re.search(pattern, text).group(1)) for name, pattern in
                  (("rtt_ms", r" rtt:([\d.]+)/"), ("segments", r" segs_out:(\d+)"), ("retransmits", r" retrans:\d+/(\d+)"))}
        self.assertGreater(kernel["retransmits"], 0)
        self.assertEqual(seen["retransmits_sampled"], kernel["retransmits"], text)
        self.assertAlmostEqual(seen["segments_sampled"], kernel["segments"], delta=3, msg=text)  # acknowledgements since
        self.assertAlmostEqual(seen["rtt_ms"], kernel["rtt_ms"], delta=kernel["rtt_ms"] / 4, msg=text)
        _, _, body = rw.get(f"http://127.0.0.1:{self.dataplane.stats_port}/metrics", user="u", password="p")
        metrics = body.decode()
        for name, value in (("retransmits_sampled_total", seen["retransmits_sampled"]), ("segments_sampled_total", seen["segments_sampled"])):
            self.assertRegex(metrics, rf"(?m)^ringway_endpoint_{name}\{{.*\}} {value}$")
        shown = float(re.search(r"(?m)^ringway_endpoint_rtt_seconds\{.*\} ([\d.e-]+)$", metrics).group(1))
        self.assertAlmostEqual(shown * 1000, seen["rtt_ms"], places=2)


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: a network namespace and a TUN device are root's")
        sys.exit(77)
    if not os.environ.get("RINGWAY_LATENCY_NAMESPACE"):
        os.environ["RINGWAY_LATENCY_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    MIRROR = Mirror()
    unittest.main(verbosity=2)
