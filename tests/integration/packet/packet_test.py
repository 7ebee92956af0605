"""Packet delivery live: what clients and endpoints in namespaces of their own see of it. Root only."""
import collections
import json
import os
import shutil
import socket
import struct
import sys
import threading
import time
import types
import unittest

from balancer import Balancer, wait_until
from network import BACK, BACK6, CLIENT, CLIENT6, FRONT, FRONT6, Network, Server, echo, join, run

READY, DRAINING, DOWN = "ready", "draining", "down"


class Packet(unittest.TestCase):
    PACKET = {}

    def setUp(self):
        self.network = Network()
        self.addCleanup(self.network.close)
        self.socks = []
        self.addCleanup(lambda: [sock.close() for sock in self.socks])
        self.balancer = None

    def tearDown(self):
        if self.balancer:
            self.balancer.close()

    def start(self, states=None, **options):
        self.balancer = Balancer(self.network, self.endpoints(states or {}), packet={**self.PACKET, **options.pop("packet", {})}, **options)
        process = self.balancer.start()
        self.wait_attached()
        return process

    def wait_attached(self):
        wait_until(lambda: len([i for i in self.balancer.stats()["packet"]["interfaces"] if i["how"]]) == 2, 10, "two interfaces:\n" + self.balancer.words())

    def endpoints(self, states, v6=False):
        return [self.network.endpoint(name, states.get(name, READY), v6=v6) for name in self.network.names]

    def tcp(self, **options):
        sock, name = self.network.tcp(**options)
        self.socks.append(sock)
        return sock, name

    def many(self, count):
        return [self.tcp() for _ in range(count)]

    def assert_all_alive(self, flows):
        broken = []
        for number, (sock, name) in enumerate(flows):
            try:
                echo(sock)
            except OSError as error:
                broken.append(f"{number} at {name}: {error}")
        self.assertEqual(broken, [], self.balancer.words())

    def assert_said(self, words):
        wait_until(lambda: words in self.balancer.words(), 5, lambda: f"{words} in the log:\n" + self.balancer.words())
        trouble = lambda: self.balancer.stats()["packet"]["trouble"]
        wait_until(lambda: words.split(" of ")[0] in trouble(), 5, lambda: f"{words} on the page: {trouble()}")
        self.assertIn("ringway_packet_trouble 1\n", self.balancer.stats("/metrics"))
        time.sleep(1.2)  # a second more of counts, and not a second line
        self.assertEqual(self.balancer.words().count(words.split(" of ")[0]), 1, self.balancer.words())

    def metric(self, service_key, name="web"):
        return [s for s in self.balancer.stats()["services"] if s["name"] == name][0]["packet"][service_key]


class Way(Packet):
    def test_tcp_and_udp_go_to_every_endpoint_by_an_address_of_the_balancer(self):
        self.start()
        flows = self.many(60)
        self.assertEqual(collections.Counter(name for _, name in flows).keys(), set(self.network.names))
        self.assert_all_alive(flows)
        udp = set()
        for _ in range(60):
            sock = self.network.client.socket(kind=socket.SOCK_DGRAM)
            sock.settimeout(5)
            sock.sendto(b"question", (FRONT, 53))
            answer, peer = sock.recvfrom(100)
            self.assertEqual(peer, (FRONT, 53))
            udp.add(answer)
            self.socks.append(sock)  # open: its port is not taken again, so each is a flow
        self.assertEqual(udp, {name.encode() + b":question" for name in self.network.names})
        peers = {peer for server in self.network.servers.values() for peer in server.peers}
        self.assertEqual(peers, {BACK})
        wait_until(lambda: self.metric("flows_opened") >= 120, 5, "the flows to be counted")

    def test_ipv6(self):
        route = [{"host": "", "path": "", "service": "web"}]
        self.start(listeners=[{"name": "web6", "bind": f"[{FRONT6}]:80", "protocol": "tcp", "delivery": "packet", "routes": route}])
        self.balancer.change(self.endpoints({}) + self.endpoints({}, v6=True))
        flows = [self.tcp(address=FRONT6) for _ in range(40)]
        self.assertEqual({name for _, name in flows}, set(self.network.names))
        self.assert_all_alive(flows)
        self.assertEqual({peer for server in self.network.servers.values() for peer in server.peers}, {BACK6})

    def test_bulk_arrives_as_it_was_sent(self):
        self.start()
        sock, _ = self.tcp()
        data = os.urandom(8 << 20)
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < len(data):
            more = sock.recv(1 << 20)
            self.assertTrue(more)
            got += more
        sender.join()
        self.assertEqual(bytes(got), data)

    def test_a_wildcard_bind_is_every_address_of_the_host(self):
        route = [{"host": "", "path": "", "service": "web"}]
        self.start(listeners=[{"name": "any", "bind": "0.0.0.0:80", "protocol": "tcp", "delivery": "packet", "routes": route}])
        self.tcp(address=FRONT)
        self.network.client.ip("route", "add", "10.77.9.0/24", "via", FRONT)
        self.network.balancer.ip("addr", "add", "10.77.9.1/32", "dev", "front")
        wait_until(lambda: self.connects("10.77.9.1"), 5, "an address that came later")

    def connects(self, address):
        try:
            self.tcp(address=address, timeout=1)
            return True
        except OSError:
            return False

    def test_without_an_endpoint_connections_are_refused_at_once(self):
        self.start({name: DOWN for name in self.network.names})
        with self.assertRaises(ConnectionRefusedError):
            self.tcp(timeout=5)
        wait_until(lambda: self.metric("refused") >= 1, 5, "the refusal to be counted")
        self.assert_said("no endpoint is ready of web (IPv4)")


    def test_the_hosts_firewall_does_not_see_the_packets_and_the_log_says_so(self):
        self.network.balancer.exec("iptables", "-P", "INPUT", "DROP")
        self.network.balancer.exec("iptables", "-P", "FORWARD", "DROP")
        self.network.balancer.exec("iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")  # the stats
        self.start()
        self.assert_all_alive(self.many(10))
        self.assertEqual(self.balancer.words().count("firewall"), 1, self.balancer.words())


class Limit(Packet):
    """What is refused or full is said: a line in the log, the page's words, a metric."""

    def test_ports_that_are_used_up_are_said_once(self):
        self.start({name: DOWN for name in ("e2", "e3")}, packet={"snat_port_first": 20000, "snat_port_last": 20010})
        flows = self.many(11)
        for _ in range(3):
            with self.assertRaises(ConnectionRefusedError):
                self.tcp()
        self.assert_said("no port is free towards an endpoint")
        self.assert_all_alive(flows)

    def test_a_reload_takes_other_ports_and_says_what_only_a_start_takes(self):
        self.start(packet={"snat_port_first": 20000, "snat_port_last": 20099})
        flows = self.many(20)
        ports = lambda: {conn.getpeername()[1] for server in self.network.servers.values() for conn in server.open if conn.fileno() >= 0}
        self.assertLessEqual(max(ports()), 20099)
        self.assertEqual(self.balancer.stats()["packet"]["trouble"], "")
        self.balancer.change(packet={**self.balancer.snapshot["packet"], "snat_port_first": 21000, "snat_port_last": 21099, "flows_max": 9999})
        before = ports()
        flows += self.many(20)
        self.assertEqual({port // 1000 for port in ports() - before}, {21})
        self.assert_all_alive(flows)
        self.assert_said("packet.flows_max: the flow table has 8192 entries, 19998 are wanted")

    def test_a_flow_table_that_is_full_is_said_once(self):
        self.start(packet={"flows_max": 1024})
        flows = self.many(1100)
        self.assert_said("the flow table is full")
        self.assert_all_alive(flows)


class Topology(Packet):
    """Both families, TCP and UDP, by each way of sending on: what the endpoints and the clients see of it."""

    asked_again = 0

    def start_both(self, port=80, attached=2, **packet):
        route = [{"host": "", "path": "", "service": "web"}]
        listeners = [{"name": f"{protocol}{n}", "bind": f"{host}:{port}", "protocol": protocol, "delivery": "packet", "routes": route}
                     for n, host in enumerate((FRONT, f"[{FRONT6}]")) for protocol in ("tcp", "udp")]
        self.balancer = Balancer(self.network, self.endpoints({}) + self.endpoints({}, v6=True), packet=packet, listeners=listeners)
        self.balancer.start()
        how = lambda: [i for i in self.balancer.stats()["packet"]["interfaces"] if i["how"]]
        wait_until(lambda: len(how()) == attached, 10, f"{attached} interfaces:\n" + self.balancer.words())

    def talk(self, port=80, count=20):
        """The connections, all of them alive, after bulk on one; every endpoint had its share of each."""
        flows, udp = [], set()
        for address in (FRONT, FRONT6):
            mine = [self.tcp(address=address, port=port) for _ in range(count)]
            self.assertEqual({name for _, name in mine}, set(self.network.names))
            flows += mine
            echo(mine[0][0], os.urandom(100000))
            for _ in range(count):
                sock = self.network.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
                self.socks.append(sock)
                answer, peer = self.ask(sock, (address, port))
                self.assertEqual(peer[:2], (address, port))
                udp.add(answer)
        self.assertLessEqual(self.asked_again, 1, self.balancer.stats()["packet"]["reasons"])
        self.assertEqual(udp, {name.encode() + b":question" for name in self.network.names})
        self.assert_all_alive(flows)
        return flows

    def ask(self, sock, address):
        """As a resolver does: once more after a second. One datagram of all may be lost on a busy machine, not two."""
        sock.settimeout(1)
        for _ in range(3):
            sock.sendto(b"question", address)
            try:
                return sock.recvfrom(100)
            except TimeoutError:
                self.asked_again += 1
        raise AssertionError(f"no answer from {address}: {self.balancer.stats()['packet']['reasons']}")

    def peers(self):
        return {peer for server in self.network.servers.values() for peer in server.peers}

    def counted(self):
        wait_until(lambda: self.metric("flows_opened") >= 80 and self.metric("flows") >= 40, 10, "the flows to be counted")
        return [s for s in self.balancer.stats()["services"] if s["name"] == "web"][0]

    def test_nat(self):
        self.start_both()
        self.talk()
        self.assertEqual(self.peers(), {BACK, BACK6})
        service = self.counted()
        self.assertGreater(service["packet"]["bytes_to_client"], 200000)
        # Handshakes of 40 connections, each endpoint's and all together; on one machine they take less than a second.
        for traffic in [service["packet"]] + [e["packet"] for e in service["endpoints"]]:
            self.assertTrue(0 < traffic["endpoint_rtt_ms"] < 1000, traffic)
            self.assertTrue(0 < traffic["client_rtt_ms"] < 1000, traffic)
        metrics = self.balancer.stats("/metrics")
        self.assertIn('ringway_packet_service_handshake_to_endpoint_seconds_count{service="web"} 40\n', metrics)
        self.assertIn('ringway_packet_service_handshake_to_client_seconds_count{service="web"} 40\n', metrics)

    def test_transparent_keeps_the_clients_addresses_where_the_way_back_leads_through_the_balancer(self):
        self.network.answer_through_the_balancer()
        self.start_both(nat="transparent")
        flows = self.talk()
        self.assertEqual(self.peers(), {CLIENT, CLIENT6})
        self.assertGreater(self.counted()["packet"]["bytes_to_client"], 200000)
        self.balancer.change([e for e in self.endpoints({}) + self.endpoints({}, v6=True) if e["id"] not in ("n/e1", "n/e1v6")])
        self.assert_all_alive(flows)

    def test_transparent_gives_nat_to_clients_beside_the_endpoints(self):
        self.network.answer_through_the_balancer()
        self.start_both(nat="transparent")
        for space in self.network.endpoint_spaces.values():
            for address in (FRONT, FRONT6):
                for _ in range(6):
                    sock, _ = self.network.tcp(address=address, space=space)
                    self.socks.append(sock)
                    echo(sock)
        self.assertEqual(self.peers(), {BACK, BACK6})

    def test_direct_return_goes_past_the_balancer(self):
        self.network.answer_past_the_balancer()
        self.start_both(port=Network.PORT, nat="direct")
        flows = self.talk(port=Network.PORT)
        self.assertEqual(self.peers(), {CLIENT, CLIENT6})
        traffic = self.counted()["packet"]
        self.assertEqual(traffic["bytes_to_client"], 0)
        self.assertGreater(traffic["bytes_to_endpoint"], 200000)
        self.assertEqual(traffic["endpoint_rtt_ms"], 0)
        self.balancer.change([e for e in self.endpoints({}) + self.endpoints({}, v6=True) if e["id"] not in ("n/e1", "n/e1v6")])
        self.assert_all_alive(flows)
        self.balancer.kill()
        self.balancer.start()
        self.assert_all_alive(flows)

    def test_containers_at_veth_pairs_of_their_own_get_packets_at_their_ends(self):
        self.network.without_bridge()
        sent = lambda: sum(int(self.network.balancer.exec("cat", f"/sys/class/net/port{n}/statistics/tx_bytes")) for n in (1, 2, 3))
        before = sent()
        self.start_both(attached=4, interfaces=[{"name": "front"}, {"name": "port*"}])
        self.talk()
        self.assertEqual(self.peers(), {BACK, BACK6})
        self.assertGreater(self.counted()["packet"]["bytes_to_endpoint"], 200000)
        self.assertLess(sent() - before, 20000)  # neighbours were asked for, no more: what is handed over is not transmitted

    def test_xdp_sends_to_interfaces_that_take_its_frames(self):
        self.network.without_bridge()
        for space in (self.network.client, *self.network.endpoint_spaces.values()):
            self.network.takes_xdp_frames(space)
        self.start_both(attached=4, interfaces=[{"name": "front", "mode": "xdp"}, {"name": "port*", "mode": "xdp"}])
        self.assertEqual({i["how"] for i in self.balancer.stats()["packet"]["interfaces"]}, {"xdp (driver) and tcx"})
        self.talk()
        self.assertEqual(self.peers(), {BACK, BACK6})
        self.counted()
        reasons = self.balancer.stats()["packet"]["reasons"]
        by_tc = reasons["xdp_handed_on"]["packets"]
        through = reasons["to_endpoint"]["packets"] + reasons["to_client"]["packets"]
        self.assertGreater(through, 2 * by_tc, reasons)


class Container(Packet):
    def test_one_interface_without_forwarding_and_a_wildcard_bind(self):
        self.network.one_arm()
        route = [{"host": "", "path": "", "service": "web"}]
        self.balancer = Balancer(self.network, self.endpoints({}), listeners=[
            {"name": "web", "bind": "0.0.0.0:80", "protocol": "tcp", "delivery": "packet", "routes": route}])
        self.balancer.start()
        wait_until(lambda: [i for i in self.balancer.stats()["packet"]["interfaces"] if i["how"]], 10, "the interface")
        flows = [self.tcp(address=self.network.ARM) for _ in range(40)]
        self.assertEqual({name for _, name in flows}, set(self.network.names))
        self.assert_all_alive(flows)
        self.assertEqual({peer for server in self.network.servers.values() for peer in server.peers}, {self.network.ARM})
        self.assertEqual(self.balancer.stats()["packet"]["trouble"], "")


class Ways(Packet):
    """What TCP does at either end goes through as it is."""

    def test_the_segment_sizes_of_both_ends_are_left_alone(self):
        self.network.client.ip("route", "replace", FRONT, "dev", "eth0", "advmss", "900")
        self.network.endpoint_spaces["e1"].ip("route", "replace", BACK, "dev", "eth0", "advmss", "1100")
        self.start({"e2": DOWN, "e3": DOWN})
        sock, name = self.tcp()
        self.assertEqual(name, "e1")
        timestamps = 12
        self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1100 - timestamps)
        accepted = self.network.servers["e1", socket.AF_INET, False].open[-1]
        self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 900 - timestamps)

    def test_one_client_port_again_and_again(self):
        self.start()
        for _ in range(60):
            sock = self.network.client.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((CLIENT, 5555))
            sock.settimeout(10)
            sock.connect((FRONT, 80))
            self.assertTrue(sock.recv(64))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        wait_until(lambda: self.balancer.stats()["packet"]["reasons"].get("no_flow", {}).get("packets", 0) == 0, 1, "no packet without its flow")

    def test_both_ends_may_begin_at_once(self):
        """RFC 9293 3.5, simultaneous close: both FINs cross, and the flow is over."""
        self.start()
        sock, name = self.tcp()
        accepted = self.network.servers[name, socket.AF_INET, False].open[-1]
        for end in (accepted, sock):
            end.shutdown(socket.SHUT_WR)
        self.assertEqual(sock.recv(10), b"")
        wait_until(lambda: self.metric("flows") == 0, 15, "the flow to be over")

    def test_silence_where_it_is_wanted(self):
        self.start(packet={"on_dead": "silence"})
        sock, _ = self.tcp()
        self.balancer.change(self.endpoints(dict.fromkeys(self.network.names, DOWN)))
        sock.settimeout(1.5)
        sock.sendall(b"anybody?")
        self.assertRaises(TimeoutError, sock.recv, 10)
        fresh = self.network.client.socket()
        self.socks.append(fresh)
        fresh.settimeout(1.5)
        self.assertRaises(TimeoutError, fresh.connect, (FRONT, 80))


class Pools(Packet):
    def test_a_draining_endpoint_keeps_its_flows_and_gets_no_new_ones(self):
        process = self.start()
        flows = self.many(30)
        self.balancer.change(self.endpoints({"e1": DRAINING}))
        self.assertNotIn("e1", {name for _, name in self.many(40)})
        self.assert_all_alive(flows)
        on_it = [sock for sock, name in flows if name == "e1"]
        in_flight = lambda: [d["exchanges"] for d in self.balancer.feed.reports[process.pid]["draining"] if d["endpoint"] == "n/e1"]
        wait_until(lambda: in_flight() == [len(on_it)], 10, f"{len(on_it)} flows in the report")
        for sock in on_it:
            sock.close()
        wait_until(lambda: in_flight() == [0], 15, "no flow in the report")

    def test_an_endpoint_that_dies_resets_its_clients_and_no_others(self):
        self.start()
        flows = self.many(30)
        self.balancer.change(self.endpoints({"e2": DOWN}))
        for sock, name in flows:
            if name == "e2":
                with self.assertRaises(ConnectionResetError):
                    echo(sock)
                    echo(sock)
        self.assert_all_alive([flow for flow in flows if flow[1] != "e2"])
        self.assertNotIn("e2", {name for _, name in self.many(40)})

    def test_an_endpoint_that_leaves_ends_its_flows_in_peace(self):
        self.start()
        flows = self.many(30)
        self.balancer.change([e for e in self.endpoints({}) if e["id"] != "n/e3"])
        self.assert_all_alive(flows)
        self.assertNotIn("e3", {name for _, name in self.many(40)})

    def test_no_established_flow_breaks_in_a_storm_of_changes(self):
        self.start()
        flows = self.many(50)
        stable = [flow for flow in flows if flow[1] == "e1"]
        self.assertTrue(stable)
        end = time.monotonic() + 4
        turn = 0
        while time.monotonic() < end:
            turn += 1
            gone = {"e2": (READY, DRAINING)[turn % 2], "e3": (DRAINING, READY)[turn // 2 % 2]}
            self.balancer.push(self.endpoints(gone))
            if turn % 50 == 0:
                self.assert_all_alive(flows)
            time.sleep(0.01)
        self.balancer.wait_applied()
        self.assert_all_alive(flows)
        self.assertGreater(turn, 200)


class Lives(Packet):
    def test_flows_outlive_a_killed_dataplane_and_new_ones_begin_without_it(self):
        self.start()
        flows = self.many(40)
        self.balancer.kill()
        self.assert_all_alive(flows)
        flows += self.many(40)
        self.balancer.start()
        self.wait_attached()
        self.assert_all_alive(flows)
        flows += self.many(40)
        self.assert_all_alive(flows)
        # What it finds is what it left: the same slots, so nothing of the first life is orphaned.
        wait_until(lambda: self.metric("flows") == 120, 10, "all flows to be counted by the second life")

    def test_an_upgrade_under_traffic_breaks_nothing(self):
        first = self.start()
        flows = self.many(40)
        failures, stop = [], threading.Event()

        def connect_on():
            while not stop.is_set():
                try:
                    sock, _ = self.network.tcp(timeout=5)
                    echo(sock)
                    sock.close()
                except OSError as error:
                    failures.append(str(error))

        threads = [threading.Thread(target=connect_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        second = self.balancer.start("--take-over")
        self.assertEqual(first.wait(20), 0)
        self.balancer.change(self.endpoints({"e1": DRAINING}))
        self.balancer.change(self.endpoints({}))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [], self.balancer.words())
        self.assert_all_alive(flows)
        self.assertIsNone(second.poll())

    def test_what_an_older_release_left_is_taken_over(self):
        self.start()
        flows = self.many(40)
        self.balancer.kill()
        os.rename(f"{self.balancer.pins}/l4-v2", f"{self.balancer.pins}/l4-v1")
        self.balancer.start()
        self.wait_attached()
        self.assertEqual(self.balancer.words().count("are taken over from"), 1)
        self.assertEqual([name for name in os.listdir(self.balancer.pins) if name.startswith("l4-")], ["l4-v2"])
        self.assertEqual(len([line for line in self.network.balancer.exec("bpftool", "net", "show").splitlines() if "l4_tc" in line]), 2)
        self.assert_all_alive(flows)
        self.assert_all_alive(self.many(40))
        for sock, _ in flows:
            sock.close()
        self.assertEqual(self.balancer.stop(), 0)
        self.assertEqual(self.balancer.traces(), [])

    def test_a_stop_lets_flows_end_and_leaves_no_trace(self):
        self.start()
        flows = self.many(20)
        self.assertNotEqual(self.balancer.traces(), [])
        self.balancer.processes[-1].terminate()
        time.sleep(1)
        self.assert_all_alive(flows)
        with self.assertRaises(OSError):
            self.tcp(timeout=2)
        for sock, _ in flows:
            sock.close()
        self.assertEqual(self.balancer.processes[-1].wait(10), 0)
        self.assertEqual(self.balancer.traces(), [])

    def test_a_push_after_the_stop_gives_nobody_new_flows(self):
        self.start()
        flows = self.many(20)
        self.balancer.processes[-1].terminate()
        time.sleep(0.5)
        self.balancer.push(self.endpoints({"e1": DRAINING}))
        time.sleep(0.7)
        with self.assertRaises(OSError):
            self.tcp(timeout=2)
        self.assert_all_alive(flows)
        for sock, _ in flows:
            sock.close()
        self.assertEqual(self.balancer.processes[-1].wait(10), 0)
        self.assertEqual(self.balancer.traces(), [])

    def test_flows_of_a_listener_that_goes_may_end_and_then_nothing_is_attached(self):
        self.start()
        flows = self.many(20)
        self.balancer.change(listeners=[])
        time.sleep(1)
        self.assert_all_alive(flows)
        with self.assertRaises(OSError):
            self.tcp(timeout=2)
        self.assertEqual(self.balancer.words().count("no listener has it any more"), 1)
        for sock, _ in flows:
            sock.close()
        attached = lambda: [i for i in self.balancer.stats()["packet"]["interfaces"] if i["how"]]
        wait_until(lambda: not attached(), 15, "the interfaces to be left")
        self.assertEqual([line for line in self.balancer.traces() if "tcx" in line], [])

    def test_a_start_without_its_listeners_ends_what_an_earlier_life_left(self):
        self.start()
        flows = self.many(20)
        self.balancer.kill()
        shutil.rmtree(os.path.join(self.balancer.dir, "state"))  # nor does it know them from before
        self.balancer.push(listeners=[])
        self.balancer.start()
        time.sleep(1)
        self.assert_all_alive(flows)
        with self.assertRaises(OSError):
            self.tcp(timeout=2)
        for sock, _ in flows:
            sock.close()
        wait_until(lambda: not [line for line in self.balancer.traces() if "tcx" in line], 15, "the interfaces to be left")
        self.assertEqual(self.balancer.stop(), 0)
        self.assertEqual(self.balancer.traces(), [])

    def test_what_is_kept_works_on_and_can_be_removed_by_hand(self):
        self.start(packet={"on_stop": "keep"})
        flows = self.many(20)
        self.assertEqual(self.balancer.stop(), 0)
        self.assert_all_alive(flows)
        self.assert_all_alive(self.many(20))
        self.assertNotEqual(self.balancer.traces(), [])
        self.network.balancer.exec(os.path.join(os.environ["RINGWAY_BIN"], "ringway-dataplane"), "--remove-packet-delivery", self.balancer.pins)
        self.assertEqual(self.balancer.traces(), [])

    def test_two_dataplanes_do_not_share_a_folder_of_pins(self):
        self.start()
        other = Balancer(self.network, self.endpoints({}), packet={"pin_dir": self.balancer.pins})
        try:
            other.snapshot["stats"]["bind"] = "127.0.0.1:9001"
            other.snapshot["listeners"][0]["bind"] = f"{FRONT}:81"
            other.start()
            self.assertIn("another dataplane runs with", other.words())
        finally:
            other.close()
        self.tcp()

    def test_a_dataplane_without_such_listeners_leaves_another_ones_alone(self):
        self.start()
        flows = self.many(20)
        other = Balancer(self.network, self.endpoints({}), packet={"pin_dir": self.balancer.pins}, listeners=[
            {"name": "proxied", "bind": f"{FRONT}:81", "protocol": "tcp", "routes": [{"host": "", "path": "", "service": "web"}]}])
        try:
            other.snapshot["stats"]["bind"] = "127.0.0.1:9001"
            other.start()
            other.change()
            self.assertNotIn("packet delivery", other.words())
            self.tcp(port=81)
        finally:
            other.close()
        self.assert_all_alive(flows)
        self.tcp()


class Namespaces(Packet):
    """Two network namespaces with one folder of pins. Interfaces have the same numbers in both."""

    VIP = "10.77.9.1"

    def elsewhere(self):
        """A balancer in a namespace of its own, with a client and an endpoint. Its interface `front` has the number of the other one's."""
        space, end = self.network._space("other"), self.network.endpoint_spaces["e1"]
        for link, peer, net in (("front", self.network.client, "10.77.9"), ("back", end, "10.77.8")):
            join(space, link, peer, "eth9")
            space.ip("addr", "add", f"{net}.1/24", "dev", link)
            peer.ip("addr", "add", f"{net}.2/24", "dev", "eth9")
        space.sysctl("net.ipv4.ip_forward", 1)
        number = lambda a: json.loads(a.ip("-j", "link", "show", "front"))[0]["ifindex"]
        self.assertEqual(number(space), number(self.network.balancer))
        self.network.servers["e1", "elsewhere"] = Server(end, "e1", "10.77.8.2", Network.PORT)
        endpoint = {**self.network.endpoint("e1"), "address": "10.77.8.2"}
        other = Balancer(types.SimpleNamespace(balancer=space), [endpoint], packet={"pin_dir": self.balancer.pins}, shutdown_timeout_ms=200, listeners=[
            {"name": "web", "bind": f"{self.VIP}:80", "protocol": "tcp", "delivery": "packet", "routes": [{"host": "", "path": "", "service": "web"}]}])
        self.addCleanup(other.close)
        return other

    def delivery(self, other):
        return other.stats()["listeners"][0]["delivery"]

    def programs(self, space):
        return [line for line in space.exec("bpftool", "net", "show").splitlines() if "l4_tc" in line]

    def test_what_runs_in_another_one_is_left_alone(self):
        self.start()
        flows = self.many(40)
        self.balancer.kill()
        other = self.elsewhere()
        process = other.start()
        self.assertRegex(other.words(), r"bpf/ringway \(packet.pin_dir\) holds programs that run in another network namespace")
        self.assertIn("another network namespace", other.stats()["packet"]["trouble"])
        other.change()
        self.assertEqual(other.words().count("another network namespace"), 1)
        self.assertEqual(self.programs(other.network.balancer), [])
        self.assertEqual(self.delivery(other), "proxy instead of packet")
        self.tcp(address=self.VIP)
        self.assert_all_alive(flows + self.many(40))
        self.assertEqual(other.stop(process), 0)
        # Nor by one that has no such listener, and may have had.
        other.push(listeners=[{"name": "proxied", "bind": f"{self.VIP}:81", "protocol": "tcp", "routes": [{"host": "", "path": "", "service": "web"}]}])
        process = other.start()
        self.assertEqual(other.stop(process), 0)
        self.assert_all_alive(flows + self.many(40))
        # The next one where they run takes them over.
        self.balancer.start()
        self.wait_attached()
        self.assert_all_alive(flows + self.many(40))
        for sock in self.socks:
            sock.close()
        self.assertEqual(self.balancer.stop(), 0)
        self.assertEqual(self.balancer.traces(), [])

    def test_they_can_be_removed_from_another_one_by_hand(self):
        self.start()
        self.balancer.kill()
        other = self.elsewhere()
        other.network.balancer.exec(os.path.join(os.environ["RINGWAY_BIN"], "ringway-dataplane"), "--remove-packet-delivery", self.balancer.pins)
        self.assertEqual(self.balancer.traces(), [])
        other.start()
        wait_until(lambda: len(self.programs(other.network.balancer)) == 2, 10, "its own programs:\n" + other.words())
        self.assert_all_alive([self.tcp(address=self.VIP)])

    def test_one_that_has_ended_leaves_its_folder_to_the_next(self):
        self.start()
        [sock.close() for sock, _ in self.many(10)]
        other = self.elsewhere()
        self.balancer.kill()
        self.network.balancer.close()  # its processes are gone: so is the namespace, as with a container that is restarted
        other.start()
        wait_until(lambda: len(self.programs(other.network.balancer)) == 2, 10, "its own programs:\n" + other.words())
        self.assertNotIn("another network namespace", other.words())
        self.assert_all_alive([self.tcp(address=self.VIP)])
        self.assertEqual(other.stats()["packet"]["active"], True)
        self.assertEqual(other.stop(), 0)
        self.assertEqual(other.traces(), [])

    def test_an_interface_that_has_moved_to_another_one_is_not_taken_for_its_number_here(self):
        self.start(packet={"interfaces": [{"name": "front"}, {"name": "br0"}, {"name": "late*"}]})
        lb, away = self.network.balancer, self.network._space("away")
        lb.ip("link", "add", "late0", "index", "77", "type", "veth", "peer", "name", "end0", "netns", away.name)
        lb.ip("link", "set", "late0", "up")
        shown = lambda: {i["name"]: i["how"] for i in self.balancer.stats()["packet"]["interfaces"]}
        wait_until(lambda: shown().get("late0"), 5, "late0")
        self.balancer.kill()  # else it is seen to leave
        lb.ip("link", "set", "late0", "netns", away.name)
        lb.ip("link", "add", "late1", "index", "77", "type", "veth", "peer", "name", "end1", "netns", away.name)
        lb.ip("link", "set", "late1", "up")
        self.assertEqual(len(self.programs(away)), 1)
        self.balancer.start()
        wait_until(lambda: shown().get("late1"), 5, "late1:\n" + self.balancer.words())
        self.assertEqual(len(self.programs(lb)), 3)
        self.assertEqual(self.programs(away), [])


class Interfaces(Packet):
    def test_an_interface_that_comes_later_is_attached_and_one_that_goes_is_forgotten(self):
        self.start(packet={"interfaces": [{"name": "front"}, {"name": "br0"}, {"name": "late*"}]})
        self.network.balancer.ip("link", "add", "late0", "type", "bridge")
        self.network.balancer.ip("link", "set", "late0", "up")
        shown = lambda: {i["name"]: i["how"] for i in self.balancer.stats()["packet"]["interfaces"]}
        wait_until(lambda: shown().get("late0"), 5, "late0")
        self.network.balancer.ip("link", "delete", "late0")
        wait_until(lambda: "late0" not in shown(), 5, "late0 to be forgotten")
        self.assertEqual(len([pin for pin in os.listdir(self.balancer.pins + "/l4-v2") if pin.startswith("link-tc-")]), 2)
        self.tcp()

    def test_an_interface_without_a_driver_for_xdp_has_the_generic_one_at_each_look(self):
        self.start(packet={"interfaces": [{"name": "front"}, {"name": "br0", "mode": "xdp"}]})
        shown = lambda: {i["name"]: i["how"] for i in self.balancer.stats()["packet"]["interfaces"]}
        self.assertEqual(shown()["br0"], "xdp (generic) and tcx")
        self.network.balancer.ip("addr", "add", "10.77.9.1/32", "dev", "front")  # another look
        time.sleep(1.5)
        self.assertEqual(shown()["br0"], "xdp (generic) and tcx")
        self.balancer.kill()
        self.balancer.start()
        self.wait_attached()
        self.assertEqual(shown()["br0"], "xdp (generic) and tcx")

    def test_a_veth_that_would_lose_what_xdp_sends_back_has_tc_alone(self):
        self.start(packet={"interfaces": [{"name": "front", "mode": "xdp"}, {"name": "br0"}]})
        shown = [i for i in self.balancer.stats()["packet"]["interfaces"] if i["name"] == "front"][0]
        self.assertEqual(shown["how"], "tcx")
        self.assertIn("lost without a word", shown["trouble"])
        self.assertEqual(self.balancer.words().count("lost without a word"), 1)
        self.assert_all_alive(self.many(20))

    def test_xdp_beside_tc(self):
        self.network.takes_xdp_frames(self.network.client)
        self.start(packet={"interfaces": [{"name": "front", "mode": "xdp"}, {"name": "br0"}]})
        shown = {i["name"]: i["how"] for i in self.balancer.stats()["packet"]["interfaces"]}
        self.assertIn("xdp", shown["front"])
        flows = self.many(30)
        self.assertEqual({name for _, name in flows}, set(self.network.names))
        self.assert_all_alive(flows)
        self.balancer.kill()
        self.assert_all_alive(flows)
        self.balancer.start()
        self.assert_all_alive(flows)
        for sock, _ in flows:
            sock.close()
        self.assertEqual(self.balancer.stop(), 0)
        self.assertEqual(self.balancer.traces(), [])


class Privileges(Packet):
    def start_with(self, caps, **options):
        self.balancer = Balancer(self.network, self.endpoints({}), **options)
        return self.balancer.start(wrapper=["setpriv", f"--inh-caps=-all,{caps}", f"--bounding-set=-all,{caps}"])

    def test_three_capabilities_suffice(self):
        self.start_with("+bpf,+net_admin,+perfmon,+net_bind_service")
        self.wait_attached()
        self.assert_all_alive(self.many(10))
        self.balancer.change(self.endpoints({"e1": DRAINING}))
        self.assertNotIn("e1", {name for _, name in self.many(30)})

    def test_without_them_the_proxy_takes_tcp_and_says_so(self):
        self.start_with("+net_bind_service")
        flows = self.many(10)
        self.assert_all_alive(flows)
        stats = self.balancer.stats()
        self.assertEqual([l["delivery"] for l in stats["listeners"]], ["proxy instead of packet", "none: packet is not possible"])
        self.assertFalse(stats["packet"]["active"])
        self.assertTrue(stats["packet"]["trouble"])
        self.assertEqual(self.balancer.words().count("no packet delivery"), 1)
        self.assertIn("packet delivery", self.balancer.stats("/haproxy_stats"))

    def test_a_start_that_cannot_load_leaves_nothing_of_an_earlier_life(self):
        self.start()
        self.balancer.kill()
        self.assertNotEqual(self.balancer.traces(), [])
        caps = "+net_admin,+net_bind_service"
        self.balancer.start(wrapper=["setpriv", f"--inh-caps=-all,{caps}", f"--bounding-set=-all,{caps}"])
        self.assertTrue(self.balancer.stats()["packet"]["trouble"])
        self.assertEqual(self.balancer.traces(), [])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces and kernel programs need root")
        sys.exit(77)
    unittest.main(verbosity=2)
