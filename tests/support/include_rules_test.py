#!/usr/bin/env python3
"""Plants one breach of each include rule in a tree of its own and expects include_rules.py to name it; then expects silence on
what the rules allow."""
import os
import subprocess
import sys
import tempfile
import unittest

CHECKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include_rules.py")

BREACHES = [
    ("dataplane/core/session.h", "<liburing.h>"),
    ("dataplane/core/session.h", "<sys/socket.h>"),
    ("dataplane/core/session.h", "<boost/json.hpp>"),
    ("dataplane/core/session.h", '"absl/status/status.h"'),
    ("dataplane/core/session.h", '"absl/strings/str_cat.h"'),
    ("dataplane/core/session.h", '"common/log/log.h"'),
    ("dataplane/core/session.h", '"common/api/feed.h"'),
    ("dataplane/core/session.h", '"dataplane/uring/uring_io.h"'),
    ("dataplane/feed/client.cc", "<liburing.h>"),
    ("dataplane/feed/client.cc", "<bpf/libbpf.h>"),
    ("dataplane/feed/client.cc", '"controlplane/push/push.h"'),
    ("dataplane/main.cc", '"sidecar/duration.h"'),
    ("dataplane/main.cc", "<liburing.h>"),
    ("controlplane/main.cc", '"dataplane/core/session.h"'),
    ("controlplane/cli/main.cc", "  <liburing.h>"),
    ("controlplane/cli/capabilities.cc", '"bpf/steer.skel.h"'),
    ("sidecar/main.cc", '"controlplane/catalog/model.h"'),
    ("sidecar/main.cc", "<bpf/bpf.h>"),
    ("common/http/server.cc", '"sidecar/duration.h"'),
    ("common/http/server.cc", '"tests/support/load/digest.h"'),
    ("common/api/feed.h", "<spdlog/spdlog.h>"),
    ("common/api/feed.h", "<boost/asio.hpp>"),
    ("common/api/feed.h", '"common/log/log.h"'),
]

ALLOWED = [
    ("dataplane/core/session.h", ["<vector>", "<cstdint>", '"absl/container/flat_hash_map.h"', '"dataplane/core/slab.h"', "<emmintrin.h>"]),
    ("dataplane/uring/uring_io.h", ["<liburing.h>", '"dataplane/core/io.h"', "<sys/socket.h>"]),
    ("dataplane/kernel/steer.cc", ["<bpf/libbpf.h>", '"bpf/steer.skel.h"', '"bpf/lb_abi.h"']),
    ("dataplane/feed/client.cc", ['"common/api/feed.h"', "<boost/asio/awaitable.hpp>", '"bpf/lb_abi.h"']),
    ("common/probe/probe.cc", ["<liburing.h>", "<bpf/bpf.h>"]),
    ("common/api/feed_json.cc", ["<boost/json.hpp>", '"absl/status/statusor.h"', "<string>"]),
    ("controlplane/main.cc", ['"controlplane/push/push.h"', '"common/http/server.h"']),
    ("tests/sim/session_test.cc", ['"dataplane/core/session.h"', '"controlplane/push/push.h"']),
]


def run(files):
    """(exit code, output) of the checker on a tree of {path: text}."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as out:
                out.write(text)
        done = subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True)
        return done.returncode, done.stdout


class IncludeRules(unittest.TestCase):
    def test_names_every_planted_breach(self):
        for path, header in BREACHES:
            with self.subTest(path=path, header=header):
                status, output = run({path: f"// a comment\n#include {header}\n"})
                self.assertEqual(status, 1)
                self.assertTrue(output.startswith(f"{path}:2: "), output)

    def test_is_silent_on_what_is_allowed(self):
        files = {path: "".join(f"#include {header}\n" for header in headers) for path, headers in ALLOWED}
        status, output = run(files)
        self.assertEqual((status, output), (0, ""))

    def test_a_breach_among_good_files_is_found(self):
        files = {path: "".join(f"#include {header}\n" for header in headers) for path, headers in ALLOWED}
        files["dataplane/core/deep/er/file.cc"] = "#include <netinet/in.h>\n"
        status, output = run(files)
        self.assertEqual(status, 1)
        self.assertEqual(len(output.splitlines()), 1)

    def test_a_tree_without_sources_is_no_success(self):
        self.assertEqual(run({"README": ""})[0], 2)


if __name__ == "__main__":
    unittest.main()
