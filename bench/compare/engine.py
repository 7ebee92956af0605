"""The run itself: for each row its endpoint and contenders are started, measured in turn (A B C A B C ...) and ended."""
import os
import time

from budget import ROUNDS_LEAST
from contenders import ALL
from contenders.base import ORIGIN_PORT, RANGE_ADDRESS, RANGE_FIRST
from judge import median, summarize
from l4 import measure as l4
from l4.place import place_for
from measure import round_of
from processes import Failed, Process, wait_until_free
from rows import BY_NAME, entries

SATURATION = "small-64"
ENDPOINTS_EACH = 2500


class Engine:
    def __init__(self, place, options, seconds, progress):
        self.place, self.options, self.seconds_each, self.progress = place, options, seconds, progress
        self.rows = {}  # name -> what was found, as in the JSON
        self.started = []

    # -- what a row needs

    def origins(self, row, count):
        """The processes of a row's endpoint, or of its endpoints: some thousands each, for the sake of their open files."""
        where = [(f"127.0.0.1:{ORIGIN_PORT}", ORIGIN_PORT)]
        if count > 1:
            for first in range(RANGE_FIRST, RANGE_FIRST + count, ENDPOINTS_EACH):
                last = min(first + ENDPOINTS_EACH, RANGE_FIRST + count) - 1
                where.append((f"{RANGE_ADDRESS}:{first}-{last}", first))
        found = []
        for listen, port in where:
            found.append(self.origin(listen, port, row.tcp))
        return found

    def origin(self, listen, port, arguments):
        """The ports of the row before may be held for a moment yet, and take connections that nobody serves: the kernel ends a
        ring behind its process's back."""
        address, ports = listen.split(":")
        wait_until_free(address, int(ports.split("-")[0]), int(ports.split("-")[-1]))
        command = [os.path.join(self.place.bin, "ringway-bench-origin"), "--listen", listen, *arguments]
        process = Process(command, self.place.cpus.origin, os.path.join(self.place.work, f"origin-{port}.output"))
        self.started.append(process)
        process.wait_for(port, address)
        return process

    def start(self, row, entry):
        place = place_for(row, ALL[entry.name], self.place, self.started) if row.l4 else self.place
        contender = ALL[entry.name](place, entry.settings, entry.key)
        self.started.append(contender)
        contender.start()
        return contender

    def start_all(self, row, able, unable):
        """{key: contender}; of one that does not start its words are kept, and the others go on."""
        found = {}
        for entry in able:
            try:
                found[entry.key] = self.start(row, entry)
            except (Failed, OSError) as failed:
                unable[entry.key] = f"{entry.label} did not start: {failed}"
        return found

    def stop_all(self):
        while self.started:
            self.started.pop().stop()

    # -- a row

    def takers(self, row):
        """(entries that can take part, {key: why not})."""
        able, unable = [], {}
        for entry in entries(row, ALL, self.options.contenders):
            why = ALL[entry.name].missing(self.place, entry.settings)
            wanted = ALL[entry.name].files_wanted(entry.settings, row.active(), row.idle)
            if not why and wanted > self.place.open_files:
                why = f"needs {wanted} open files, the limit is {self.place.open_files} (ulimit -n, fs.nr_open)"
            if why:
                unable[entry.key] = f"{entry.label}: {why}"
            else:
                able.append(entry)
        return able, unable

    def run_row(self, row, times):
        able, unable = self.takers(row)
        rate = self.rate(row)
        try:
            origins = [] if row.l4 else self.origins(row, max((e.settings.endpoints for e in able), default=1))
            contenders = {} if row.idle else self.start_all(row, able, unable)
            able = [entry for entry in able if entry.key not in unable]
            rounds = {entry.key: [] for entry in able}
            configs = {key: list(c.config().values()) for key, c in contenders.items()}
            for number in range(times):
                for entry in able:
                    self.progress.step(f"{row.name}, round {number + 1} of {times}: {entry.label}")
                    contender = contenders.get(entry.key) or self.start(row, entry)
                    rounds[entry.key].append(l4.round_of(row, contender, self.seconds(row)) if row.l4 else
                                             round_of(row, self.place, contender, origins, self.seconds(row), rate))
                    if row.idle:  # memory is told of a fresh one
                        configs[entry.key] = list(contender.config().values())
                        self.started.pop().stop()
            if row.l4:
                l4.add_shares(rounds)
            remarks = [words for c in contenders.values() for words in c.remarks()]
        finally:
            self.stop_all()
        self.rows[row.name] = self.account(row, able, unable, rounds, configs, rate, times)
        self.rows[row.name]["note"] = "; ".join(filter(None, [row.note, *remarks]))
        return self.rows[row.name]

    def seconds(self, row):
        return self.seconds_each * row.seconds

    def rate(self, row):
        """Requests a second of an open-loop row: its share of what the slowest contender did in the saturated one."""
        if not row.share:
            return 0
        if SATURATION not in self.rows:
            self.run_row(BY_NAME[SATURATION], ROUNDS_LEAST)
        saturated = self.rows[SATURATION]
        rates = [median(saturated, key, "rate") for key in saturated["results"]]
        rates = [r for r in rates if r]
        if not rates:
            raise Failed(f"row {row.name}: no contender got through {SATURATION} without failures, so there is no saturation")
        return row.share * min(rates)

    def account(self, row, able, unable, rounds, configs, rate, times):
        return {
            "name": row.name, "title": row.title, "group": row.group, "metric": row.metric, "note": row.note,
            "varied": bool(row.vary),
            "load": list(row.load) + (["--idle", str(row.idle)] if row.idle else []) + (["--rate", f"{rate:.0f}"] if rate else []),
            "features": {e.key: e.settings.features() for e in able}, "rate": rate or None, "measured": time.strftime("%Y-%m-%d %H:%M %Z"),
            "rounds": times, "seconds": self.seconds(row), "left_out": unable,
            "labels": {e.key: e.label for e in able}, "configs": {key: shortened(texts) for key, texts in configs.items()},
            "results": {key: dict(summarize(found), rounds=found) for key, found in rounds.items()},
        }


def shortened(texts, lines=80):
    """Configs as they are; those with thousands of endpoints are cut, and say so."""
    found = []
    for text in texts:
        rows = [line if len(line) < 2000 else line[:1500] + f" ... ({len(line)} characters)" for line in text.splitlines()]
        if len(rows) > lines:
            rows = rows[:lines // 2] + [f"... ({len(rows) - lines} lines left out)"] + rows[-(lines // 2):]
        found.append("\n".join(rows))
    return found
