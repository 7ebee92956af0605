"""refuse_splice.py CMD...: runs CMD where splice(2) fails with EPERM, as under a seccomp profile that does not list it. seccomp(2)."""
import ctypes
import os
import platform
import struct
import sys

NUMBER = {"x86_64": 275, "aarch64": 76}[platform.machine()]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, EPERM = 38, 22, 2, 1
FILTER = b"".join(struct.pack("HBBI", *line) for line in (
    (0x20, 0, 0, 0),                   # load the call's number
    (0x15, 0, 1, NUMBER),              # splice?
    (0x06, 0, 0, 0x00050000 | EPERM),  # SECCOMP_RET_ERRNO
    (0x06, 0, 0, 0x7FFF0000),          # SECCOMP_RET_ALLOW
))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(FILTER) // 8, FILTER)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
