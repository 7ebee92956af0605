#!/usr/bin/env python3
"""test_summary.py FOLDER: adds up ctest's JUnit files, names what failed or was skipped, prints "N passed, N failed" last.
Exit 0 only if something ran and nothing failed. Where CI=true a skip counts as failed unless may_skip.txt names the test."""
import glob
import os
import sys
import xml.etree.ElementTree as ElementTree


def may_skip():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "may_skip.txt")
    with open(path) as file:
        return {line.split()[0] for line in file if line.strip() and not line.startswith("#")}


def cases(folder):
    """(file's name, test's name, "passed" | "failed" | "skipped", seconds)"""
    for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            status = case.get("status")
            skipped = case.find("skipped") is not None or status in ("notrun", "disabled")
            # A program that is not there is "notrun" as well: that is no skip.
            missing = skipped and "Unable to find executable" in "".join(case.itertext())
            verdict = "failed" if status == "fail" or missing else "skipped" if skipped else "passed"
            yield os.path.basename(path)[:-4], case.get("name"), verdict, float(case.get("time") or 0)


def main(folder):
    strict = os.environ.get("CI", "") not in ("", "false", "0")
    allowed = may_skip()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for group, name, verdict, seconds in cases(folder):
        if verdict == "skipped" and strict and name not in allowed:
            verdict = "failed"
            print(f"FAILED   {group}: {name}: skipped, and this machine could run it")
        elif verdict != "passed":
            print(f"{verdict.upper():8} {group}: {name} ({seconds:.1f} s)")
        counts[verdict] += 1
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    nothing = counts["passed"] + counts["failed"] == 0
    if nothing:
        print("no test ran")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] or nothing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
