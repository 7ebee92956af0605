"""A way that takes time and loses packets, without netem, which not every kernel has: a TUN device whose far end swaps source and
destination of each packet and gives it back. Who connects to FAR reaches the listener at NEAR with the same port, and the other way
round; sums stay right. In a network namespace of the caller's own."""
import fcntl
import heapq
import os
import struct
import subprocess
import threading
import time

NEAR, FAR = "10.77.0.1", "10.77.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Mirror:
    def __init__(self):
        self.delay, self.lost_every = 0.0, 0  # seconds a packet, one of so many is lost (0: none)
        self.tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TUN | IFF_NO_PI))
        subprocess.run(["ip", "address", "add", f"{NEAR}/24", "dev", "far"], check=True)
        subprocess.run(["ip", "link", "set", "far", "up"], check=True)
        self.due, self.changed, self.passed = [], threading.Condition(), 0
        for loop in (self._take, self._give):
            threading.Thread(target=loop, daemon=True).start()

    def _take(self):
        while True:
            packet = os.read(self.tun, 65536)
            if packet[0] >> 4 != 4:
                continue
            self.passed += 1
            if self.lost_every and len(packet) > 60 and self.passed % self.lost_every == 0:  # of those with data
                continue
            swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
            with self.changed:
                heapq.heappush(self.due, (time.monotonic() + self.delay, self.passed, swapped))
                self.changed.notify()

    def _give(self):
        while True:
            with self.changed:
                while not self.due or self.due[0][0] > time.monotonic():
                    self.changed.wait(self.due[0][0] - time.monotonic() if self.due else None)
                packet = heapq.heappop(self.due)[2]
            os.write(self.tun, packet)
