"""A network namespace with an address of its own, joined to the host by a veth pair in 10.213.x.0/30: what a container has. Root
only. Closing it makes the address vanish: nothing answers it any more, not even with a reset."""
import itertools
import os
import socket
import subprocess
import threading

_numbers = itertools.count(0)


def ip(*words, check=True):
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=check)


class Namespace:
    def __init__(self, world):
        number = (os.getpid() * 7 + next(_numbers)) % 16000
        subnet = f"10.213.{number // 64}.{number % 64 * 4}"
        base = subnet.rsplit(".", 1)
        self.host_address = f"{base[0]}.{int(base[1]) + 1}"
        self.address = f"{base[0]}.{int(base[1]) + 2}"
        self.name = f"ringway-el-{number}"
        self.link = f"rwel{number}"
        self.relay = None
        self.closed = False
        self.world = world

    def __enter__(self):
        try:
            ip("netns", "add", self.name)
            ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            ip("addr", "add", f"{self.host_address}/30", "dev", self.link)
            ip("link", "set", self.link, "up")
            for words in (["addr", "add", f"{self.address}/30", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
                ip("-n", self.name, *words)
            # The catalog listens on loopback only: a relay on the host's end of the pair leads to it.
            self.relay = Relay(self.host_address, int(self.world.catalog_url.rsplit(":", 1)[1]))
            self.catalog_url = f"http://{self.host_address}:{self.relay.port}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def close(self):
        """The address is gone; the host keeps the network, as with a bridge, so connects meet silence."""
        if not self.closed:
            self.closed = True
            ip("-n", self.name, "link", "set", "eth0", "down", check=False)

    def __exit__(self, *_):
        self.close()
        if self.relay:
            self.relay.close()
        ip("link", "delete", self.link, check=False)
        ip("netns", "delete", self.name, check=False)


class Relay:
    """Bytes from ADDRESS:port to 127.0.0.1:target and back; an end is passed on as an end."""

    def __init__(self, address, target):
        self.target = target
        self.listener = socket.create_server((address, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
