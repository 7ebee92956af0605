"""What the demo and the tests ask of a running Ringway: the catalog, the statistics, and the load tool's account. Standard
library only; every wait has an end."""
import base64
import csv
import io
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request


class GaveUp(AssertionError):
    """Something was waited for and did not come; the message says what."""


def wait_until(condition, timeout, what, interval=0.05):
    """The first true value of `condition()`. Errors of the network count as false: the thing may still be starting."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, ValueError) as error:
            last = error
        if time.monotonic() > deadline:
            raise GaveUp(f"not within {timeout:g} s: {what} (last: {last!r})")
        time.sleep(interval)


def get(url, user=None, password=None, timeout=5, method="GET"):
    """(status, headers, body bytes); a refusal with a status is an answer too."""
    request = urllib.request.Request(url, method=method)
    if user is not None:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def get_json(url, **options):
    status, _, body = get(url, **options)
    if status != 200:
        raise ValueError(f"{url}: status {status}: {body[:200]!r}")
    return json.loads(body)


class Catalog:
    """Consul's HTTP API, embedded or real."""

    def __init__(self, url):
        self.url = url

    def instances(self, service="web", passing=False):
        """[{"id", "address", "port", "node"}], sorted by id."""
        entries = get_json(f"{self.url}/v1/health/service/{service}" + ("?passing" if passing else ""))
        return sorted(({"id": e["Service"]["ID"], "address": e["Service"]["Address"] or e["Node"]["Address"],
                        "port": e["Service"]["Port"], "node": e["Node"]["Node"]} for e in entries), key=lambda i: i["id"])


class CatalogWatch:
    """Follows one service with blocking queries in a thread and notes when an address:port was first there, and first
    passing; one that left and came back is noted anew."""

    def __init__(self, url, service="web"):
        self.url = url
        self.service = service
        self.registered = {}  # "address:port" -> Unix time
        self.passing = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()

    def _run(self):
        index = 0
        while not self._stop.is_set():
            try:
                _, headers, body = get(f"{self.url}/v1/health/service/{self.service}?index={index}&wait=2s", timeout=10)
                new_index = int(headers.get("X-Consul-Index", 0))
                entries = json.loads(body)
            except (OSError, ValueError):
                index = 0
                self._stop.wait(0.2)
                continue
            index = new_index if new_index >= index else 0
            self._note(entries, time.time())

    def _note(self, entries, now):
        present, passing = set(), set()
        for entry in entries:
            where = f"{entry['Service']['Address'] or entry['Node']['Address']}:{entry['Service']['Port']}"
            present.add(where)
            if all(check["Status"] == "passing" for check in entry["Checks"]):
                passing.add(where)
        for noted, seen in ((self.registered, present), (self.passing, passing)):
            for where in seen:
                noted.setdefault(where, now)
            for where in set(noted) - seen:
                del noted[where]


class Stats:
    """The statistics of a dataplane, as CSV and as JSON."""

    def __init__(self, url, user="admin", password="admin"):
        self.url, self.user, self.password = url, user, password

    def csv_rows(self):
        status, _, body = get(f"{self.url}/haproxy_stats;csv", user=self.user, password=self.password)
        if status != 200:
            raise ValueError(f"/haproxy_stats;csv: status {status}")
        text = body.decode()
        if not text.startswith("# "):
            raise ValueError("/haproxy_stats;csv does not begin with '# '")
        return list(csv.DictReader(io.StringIO(text[2:])))

    def endpoint_rows(self, service="web"):
        """The CSV's rows of one service's endpoints, by svname."""
        return {row["svname"]: row for row in self.csv_rows()
                if row["pxname"] == service and row["svname"] not in ("FRONTEND", "BACKEND")}

    def json(self):
        return get_json(f"{self.url}/stats.json", user=self.user, password=self.password)

    def ready(self):
        return get(f"{self.url}/ready")[0] == 200


class Load:
    """A running ringway-load. `counts()` while it runs, `finish()` for its report."""

    def __init__(self, program, url, report_path, rate, connections=16, new_connections=0.2, mix="get=80,post=15,big=5",
                 timeout=30, extra=()):
        self.report_path = report_path
        command = [program, "--url", url, "--rate", str(rate), "--connections", str(connections), "--new-connections",
                   str(new_connections), "--mix", mix, "--timeout", str(timeout), "--until-signal", "--json", report_path,
                   "--progress", "100", *extra]
        self.timeout = timeout
        self.latest = {"requests": 0, "ok": 0, "failed": 0, "races": 0, "endpoints": {}}
        self._log = open(report_path + ".log", "w+")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True,
                                         start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.latest = json.loads(line)

    def counts(self):
        if self._process.poll() is not None:
            raise GaveUp(f"ringway-load ended early with {self._process.returncode}: {self._words()}")
        return self.latest

    def finish(self):
        """Stops issuing, waits until every request has ended, and returns the report."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(self.timeout + 15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise GaveUp("ringway-load did not end")
        self._reader.join(5)
        if status not in (0, 1):
            raise GaveUp(f"ringway-load ended with {status}: {self._words()}")
        self._log.close()
        with open(self.report_path) as file:
            report = json.load(file)
        if report["requests"] != report["ok"] + report["failed"]:
            raise GaveUp(f"the load tool lost requests: {report['requests']} sent, {report['ok']} + {report['failed']} ended")
        return report

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _words(self):
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-1000:]


def describe_failures(report):
    """Lines that say what failed, for people; empty when nothing did."""
    lines = []
    for kind, entry in sorted(report["failures"].items()):
        lines.append(f"  {entry['count']} x {kind} ({', '.join(f'{k} {n}' for k, n in entry['by_kind'].items())})")
        for sample in entry["samples"]:
            lines.append(f"      at {sample['t']:.3f} s: {sample['request']} {sample['endpoint']} {sample['detail']}")
    if report["keepalive"]["races"]:
        lines.append(f"  {report['keepalive']['races']} keep-alive connections closed under a request (sent again)")
    return lines


def table(header, rows):
    """Text with aligned columns."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def program_path(name):
    """A program of the build under test: RINGWAY_BIN, or the release preset's."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.join(os.environ.get("RINGWAY_BIN") or os.path.join(root, "build", "release", "bin"), name)
