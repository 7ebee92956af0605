"""The definition's checks, run by the real binary: HTTP, TCP and script, in all their outcomes."""
import http.server
import json
import os
import signal
import threading

from support import Case, alive, main, wait_until


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers with the status in its path; /302 leads to /200; /echo tells what it got."""

    def do_GET(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        status = self.server.status or int(self.path.strip("/"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "4")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"body")

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass


class Checks(Case):
    def setUp(self):
        self.catalog = self.scripted_catalog()
        self.pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.pages.daemon_threads = True
        self.pages.seen = []
        self.pages.status = 0
        threading.Thread(target=self.pages.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.pages.server_close)
        self.addCleanup(self.pages.shutdown)
        self.base = f"http://127.0.0.1:{self.pages.server_address[1]}"

    def run_check(self, *checks, **service):
        path = self.file("web.json", json.dumps({"service": {"name": "web", "checks": list(checks), **service}}))
        return self.sidecar("--catalog", self.catalog.url, "-config-file", path, "--announce-after", "0s",
                            command=["sleep", "1000"])

    def wait_output(self, status, text):
        def told():
            return [body for body in self.catalog.bodies("/v1/agent/check/update/")
                    if body["Status"] == status and text in body["Output"]]
        return wait_until(told, f"{status} with {text!r}")[0]

    def test_http_2xx_passes_and_says_so_as_consul_does(self):
        self.run_check({"http": self.base + "/200", "header": {"Host": ["web.test"], "X-A": ["1"]}})
        self.wait_output("passing", f"HTTP GET {self.base}/200: 200 Output: body")
        command, _, headers = self.pages.seen[0]
        self.assertEqual((command, headers["Host"], headers["X-A"]), ("GET", "web.test", "1"))
        self.assertEqual(headers["User-Agent"], "Consul Health Check")

    def test_http_head_redirect_429_and_500(self):
        self.run_check({"http": self.base + "/302", "method": "HEAD"})
        self.wait_output("passing", "HTTP HEAD")
        self.assertEqual(self.pages.seen[-1][:2], ("HEAD", "/200"))
        self.run_check({"http": self.base + "/429"})
        self.wait_output("warning", "429")
        self.run_check({"http": self.base + "/500"}, id="failing")
        wait_until(lambda: any(path == "/500" for _, path, _ in self.pages.seen), "a request")
        self.assertNotIn("passing", [b["Status"] for p, b in self.catalog.requests if p.endswith("failing")])

    def test_http_change_is_told_at_once_and_the_worst_of_all_counts(self):
        self.pages.status = 200
        self.run_check({"name": "one", "http": self.base + "/", "interval": "100ms"},
                       {"name": "two", "args": ["true"], "interval": "1h"})
        self.wait_output("passing", "one: HTTP GET")
        self.pages.status = 503
        self.assertIn("two: ", self.wait_output("critical", "503")["Output"])
        self.pages.status = 200
        wait_until(lambda: self.catalog.statuses()[-1] == "passing", "passing again")

    def test_an_interval_of_an_hour_does_not_delay_the_first_pass(self):
        self.pages.status = 503
        self.run_check({"http": self.base + "/", "interval": "1h"})
        wait_until(lambda: len(self.pages.seen) >= 3, "several tries")
        self.pages.status = 200
        self.wait_output("passing", "200")

    def test_script_exit_codes(self):
        self.run_check({"args": ["sh", "-c", "echo fine"]})
        self.wait_output("passing", "fine")
        self.run_check({"args": ["sh", "-c", "echo hm; exit 1"]})
        self.wait_output("warning", "hm")
        self.run_check({"args": ["true"], "name": "a"}, {"script": "echo bad | tr a-z A-Z; exit 2", "name": "b"})
        self.wait_output("critical", "b: BAD")

    def test_script_output_is_bounded_and_read_to_its_end(self):
        self.run_check({"args": ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"]})
        self.assertEqual(len(self.wait_output("passing", "xxx")["Output"]), 4096)

    def test_script_is_killed_with_its_children_at_its_timeout(self):
        pids = self.file("pids", "")
        self.run_check({"args": ["sh", "-c", f"echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; wait"],
                        "timeout": "200ms", "interval": "1h"})
        self.wait_output("critical", "timed out after 200 ms")
        with open(pids) as text:
            started = [int(pid) for pid in text.read().split()[:2]]
        self.assertEqual(len(started), 2)
        for pid in started:
            wait_until(lambda pid=pid: not alive(pid), "killed")

    def test_tcp_refused_then_open(self):
        self.run_check({"tcp": "127.0.0.1:1"})
        self.wait_output("critical", "Connection refused")
        self.run_check({"tcp": self.base.split("//")[1]})
        self.wait_output("passing", "Success")

    def test_failures_before_critical(self):
        self.pages.status = 200
        self.run_check({"http": self.base + "/", "interval": "100ms", "failures_before_critical": 1000})
        self.wait_output("passing", "200")
        self.pages.status = 500
        before = len(self.pages.seen)
        wait_until(lambda: len(self.pages.seen) > before + 5, "failed probes")
        self.assertEqual(self.catalog.statuses()[-1], "passing")


if __name__ == "__main__":
    main()
