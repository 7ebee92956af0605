#!/usr/bin/env python3
"""test_targets.py BUILD_DIR LABEL...: the build targets of the tests that carry one of the labels, one a line, so that a
sanitized build need not build the rest."""
import json
import os
import subprocess
import sys


def main(build_dir, labels):
    shown = subprocess.run(["ctest", "--test-dir", build_dir, "--show-only=json-v1", "-L", "^(" + "|".join(labels) + ")$"],
                           capture_output=True, text=True, check=True)
    bin_dir = os.path.realpath(os.path.join(build_dir, "bin")) + os.sep
    targets = set()
    for test in json.loads(shown.stdout)["tests"]:
        for word in test.get("command", []):
            if os.path.realpath(word).startswith(bin_dir):
                targets.add(os.path.basename(word))
    print("\n".join(sorted(targets)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
