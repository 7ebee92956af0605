#!/usr/bin/env python3
"""Holds the include rules of DESIGN sections 1 and 3: who may include whom, and which library belongs to which folder.

    include_rules.py [ROOT]    prints every breach as FILE:LINE: what is wrong; exit 1 when there is one, 2 when ROOT holds no sources

Reads #include lines of .h, .cc, .c and .bpf.c files; what a preprocessor would skip counts too.
"""
import os
import re
import sys

PARTS = ("dataplane", "controlplane", "sidecar", "common", "bpf", "bench", "tests")
SOURCES = (".h", ".cc", ".c", ".cpp", ".hpp")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

ABSL_CONTAINERS = ("absl/container/", "absl/hash/")
C_HEADERS = {"assert.h", "errno.h", "limits.h", "stddef.h", "stdint.h", "string.h"}


def is_std(kind, name):
    """The standard library's headers have neither slash nor ".h"; the compiler's own intrinsics count with them."""
    return kind == "<" and "/" not in name and (not name.endswith(".h") or name in C_HEADERS or name.endswith("intrin.h"))


def library(name):
    """Which third-party library a header belongs to, or None."""
    if name == "liburing.h" or name.startswith("liburing/"):
        return "liburing"
    if name.startswith("bpf/") and name != "bpf/lb_abi.h" or name.endswith(".skel.h"):  # libbpf installs <bpf/...>
        return "libbpf"
    if name.startswith("boost/json"):
        return "Boost.JSON"
    if name.startswith("boost/"):
        return "Boost"
    if name.startswith("absl/"):
        return "Abseil"
    return None


def part(path):
    return path.split("/", 1)[0]


def under(path, *folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def breach(path, kind, name):
    """What is wrong with `path` including `name`, or None."""
    lib = library(name)
    mine, theirs = part(path), part(name)
    product = mine in ("dataplane", "controlplane", "sidecar", "common")

    if mine in ("dataplane", "controlplane", "sidecar") and theirs in ("dataplane", "controlplane", "sidecar") and mine != theirs:
        return f"{mine} never includes {theirs}"
    if mine == "common" and theirs in ("dataplane", "controlplane", "sidecar"):
        return f"common includes none of the programs, here {theirs}"
    if product and theirs in ("tests", "bench"):
        return f"the product does not include {theirs}"
    if product and lib == "liburing" and not under(path, "dataplane/uring", "common/probe"):
        return "only dataplane/uring and common/probe include liburing"
    if product and lib == "libbpf" and not under(path, "dataplane/kernel", "common/probe"):
        return "only dataplane/kernel and common/probe include libbpf"

    if under(path, "dataplane/core"):
        own = under(name, "dataplane/core") or "/" not in name and kind == '"'
        allowed = is_std(kind, name) or name.startswith(ABSL_CONTAINERS) or own
        if not allowed:
            return "dataplane/core includes the standard library, Abseil's containers and itself"
    if under(path, "common/api"):
        own = under(name, "common/api") or "/" not in name and kind == '"'
        allowed = is_std(kind, name) or lib in ("Abseil", "Boost.JSON") or own
        if not allowed:
            return "common/api includes the standard library, Abseil, Boost.JSON and itself"
    return None


def sources(root):
    for top in PARTS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(SOURCES):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def check(root):
    """(files read, ["FILE:LINE: what is wrong", ...])"""
    count, breaches = 0, []
    for path in sources(root):
        count += 1
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as text:
            for number, line in enumerate(text, 1):
                match = INCLUDE.match(line)
                if match:
                    wrong = breach(path, match.group(1), match.group(2))
                    if wrong:
                        breaches.append(f"{path}:{number}: {wrong}: {match.group(2)}")
    return count, breaches


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    count, breaches = check(root)
    if count == 0:
        print(f"include_rules: no sources under {root}", file=sys.stderr)
        return 2
    for line in breaches:
        print(line)
    print(f"include_rules: {count} files, {len(breaches)} breaches", file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
