"""A client, a balancer and endpoints, each in a network namespace of its own; root only. The client is on one side of the
balancer (10.77.1.0/24, fd77:1::/64), the endpoints are on a bridge on the other (10.77.2.0/24, fd77:2::/64), as containers are.
Sockets of all of them live in the test's process. What is made here is removed here."""
import ctypes
import itertools
import os
import socket
import subprocess
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(0)
CLIENT, FRONT, BACK = "10.77.1.2", "10.77.1.1", "10.77.2.1"
CLIENT6, FRONT6, BACK6 = "fd77:1::2", "fd77:1::1", "fd77:2::1"


def run(*words, check=True):
    result = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {result.stderr}")
    return result.stdout


def _setns(path):
    with open(path) as file:
        if _libc.setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), f"setns {path}")


class Namespace:
    def __init__(self, name):
        self.name = f"rwpk{os.getpid() % 100000}-{name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words, check=True):
        return run("ip", "-n", self.name, *words, check=check)

    def exec(self, *words, check=True):
        return run("ip", "netns", "exec", self.name, *words, check=check)

    def sysctl(self, key, value):
        self.exec("sysctl", "-qw", f"{key}={value}")

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket of this namespace; the thread is back in its own when this returns."""
        made = []

        def make():  # a thread of its own: if it cannot go back nobody else is lost
            _setns(f"/var/run/netns/{self.name}")
            made.append(socket.socket(family, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def close(self):
        run("ip", "netns", "delete", self.name, check=False)


def join(a, a_link, b, b_link):
    run("ip", "-n", a.name, "link", "add", a_link, "type", "veth", "peer", "name", b_link, "netns", b.name)
    for space, link in ((a, a_link), (b, b_link)):
        space.ip("link", "set", link, "up")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Server:
    """An endpoint's program: TCP says its name, then echoes; UDP answers NAME:DATA. Notes who spoke to it."""

    def __init__(self, space, name, address, port, udp=False):
        self.name, self.peers, self.open = name, [], []
        self.socket = space.socket(family_of(address), socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        if not udp:
            self.socket.listen(1024)
        threading.Thread(target=self._answer if udp else self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, peer = self.socket.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            self.open.append(conn)
            threading.Thread(target=self._echo, args=(conn,), daemon=True).start()

    def _echo(self, conn):
        try:
            conn.sendall(self.name.encode() + b"\n")
            while data := conn.recv(1 << 16):
                conn.sendall(data)
        except OSError:
            pass
        conn.close()

    def _answer(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(65536)
                if not peer:
                    return  # closed
                self.peers.append(peer[0])
                self.socket.sendto(self.name.encode() + b":" + data, peer)
            except OSError:
                return

    def close(self):
        # Who waits in a system call is woken first: it may begin again, with the descriptor's number, when that is another socket's.
        for sock in (self.socket, *self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


class Network:
    PORT = 8080  # of every endpoint, TCP and UDP

    def __init__(self, endpoints=3):
        self.spaces, self.servers, self.endpoint_spaces = [], {}, {}
        try:
            self.client, self.balancer = self._space("client"), self._space("lb")
            join(self.balancer, "front", self.client, "eth0")
            for space, link, address, address6 in ((self.balancer, "front", FRONT, FRONT6), (self.client, "eth0", CLIENT, CLIENT6)):
                space.ip("addr", "add", f"{address}/24", "dev", link)
                space.ip("addr", "add", f"{address6}/64", "dev", link, "nodad")
            self.balancer.ip("link", "add", "br0", "type", "bridge")
            self.balancer.ip("link", "set", "br0", "up")
            self.balancer.ip("addr", "add", f"{BACK}/24", "dev", "br0")
            self.balancer.ip("addr", "add", f"{BACK6}/64", "dev", "br0", "nodad")
            self.balancer.sysctl("net.ipv4.ip_forward", 1)
            self.balancer.sysctl("net.ipv6.conf.all.forwarding", 1)
            self.names = [f"e{i}" for i in range(1, endpoints + 1)]
            for i, name in enumerate(self.names, 1):
                self._endpoint(name, i)
        except BaseException:
            self.close()
            raise

    def _space(self, name):
        space = Namespace(name)
        self.spaces.append(space)
        return space

    def _endpoint(self, name, number):
        space = self.endpoint_spaces[name] = self._space(name)
        join(self.balancer, f"port{number}", space, "eth0")
        self.balancer.ip("link", "set", f"port{number}", "master", "br0")
        for address, bits in ((f"10.77.2.{10 + number}", 24), (f"fd77:2::{10 + number}", 64)):
            space.ip("addr", "add", f"{address}/{bits}", "dev", "eth0", *(["nodad"] if ":" in address else []))
            for udp in (False, True):
                self.servers[name, family_of(address), udp] = Server(space, name, address, self.PORT, udp)

    ARM = "10.77.2.100"

    def one_arm(self):
        """The balancer moves beside the endpoints, with one interface and no forwarding: what a container has."""
        self.balancer_host = self.balancer
        arm = self._space("arm")
        join(self.balancer_host, "port9", arm, "eth0")
        self.balancer_host.ip("link", "set", "port9", "master", "br0")
        arm.ip("addr", "add", f"{self.ARM}/24", "dev", "eth0")
        arm.ip("route", "add", "default", "via", BACK)
        arm.sysctl("net.ipv4.ip_forward", 0)
        self.client.ip("route", "add", "10.77.2.0/24", "via", FRONT)
        self.balancer = arm

    def answer_past_the_balancer(self):
        """For direct return: endpoints hold the service's address themselves, and reach the client by the bridge, as a neighbour."""
        join(self.balancer, "past", self.client, "eth1")
        self.balancer.ip("link", "set", "past", "master", "br0")
        for address in ("10.77.2.200/24", "fd77:2::200/64"):
            self.client.ip("addr", "add", address, "dev", "eth1", *(["nodad"] if ":" in address else []))
        for space in self.spaces:
            space.sysctl("net.ipv4.conf.all.rp_filter", 0)
        self.client.sysctl("net.ipv4.conf.eth1.rp_filter", 0)
        for number, name in enumerate(self.names, 1):
            space = self.endpoint_spaces[name]
            space.ip("addr", "add", f"{FRONT}/32", "dev", "lo")
            space.ip("addr", "add", f"{FRONT6}/128", "dev", "lo", "nodad")
            space.ip("route", "add", f"{CLIENT}/32", "via", "10.77.2.200")
            space.ip("route", "add", f"{CLIENT6}/128", "via", "fd77:2::200")
            for address in (FRONT, FRONT6):
                for udp in (False, True):
                    self.servers[name, family_of(address), udp, "direct"] = Server(space, name, address, self.PORT, udp)
        # Who has no link-local address yet cannot ask for a neighbour.
        for space in (self.client, *self.endpoint_spaces.values()):
            for _ in range(250):
                if not space.ip("-6", "addr", "show", "tentative"):
                    break
                time.sleep(0.02)

    def answer_through_the_balancer(self):
        """For transparent: the endpoints' default route."""
        for space in self.endpoint_spaces.values():
            space.ip("route", "add", "default", "via", BACK)
            space.ip("route", "add", "default", "via", BACK6)

    def without_bridge(self):
        """Each endpoint at the end of a veth pair of its own, with a route to it."""
        for number in range(1, len(self.names) + 1):
            self.balancer.ip("link", "set", f"port{number}", "nomaster")
            self.balancer.ip("addr", "add", f"{BACK}/32", "dev", f"port{number}")
            self.balancer.ip("addr", "add", f"{BACK6}/128", "dev", f"port{number}", "nodad")
            self.balancer.ip("route", "add", f"10.77.2.{10 + number}/32", "dev", f"port{number}", "src", BACK)
            self.balancer.ip("route", "add", f"fd77:2::{10 + number}/128", "dev", f"port{number}", "src", BACK6)
        self.balancer.ip("link", "delete", "br0")

    def takes_xdp_frames(self, space):
        """What a frame sent back by XDP needs of a veth's other end: GRO; and what XDP needs of it: finished checksums."""
        space.exec("ethtool", "-K", "eth0", "gro", "on", "tx", "off")

    def address(self, name, v6=False):
        number = 10 + int(name[1:])
        return f"fd77:2::{number}" if v6 else f"10.77.2.{number}"

    def endpoint(self, name, state="ready", generation=1, v6=False, weight=1):
        return {"id": f"n/{name}{'v6' if v6 else ''}", "generation": generation, "address": self.address(name, v6), "port": self.PORT,
                "weight": weight, "state": state, "reason": "" if state == "ready" else "the test says so"}

    def tcp(self, address=FRONT, port=80, timeout=10, space=None):
        """A connection of the client, or from `space`: (socket, the name of the endpoint that answered)."""
        sock = (space or self.client).socket(family_of(address))
        sock.settimeout(timeout)
        sock.connect((address, port))
        name = b""
        while not name.endswith(b"\n"):
            more = sock.recv(64)
            if not more:
                raise ConnectionError("closed before the endpoint said its name")
            name += more
        return sock, name.strip().decode()

    def close(self):
        for server in self.servers.values():
            server.close()
        for space in self.spaces:
            space.close()


def echo(sock, data=b"still there?"):
    """The data comes back; an error or an end says that the flow is broken."""
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        more = sock.recv(1 << 16)
        if not more:
            raise ConnectionError("the connection ended")
        got += more
    if got != data:
        raise AssertionError("other bytes came back")
