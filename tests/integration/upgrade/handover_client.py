"""The handover's protocol as another release would speak it: a successor made of a socket (dataplane/handover/messages.h)."""
import array
import json
import os
import socket
import time


class Successor:
    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self._connect(run_dir + "/handover.sock")
        self.files = []

    def _connect(self, path):
        """A dataplane listens there a moment after its listeners do."""
        for _ in range(400):
            try:
                return self.socket.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)
        raise AssertionError("nobody listens on " + path)

    def say(self, **message):
        self.socket.send(json.dumps(message).encode())

    def hear(self):
        """The next message; the files that came with it are added to self.files. None at the end."""
        files = array.array("i")
        data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64 * files.itemsize))
        for level, kind, body in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files.frombytes(body[:len(body) - len(body) % files.itemsize])
        self.files += files
        return json.loads(data) if data else None

    def take(self, protocol=1, protocol_min=1, **more):
        self.say(type="take", protocol=protocol, protocol_min=protocol_min, pid=1, release="test", **more)
        return self.hear()

    def take_all(self, **options):
        """(offer, names of the sockets)."""
        offer = self.take(**options)
        names = []
        while len(names) < offer["sockets"]:
            names += self.hear()["sockets"]
        return offer, names

    def close(self):
        for file in self.files:
            os.close(file)
        self.files = []
        self.socket.close()
