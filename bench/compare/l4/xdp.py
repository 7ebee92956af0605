"""A program for XDP that lets everything pass, by bpf(2) itself: what a veth pair's far end must run so that frames sent back or
redirected by XDP arrive (drivers/net/veth.c, veth_xdp_xmit and veth_xdp_flush)."""
import ctypes
import os
import socket
import struct

from l4 import spaces
from namespace import libc

SYS_BPF = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, LINK_CREATE = 5, 28
PROG_TYPE_XDP, ATTACH_XDP, XDP_PASS = 6, 37, 2
MODE_DRIVER = 4
# r0 = XDP_PASS; exit
PROGRAM = struct.pack("<BBhi", 0xb7, 0, 0, XDP_PASS) + struct.pack("<BBhi", 0x95, 0, 0, 0)


def bpf(command, attributes):
    size = 128
    buffer = ctypes.create_string_buffer(attributes.ljust(size, b"\0"), size)
    result = libc.syscall(SYS_BPF[os.uname().machine], command, buffer, size)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf({command}): {os.strerror(number)}")
    return result


class PassAll:
    def __init__(self):
        code, licence = ctypes.create_string_buffer(PROGRAM, len(PROGRAM)), ctypes.create_string_buffer(b"GPL")
        self.program = bpf(PROG_LOAD, struct.pack("<IIQQ", PROG_TYPE_XDP, len(PROGRAM) // 8, ctypes.addressof(code), ctypes.addressof(licence)))
        self.links = []

    def attach(self, space, interface):
        def body():
            return bpf(LINK_CREATE, struct.pack("<IIII", self.program, socket.if_nametoindex(interface), ATTACH_XDP, MODE_DRIVER))
        self.links.append(spaces.within(space, body))

    def close(self):
        for fd in (*self.links, self.program):
            os.close(fd)
        self.links = []
