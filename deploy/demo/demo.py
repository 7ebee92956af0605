"""The main job on this host, for scripts/demo: `ringway up` and N Apache/PHP instances, each under its sidecar.

    demo.py [--web N]    until Ctrl-C
    demo.py --check      by itself, with load; exit 0 only if no request failed
    demo.py scale N      tells the demo that runs
"""
import argparse
import fcntl
import os
import shutil
import signal
import stat
import sys
import threading

import paths  # first: it adds ringway_client's folder
import check
import control
import ringway_client as rw
from balancer import Balancer
from pool import Pool, port_is_free

PORTS = (("RINGWAY_HTTP_PORT", 8080, "service"), ("RINGWAY_STATS_PORT", 9000, "statistics"), ("RINGWAY_CATALOG_PORT", 8500, "catalog"))


def say(text=""):
    print(text, flush=True)


def choose_ports():
    ports = []
    for variable, default, what in PORTS:
        port = int(os.environ.get(variable, default))
        if not port_is_free(port):
            raise SystemExit(f"demo: port {port} ({what}) is taken; set {variable} to another one, or stop what listens there")
        ports.append(port)
    return ports


def make_state_dir():
    """An empty one with the pages in it, held by a lock: one demo at a time."""
    os.makedirs(paths.STATE, mode=0o755, exist_ok=True)
    status = os.lstat(paths.STATE)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise SystemExit(f"demo: {paths.STATE} is not a directory of this user; remove it or set TMPDIR")
    lock = open(os.path.join(paths.STATE, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("demo: one runs already; scripts/demo scale N talks to it") from None
    for name in os.listdir(paths.STATE):
        path = os.path.join(paths.STATE, name)
        if name != "lock":
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    # A copy: Apache's user may not be able to read the source tree.
    shutil.copytree(paths.HTML_SOURCE, paths.HTML)
    return lock


def introduce(balancer, pool):
    say(f"""
Ringway is up with {len(pool.instances)} web instances: {', '.join(pool.names())}.

  service     {balancer.http_url}/
  statistics  {balancer.stats_url}/haproxy_stats   (admin / admin)
  catalog     {balancer.catalog_url}/

Try:
  for i in 1 2 3 4; do curl -si {balancer.http_url}/ | grep X-Served-By; done
  scripts/demo scale 5          then look at the statistics
  scripts/demo scale 0          and ask again: 503 with Retry-After
  kill -9 PID of an Apache      its sidecar ends and the balancer goes on without it

Logs and state are in {paths.STATE}. Ctrl-C stops all of it.
""")


def answer(words, pool):
    """What `scripts/demo scale N` is told."""
    if len(words) != 2 or words[0] != "scale" or not words[1].isdigit() or int(words[1]) > 100:
        return "wanted: scale N, N from 0 to 100\n"
    before = len(pool.instances)
    try:
        pool.scale(int(words[1]))
        pool.wait_serving()
    except rw.GaveUp as error:
        return f"demo: {error}\n"
    text = f"web: {before} -> {len(pool.instances)} ({', '.join(pool.names()) or 'none'})"
    say(text)
    return text + "\n"


def serve(balancer, pool, stop):
    with control.listen(paths.STATE) as server:
        while not stop.is_set():
            control.serve_one(server, 0.5, lambda words: answer(words, pool))
            if not balancer.alive():
                raise SystemExit(f"demo: `ringway up` has ended:\n{balancer.last_words()}")
            for instance in pool.dead():
                say(f"{instance.name} has ended ({instance.process.returncode}); scripts/demo scale {len(pool.instances)} starts another")
                pool.instances.remove(instance)


def run(arguments):
    stop = threading.Event()

    def on_signal(number, _frame):
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    lock = make_state_dir()
    ports = choose_ports()
    if not paths.apache():
        raise SystemExit("demo: no apache2 here; scripts/install-deps demo installs it")
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGHUP, on_signal)
    balancer = Balancer(paths.STATE, *ports)
    pool = Pool(paths.STATE, balancer)
    status = 0
    try:
        balancer.start()
        pool.scale(arguments.web)
        pool.wait_serving()
        if arguments.check:
            status = 0 if check.run(paths.STATE, balancer, pool) else 1
        else:
            introduce(balancer, pool)
            serve(balancer, pool, stop)
    except KeyboardInterrupt:
        say("\nstopping")
        status = 130 if arguments.check else 0
    except rw.GaveUp as error:
        print(f"demo: {error}\n--- last of {balancer.log_path()}\n{balancer.last_words()}", file=sys.stderr)
        status = 1
    finally:
        stop.set()
        pool.stop_all()
        balancer.stop()
        lock.close()
    return status


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Real Apache/PHP instances behind Ringway, on this host.")
    parser.add_argument("--web", type=int, default=3, metavar="N", help="web instances to start with (3)")
    parser.add_argument("--check", action="store_true", help="run unattended with load, scale 3, 5, 1, 3, exit 0 if no request failed")
    parser.add_argument("command", nargs="*", metavar="scale N", help="while it runs: the new number of instances")
    arguments = parser.parse_args()
    if arguments.command:
        if len(arguments.command) != 2 or arguments.command[0] != "scale" or not arguments.command[1].isdigit():
            parser.error("wanted: scale N")
        reply = control.ask(paths.STATE, *arguments.command)
        if reply is None:
            print("demo: none runs; start it with scripts/demo", file=sys.stderr)
            return 1
        print(reply, end="")
        return 0 if reply.startswith("web:") else 1
    if arguments.check:
        arguments.web = 3
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
