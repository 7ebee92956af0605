"""Client, balancer and endpoints, joined by two veth pairs, with a route through the balancer. One for each contender, so that none
pays for another's rules, programs or connection tracking.

    client 10.77.1.2 --- eth0 | front 10.77.1.1  balancer  back 10.77.2.1 | eth0 --- endpoints 10.77.2.2 to .9, port 9000
"""
import os

from l4 import spaces, xdp
from namespace import SYSCTLS

FRONT, CLIENT, BACK = "10.77.1.1", "10.77.1.2", "10.77.2.1"
ENDPOINTS = tuple(f"10.77.2.{2 + n}" for n in range(8))
PORT = 9000


class Network:
    def __init__(self, congestion, xdp_ready=False):
        """`xdp_ready`: as a network card is that takes redirected frames: the far ends of both pairs run a program that lets all
        pass, and checksums are finished by the sender."""
        self.held = []
        try:
            self.client, self.balancer, self.endpoints = (self._space(congestion) for _ in range(3))
            self._join("front", FRONT, self.client, [CLIENT])
            self._join("back", BACK, self.endpoints, ENDPOINTS)
            spaces.sysctl(self.balancer, "net/ipv4/ip_forward", 1)
            for space, gateway in ((self.client, FRONT), (self.endpoints, BACK)):
                spaces.run(space, "ip", "route", "add", "default", "via", gateway)
                spaces.sysctl(space, "net/ipv4/ip_local_port_range", SYSCTLS["net/ipv4/ip_local_port_range"])
            self.pass_all = xdp.PassAll() if xdp_ready else None
            if xdp_ready:
                self.held.append(self.pass_all)
                for space in (self.client, self.endpoints):
                    spaces.run(space, "ethtool", "-K", "eth0", "tx", "off")
                    self.pass_all.attach(space, "eth0")
        except BaseException:
            self.stop()
            raise

    def _space(self, congestion):
        space = spaces.make()
        self.held.append(space)
        spaces.run(space, "ip", "link", "set", "lo", "up")
        if congestion != "unknown":
            spaces.sysctl(space, "net/ipv4/tcp_congestion_control", congestion)
        spaces.sysctl(space, "net/core/somaxconn", SYSCTLS["net/core/somaxconn"])
        return space

    def _join(self, link, address, space, addresses):
        spaces.run(self.balancer, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", spaces.path(space))
        for where, name, own in ((self.balancer, link, [address]), (space, "eth0", addresses)):
            for one in own:
                spaces.run(where, "ip", "addr", "add", f"{one}/24", "dev", name)
            spaces.run(where, "ip", "link", "set", name, "up")

    def tracked(self):
        """Connections that the balancer's connection tracker holds."""
        try:
            return int(spaces.sysctl(self.balancer, "net/netfilter/nf_conntrack_count"))
        except FileNotFoundError:  # this kernel has none
            return 0

    def stop(self):
        while self.held:
            one = self.held.pop()
            os.close(one) if isinstance(one, int) else one.close()
