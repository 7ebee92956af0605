"""One round: the load generator against one contender, and what the contender's processes and the machine spent meanwhile.

The load generator takes the CPU time of the processes it is told to watch at the begin and the end of its measured window, so that
warm-up and connecting are in neither the requests nor the CPU.
"""
import json
import os
import signal
import subprocess
import time

from namespace import die_with_parent
from processes import Failed, rss_kib, times

GRACE = 30  # seconds that a load generator may take beyond its time


class Load:
    """ringway-bench-load under way; `result()` waits for what it says."""

    def __init__(self, place, target, arguments, seconds, warmup, watch=(), inside=None):
        command = [os.path.join(place.bin, "ringway-bench-load"), "--target", target, *arguments, "--seconds", f"{seconds:g}",
                   "--warmup", f"{warmup:g}", "--json"]
        if watch:
            command += ["--watch", ",".join(map(str, watch))]

        def before():
            die_with_parent()
            os.sched_setaffinity(0, place.cpus.load)
            if inside:
                inside()
        self.command, self.seconds = command, seconds + warmup
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before,
                                      start_new_session=True, text=True)

    def running(self):
        return self.popen.poll() is None

    def result(self):
        try:
            out, err = self.popen.communicate(timeout=self.seconds + GRACE)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed(f"the load generator did not end: {' '.join(self.command)}") from None
        try:
            return json.loads(out)
        except ValueError:
            raise Failed(f"{' '.join(self.command)} ended with {self.popen.returncode}: {err.strip() or out.strip()}") from None

    def stop(self):
        if self.running():
            os.kill(self.popen.pid, signal.SIGKILL)
            self.popen.communicate()


def watch_memory(load, contender):
    """The most memory the contender's processes had while the load ran."""
    most = contender.rss_kib()
    while load.running():
        time.sleep(0.1)
        most = max(most, contender.rss_kib())
    return most


def memory_before(place, contender, target, arguments):
    """Memory with the same active connections and no idle ones."""
    Load(place, target, arguments, 0.5, 0).result()
    return rss_kib(contender.proxies)


def connects():
    """Connections begun so far by anybody in this network namespace."""
    with open("/proc/net/snmp") as f:
        names, values = [line.split() for line in f if line.startswith("Tcp:")]
    return int(values[names.index("ActiveOpens")])


def per_request(row, outcome, micros):
    """Bodies that are few in a round count by their bytes."""
    requests = outcome["bytes"] / row.unit if row.unit else outcome["requests"]
    return micros / requests if requests else None


def figures(row, contender, outcome, user_share, helpers):
    watched = {int(pid): micros for pid, micros in outcome["watched_cpu_us"].items()}
    proxy = sum(watched[pid] for pid in contender.proxies)
    aside = sum(watched[pid] for pid in contender.aside)
    ours = sum(watched.values()) + outcome["cpu_us"]
    seconds, machine = outcome["seconds"], outcome["machine_cpu_us"]
    cpu = per_request(row, outcome, proxy)
    latency = outcome["latency_us"]
    return {
        "requests": outcome["requests"], "failures": {k: v for k, v in outcome["failures"].items() if v},
        "cpu_us": cpu, "user_us": cpu * user_share if cpu is not None else None,
        "aside_us": per_request(row, outcome, aside), "machine_us": per_request(row, outcome, machine),
        "rate": outcome["requests"] / seconds, "bytes_per_second": outcome["bytes"] / seconds,
        "p50_us": latency["p50"], "p99_us": latency["p99"], "p999_us": latency["p999"],
        "proxy_busy": proxy / seconds / 1e6, "rss_kib": contender.rss_kib(),
        # Two loads: the second one's time is the run's own too, and not known for this window.
        "foreign": None if helpers else max(0.0, machine - ours) / seconds / 1e6,
        "steal": outcome.get("machine_steal_us", 0) / seconds / 1e6,
    }


def round_of(row, place, contender, origins, seconds, rate=0):
    """One round's figures."""
    warmup = max(0.2, min(0.5, seconds / 4))
    target, arguments = f"127.0.0.1:{contender.port}", list(row.load)
    if rate:
        arguments += ["--rate", f"{rate:.0f}"]
    if contender.settings.endpoints >= 1000:  # a connection to each is there before it is measured
        Load(place, target, [*arguments, "--requests", str(2 * contender.settings.endpoints)], 20, 0).result()
    before = memory_before(place, contender, target, arguments) if row.idle else 0
    if row.idle:
        arguments += ["--idle", str(row.idle)]
    beside = Load(place, target, row.beside, seconds + warmup + 1, 0) if row.beside else None
    try:
        user, system = times(contender.proxies)
        begun = connects()
        load = Load(place, target, arguments, seconds, warmup, [*contender.proxies, *contender.aside, *(o.pid for o in origins)])
        try:
            most = watch_memory(load, contender) if row.idle else 0
            outcome = load.result()
        finally:
            load.stop()
        user, system = (after - now for after, now in zip(times(contender.proxies), (user, system)))
        begun = connects() - begun - outcome["connections_opened"]
        found = figures(row, contender, outcome, user / (user + system) if user + system else 0, beside)
        # The counter saw the warm-up too; a second load's own connections are few. Health checks are among them.
        asked = found["rate"] * (seconds + warmup)
        found["connects"] = max(0, begun) / asked if asked and not row.idle else None  # idle ones were opened meanwhile
        if row.idle:
            found["rss_kib"], found["bytes_per_idle"] = most, (most - before) * 1024 / row.idle
        if beside:
            second = beside.result()
            found["bytes_per_second"] = second["bytes"] / second["seconds"]
            for kind, count in second["failures"].items():
                found["failures"][kind] = found["failures"].get(kind, 0) + count
        return found
    finally:
        if beside:
            beside.stop()
