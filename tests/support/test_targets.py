#!/usr/bin/env python3
"""test_targets.py BUILD_DIR LABEL...: the build targets of the tests that carry one of the labels, one a line, so that a
sanitized build need not build the rest. Reads CMake's CTestTestfile.cmake: ctest itself hides programs not built yet."""
import os
import re
import sys

TEST = re.compile(r'^add_test\((\[=*\[)?(?P<name>.*?)(\]=*\])? "(?P<program>[^"]+)"')
LABELS = re.compile(r'^set_tests_properties\((\[=*\[)?(?P<name>.*?)(\]=*\])? PROPERTIES .*\bLABELS "(?P<labels>[^"]*)"')


def main(build_dir, wanted):
    bin_dir = os.path.abspath(os.path.join(build_dir, "bin"))
    programs, targets = {}, set()
    for folder, _, names in os.walk(build_dir):
        if "CTestTestfile.cmake" not in names:
            continue
        with open(os.path.join(folder, "CTestTestfile.cmake")) as lines:
            for line in lines:
                if test := TEST.match(line):
                    programs[test["name"]] = test["program"]
                elif labels := LABELS.match(line):
                    program = programs.get(labels["name"], "")
                    if set(labels["labels"].split(";")) & set(wanted) and os.path.dirname(program) == bin_dir:
                        targets.add(os.path.basename(program))
    print("\n".join(sorted(targets)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
