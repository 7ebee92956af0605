#!/usr/bin/env python3
"""End to end, as a user runs it: builds the images, starts deploy/compose.yaml, and does to it under load what happens at night.

    e2e.py [--delivery packet] [--only NAME,NAME] [--keep] [--no-build]

RINGWAY_BIN names the folder of ringway-load. Exit 0: every expectation met. 77: this machine cannot run a Docker engine.
Everything it made is removed at the end (--keep leaves the stack up), whatever happens; nothing takes longer than --limit.
"""
import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

import stack as stack_module  # first: it adds tests/support
import docker_engine
import packet_scenarios
import ringway_client as rw
import scenarios

SCENARIOS = {"proxy": scenarios.ALL, "packet": packet_scenarios.ALL}

HEADER = ["under load", "requests", "failed", "races", "may fail", "instances seen", "p50 ms", "p99 ms", "note"]


def say(text):
    print(text, flush=True)


def start(stack, arguments):
    stack.down()  # what an interrupted run left
    if not arguments.no_build:
        begin = time.monotonic()
        stack.build(timeout=arguments.limit)
        say(f"images built in {time.monotonic() - begin:.0f} s")
    stack.scale(1)
    rw.wait_until(stack.stats.ready, 60, "the balancer to be ready")
    stack.wait_agreement(1, timeout=60)


def run_scenarios(stack, offered, wanted, folder):
    rows, problems = [], []
    for name, scenario in offered:
        if wanted and name not in wanted:
            continue
        begin = time.monotonic()
        try:
            made = scenario(stack, folder)
            if made:
                rows.append(made)
            say(f"{name}: ok, {time.monotonic() - begin:.0f} s")
        except (rw.GaveUp, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            problems.append(name)
            say(f"{name}: FAILED: {type(error).__name__}: {error}\n--- last lines of the containers\n{stack.logs()}\n---")
    say("\n" + rw.table(HEADER, rows) if rows else "")
    return problems


def on_alarm(_number, _frame):
    raise rw.GaveUp("the time for all of it is over")


def run(host, arguments):
    stack = stack_module.Stack(host, arguments.delivery)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(arguments.limit)
    with tempfile.TemporaryDirectory(prefix="ringway-e2e-") as folder:
        try:
            start(stack, arguments)
            problems = run_scenarios(stack, SCENARIOS[arguments.delivery], arguments.only, folder)
        except rw.GaveUp as error:
            say(f"start: FAILED: {error}\n{stack.logs()}")
            problems = ["start"]
        finally:
            signal.alarm(0)
            if not arguments.keep:
                stack.down()
    say("e2e: " + ("every expectation met" if not problems else "FAILED: " + ", ".join(problems)))
    return 1 if problems else 0


def on_terminate(number, _frame):
    raise SystemExit(128 + number)  # the finally clauses clean up


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delivery", choices=sorted(SCENARIOS), default="proxy", help="packet: with deploy/compose.packet.yaml")
    told = "; ".join(f"{delivery}: " + ", ".join(name for name, _ in offered) for delivery, offered in SCENARIOS.items())
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="scenarios; " + told)
    parser.add_argument("--keep", action="store_true", help="leave the stack up, and the engine: docker_engine.py stop ends it")
    parser.add_argument("--no-build", action="store_true", help="use the images of the last run")
    parser.add_argument("--limit", type=int, default=1500, help="seconds for everything (1500)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, on_terminate)
    reason = docker_engine.why_impossible()
    if reason:
        say(f"e2e: skipped: {reason}")
        return 77
    if not os.path.exists(rw.program_path("ringway-load")):
        say(f"e2e: no {rw.program_path('ringway-load')}; build it, or set RINGWAY_BIN")
        return 1
    if arguments.keep:
        docker_engine.keep_running()
    try:
        with docker_engine.engine() as host:
            return run(host, arguments)
    except docker_engine.EngineError as error:
        say(f"e2e: FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
