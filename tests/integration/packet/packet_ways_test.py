"""The ways to endpoints, live: what packet delivery does and says where packets or answers would not arrive. Root only."""
import json
import os
import struct
import sys
import unittest

from balancer import Balancer, wait_until
from network import BACK, FRONT, FRONT6, Server
from packet_test import Packet

ROUTE = [{"host": "", "path": "", "service": "web"}]


class Ways(Packet):
    def begin(self, endpoints=None, attached=2, **options):
        self.balancer = Balancer(self.network, endpoints or self.endpoints({}), **options)
        self.balancer.start()
        wait_until(lambda: len(self.shown()) == attached, 10, lambda: f"{attached} interfaces, not {self.shown()}:\n" + self.balancer.words())

    def shown(self):
        return {i["name"]: i["how"] for i in self.balancer.stats()["packet"]["interfaces"] if i["how"]}

    def trouble(self):
        return self.balancer.stats()["packet"]["trouble"]

    def wait_trouble(self, words):
        wait_until(lambda: (words in self.trouble()) if words else not self.trouble(), 10,
                   lambda: f"{words or 'no trouble'}, not {self.trouble()}:\n" + self.balancer.words())

    def endpoint_trouble(self, name):
        return [e["packet_trouble"] for e in self.balancer.stats()["services"][0]["endpoints"] if e["id"] == name][0]

    def assert_reached(self, names, count=30):
        flows = [self.tcp(timeout=5) for _ in range(count)]
        self.assertEqual({name for _, name in flows}, set(names))
        self.assert_all_alive(flows)
        return flows

    def unnumbered(self):
        """As Calico does it: a veth pair for each endpoint, whose end on the host has no address."""
        for number, space in enumerate(self.network.endpoint_spaces.values(), 1):
            port = f"port{number}"
            self.network.balancer.ip("link", "set", port, "nomaster")
            self.network.balancer.ip("route", "add", f"10.77.2.{10 + number}/32", "dev", port, "src", FRONT)
            self.network.balancer.sysctl(f"net.ipv4.conf.{port}.proxy_arp", 1)
            space.ip("route", "add", "default", "dev", "eth0")
        self.network.balancer.ip("link", "delete", "br0")


class OwnAddress(Ways):
    def with_one_of_this_host(self, nat):
        self.network.answer_through_the_balancer()
        for udp in (False, True):
            self.network.servers["own", udp] = Server(self.network.balancer, "own", BACK, 8080, udp)
        own = {**self.network.endpoint("e1"), "id": "n/own", "address": BACK}
        self.begin([*self.endpoints({}), own], packet={"nat": nat})
        self.assert_reached(self.network.names, 40)
        self.wait_trouble("web/n/own: its address is this host's own")
        self.assertIn("this host's own", self.endpoint_trouble("n/own"))
        self.assertEqual(self.endpoint_trouble("n/e1"), "")
        self.assertIn("this host&#39;s own", self.balancer.stats("/haproxy_stats"))
        self.balancer.change(self.endpoints({}) + [own])
        self.balancer.change(self.endpoints({"e1": "draining"}) + [own])
        self.assertEqual(self.balancer.words().count("this host's own"), 1, self.balancer.words())
        self.balancer.change(self.endpoints({}))
        self.wait_trouble("")

    def test_gets_no_packets_with_nat(self):
        self.with_one_of_this_host("nat")

    def test_gets_no_packets_with_transparent(self):
        self.with_one_of_this_host("transparent")

    def test_that_comes_and_goes_takes_the_endpoint_out_and_in_again(self):
        self.begin()
        for _ in range(2):
            self.network.balancer.ip("addr", "add", "10.77.2.13/32", "dev", "lo")
            self.wait_trouble("web/n/e3: its address is this host's own")
            self.assert_reached(["e1", "e2"])
            self.network.balancer.ip("addr", "del", "10.77.2.13/32", "dev", "lo")
            self.wait_trouble("")
            self.assert_reached(self.network.names)
        self.assertEqual(self.balancer.words().count("this host's own"), 1, self.balancer.words())

    def test_without_another_endpoint_connections_are_refused_at_once(self):
        self.begin([{**self.network.endpoint("e1"), "address": FRONT, "port": 18080}])
        with self.assertRaises(ConnectionRefusedError):
            self.tcp(timeout=5)


class Unreached(Ways):
    def test_endpoints_of_another_family_than_their_listeners(self):
        listener = {"name": "web6", "bind": f"[{FRONT6}]:80", "protocol": "tcp", "delivery": "packet", "routes": ROUTE}
        self.begin(listeners=[listener])
        self.wait_trouble("web/n/e1 and 2 more: it is not of its listener's address family")
        self.assertIn("address family", self.endpoint_trouble("n/e2"))
        self.assertEqual(self.balancer.words().count("address family"), 1)
        other = {**listener, "name": "web4", "bind": f"{FRONT}:80"}
        self.balancer.change(self.endpoints({}) + self.endpoints({}, v6=True), listeners=[listener, other])
        self.wait_trouble("")

    def test_an_endpoint_without_a_route(self):
        self.begin([*self.endpoints({}), {**self.network.endpoint("e1"), "id": "n/lost", "address": "10.99.0.1"}])
        self.wait_trouble("web/n/lost: this host has no route to it")


class Attached(Ways):
    def test_ends_of_veth_pairs_without_an_address(self):
        self.unnumbered()
        sent = lambda: sum(int(self.network.balancer.exec("cat", f"/sys/class/net/port{n}/statistics/tx_bytes")) for n in (1, 2, 3))
        self.begin(attached=4)
        before = sent()
        flows = self.assert_reached(self.network.names)
        self.assertEqual(self.trouble(), "")
        self.assertLess(sent() - before, 20000)  # handed over at the other ends, not transmitted
        # One that leaves keeps its interface until its flows have ended; one that comes gets it.
        self.balancer.change([e for e in self.endpoints({}) if e["id"] != "n/e3"])
        self.assert_all_alive(flows)
        self.assertIn("port3", self.shown())
        for sock, name in flows:
            if name == "e3":
                sock.close()
        wait_until(lambda: "port3" not in self.shown(), 20, lambda: "port3 to be left:\n" + self.balancer.words())
        self.assert_reached(["e1", "e2"])
        self.balancer.change(self.endpoints({}))
        wait_until(lambda: "port3" in self.shown(), 5, "port3")
        self.assert_reached(self.network.names)

    def test_an_interface_that_the_config_leaves_out_is_named(self):
        self.begin(attached=1, packet={"interfaces": [{"name": "front"}]})
        self.wait_trouble('answers come in by br0, which packet.interfaces leaves out: add "br0"')
        self.assertIn("add", self.endpoint_trouble("n/e3"))
        self.assertEqual(self.balancer.words().count("leaves out"), 1)
        self.balancer.change(packet={**self.balancer.snapshot["packet"], "interfaces": [{"name": "front"}, {"name": "br0"}]})
        self.wait_trouble("")
        self.assert_reached(self.network.names)

    def test_a_container_is_handed_packets_only_where_the_programs_are_attached(self):
        self.network.without_bridge()
        self.begin(attached=1, packet={"interfaces": [{"name": "front"}]})
        self.wait_trouble("leaves out")
        flags = lambda: {(e["ifindex"], e["flags"]) for e in self.endpoint_records()}
        self.assertEqual(flags(), {(0, 0)})
        self.balancer.change(packet={**self.balancer.snapshot["packet"], "interfaces": [{"name": "front"}, {"name": "port*"}]})
        wait_until(lambda: {flag for _, flag in flags()} == {1}, 5, "packets to be handed over")

    def endpoint_records(self):
        pins = os.path.join(self.balancer.pins, sorted(n for n in os.listdir(self.balancer.pins) if n.startswith("l4-v"))[-1])
        raw = json.loads(self.network.balancer.exec("bpftool", "-j", "map", "dump", "pinned", os.path.join(pins, "l4_endpoints")))
        for entry in raw:
            value = bytes(int(byte, 16) for byte in entry["value"])
            port, state, flags, generation, ifindex = struct.unpack_from("=HBBII", value, 32)
            if state:
                yield {"ifindex": ifindex, "flags": flags}

    def test_an_interface_without_an_ethernet_header_is_left_alone(self):
        lb = self.network.balancer
        lb.ip("tuntap", "add", "dev", "tun0", "mode", "tun")
        lb.ip("addr", "add", "10.99.1.1/24", "dev", "tun0")
        lb.ip("link", "set", "tun0", "up")
        far = {**self.network.endpoint("e1"), "id": "n/far", "address": "10.99.1.2"}
        self.begin(self.endpoints({}) + [far])
        self.wait_trouble("web/n/far: its answers come in by tun0 without an Ethernet header")
        self.assertNotIn("tun0", self.shown())
        self.balancer.change(self.endpoints({}))
        self.wait_trouble("")
        lb.ip("addr", "add", "10.99.2.1/24", "dev", "front")  # another look
        self.assert_reached(self.network.names)
        self.assertEqual(self.balancer.words().count("interface tun0 is left alone"), 1, self.balancer.words())
        self.balancer.change(packet={**self.balancer.snapshot["packet"], "interfaces": [{"name": "*"}]})
        listed = lambda: {i["name"]: i["trouble"] for i in self.balancer.stats()["packet"]["interfaces"]}
        wait_until(lambda: "no Ethernet header" in listed().get("tun0", ""), 5, lambda: f"tun0 in {listed()}")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces and kernel programs need root")
        sys.exit(77)
    unittest.main(verbosity=2)
