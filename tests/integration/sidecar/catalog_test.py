"""Registration, lease and the order of a stop, seen from a catalog that plays a script."""
import json
import os
import signal
import threading

from support import Case, free_port, main, wait_until

REGISTER = "/v1/agent/service/register"
UPDATE = "/v1/agent/check/update/"
DRAIN = "/v1/ringway/drain/"
DEREGISTER = "/v1/agent/service/deregister/"
MAINTENANCE = "/v1/agent/service/maintenance/"
HEALTH = "/v1/agent/health/service/id/"
IN_OWN_MAINTENANCE = (503, json.dumps({"Checks": [{"CheckID": "_service_maintenance:web-i1",
                                                   "Notes": "ringway-sidecar: stopping"}]}))
DRAINED = (200, '{"drained":true,"in_flight":0,"dataplanes":2}')

# A program that opens a port, says so, and says when it gets its signal.
SERVER = """
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
def stop(*_):
    print("signalled", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("serving", flush=True)
server.serve_forever()
"""


class CatalogCase(Case):
    def web(self, catalog_url, *arguments, port=None, **options):
        self.web_port = port or free_port()
        return self.sidecar("--catalog", catalog_url, "--service", "web", "--port", str(self.web_port),
                            "--instance", "i1", *arguments,
                            command=["python3", "-c", SERVER, str(self.web_port)], **options)

    def wait_passing(self, catalog):
        wait_until(lambda: "passing" in catalog.statuses(), "the instance is reported passing")


class Registering(CatalogCase):
    def test_appears_passing_once_the_port_is_open(self):
        catalog = self.scripted_catalog()
        self.web(catalog.url, "--tag", "a", "--tag", "b", "--announce-after", "1h")
        self.wait_passing(catalog)
        wait_until(lambda: catalog.count(UPDATE), "the output follows")
        body = catalog.bodies(REGISTER)[0]
        self.assertEqual((body["ID"], body["Name"], body["Address"], body["Port"], body["Tags"]),
                         ("web-i1", "web", "127.0.0.1", self.web_port, ["a", "b"]))
        self.assertEqual(body["Checks"][0]["TTL"], "3s")
        self.assertEqual(body["Checks"][0]["DeregisterCriticalServiceAfter"], "30s")
        self.assertEqual(set(catalog.statuses()), {"passing"})
        self.assertIn("TCP connect", [b for b in catalog.bodies(UPDATE) if b["Status"] == "passing"][0]["Output"])

    def test_what_does_not_pass_is_registered_as_critical_after_a_while(self):
        catalog = self.scripted_catalog()
        sidecar = self.sidecar("--catalog", catalog.url, "--service", "web", "--port", str(free_port()),
                               "--announce-after", "200ms", command=["sleep", "1000"])
        wait_until(lambda: catalog.count(REGISTER), "a registration")
        self.assertEqual(set(catalog.statuses()), {"critical"})
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)

    def test_a_registration_on_its_way_does_not_outlive_the_stop(self):
        catalog = self.scripted_catalog()
        asked, release = threading.Event(), threading.Event()
        answered = []

        def slow(path, body):
            asked.set()
            release.wait(2)
            answered.append("registered")
            return 200, ""

        catalog.answers[REGISTER] = slow
        catalog.answers[DEREGISTER] = lambda path, body: (answered.append("deregistered") or (200, ""))
        sidecar = self.web(catalog.url)
        self.assertTrue(asked.wait(30))
        sidecar.send(signal.SIGTERM)
        sidecar.wait_err("SIGTERM: stopping")
        release.set()
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(answered, ["registered", "deregistered"])

    def test_the_lease_is_refreshed_and_the_registration_repeated(self):
        catalog = self.scripted_catalog()
        self.web(catalog.url, "--ttl", "1s", "--resync", "1s")
        self.wait_passing(catalog)
        wait_until(lambda: catalog.statuses().count("passing") >= 6, "refreshes")
        wait_until(lambda: catalog.count(REGISTER) >= 3, "registrations again")

    def test_a_catalog_that_forgot_is_told_again(self):
        for status, text in ((404, "Unknown check"), (500, 'CheckID "x" does not have associated TTL')):
            catalog = self.scripted_catalog()
            self.web(catalog.url, "--ttl", "1s", "--resync", "1h")
            self.wait_passing(catalog)
            registrations = catalog.count(REGISTER)
            forgot = threading.Event()

            def forget_once(path, body, forgot=forgot, answer=(status, text)):
                if forgot.is_set():
                    return 200, ""
                forgot.set()
                return answer

            catalog.answers[UPDATE] = forget_once
            wait_until(lambda: catalog.count(REGISTER) > registrations, f"registered again after {status}")

    def test_waits_for_a_catalog_that_comes_later(self):
        port = free_port()
        sidecar = self.web(f"http://127.0.0.1:{port}")
        sidecar.wait_err("trying on")
        catalog = self.scripted_catalog(port)
        self.wait_passing(catalog)
        sidecar.wait_err("the catalog answers again")
        self.assertEqual(sidecar.err().count("trying on"), 1)

    def test_waits_for_a_name_that_does_not_resolve(self):
        sidecar = self.web("http://no-such-host.invalid:8500", "--announce-after", "0s")
        sidecar.wait_err("cannot resolve no-such-host.invalid")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)

    def test_names_from_etc_hosts_resolve_in_the_static_program(self):
        with open("/etc/hosts") as hosts:
            self.assertIn("localhost", hosts.read())
        catalog = self.scripted_catalog()
        self.web(f"http://localhost:{catalog.port}")
        self.wait_passing(catalog)

    def test_the_registered_address_can_be_given(self):
        catalog = self.scripted_catalog()
        self.web(catalog.url, "--address", "10.9.8.7")
        self.wait_passing(catalog)
        self.assertEqual(catalog.bodies(REGISTER)[0]["Address"], "10.9.8.7")

    def test_the_end_of_the_program_is_told_at_once_and_its_return_too(self):
        catalog = self.scripted_catalog()
        sidecar = self.web(catalog.url, "--restart", "always", "--ttl", "1h")
        self.wait_passing(catalog)
        pid = int(sidecar.err().split("started, pid ")[1].split(":")[0])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "critical" in catalog.statuses()[catalog.statuses().index("passing"):], "critical")
        outputs = [body["Output"] for body in catalog.bodies(UPDATE)]
        self.assertTrue(any("was killed by SIGKILL" in output for output in outputs), outputs)
        wait_until(lambda: catalog.statuses()[-1] == "passing", "passing again")

    def test_every_field_not_honoured_is_named_and_the_token_is_sent(self):
        catalog = self.scripted_catalog()
        path = self.file("web.json", json.dumps(
            {"service": {"name": "web", "connect": {}, "check": {"ttl": "15s", "alias_node": "x"}}, "server": False}))
        sidecar = self.sidecar("--catalog", catalog.url, "-config-file", path, "--instance", "i1",
                               command=["sleep", "1000"])
        self.wait_passing(catalog)
        for name in ("service.connect: not honoured", "service.check.alias_node: not honoured", "server: not honoured"):
            self.assertIn(path + ": " + name, sidecar.err())
        checks = catalog.bodies(REGISTER)[0]["Checks"]
        self.assertEqual([check["CheckID"] for check in checks], ["sidecar:web-i1", "service:web-i1"])


class Stopping(CatalogCase):
    def test_drain_then_signal_then_deregister_then_exit(self):
        catalog = self.scripted_catalog()
        sidecar = self.web(catalog.url, "--drain-timeout", "7s")
        self.wait_passing(catalog)
        seen_during_drain = []
        drain_asked = threading.Event()
        drain_done = threading.Event()

        def drain(path, body):
            drain_asked.set()
            drain_done.wait(20)
            seen_during_drain.append((sidecar.out(), catalog.count(DEREGISTER)))
            return DRAINED

        catalog.answers[DRAIN] = drain
        deregistered_after = []
        catalog.answers[DEREGISTER] = lambda path, body: (deregistered_after.append(sidecar.out()) or (200, ""))
        sidecar.send(signal.SIGTERM)
        self.assertTrue(drain_asked.wait(20))
        self.assertIsNone(sidecar.process.poll())
        drain_done.set()
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(seen_during_drain, [("serving\n", 0)])      # no signal before the drain's answer
        self.assertEqual(deregistered_after, ["serving\nsignalled\n"])  # and no deregistration before the end
        self.assertIn((DRAIN + "web-i1?wait=7s", None), catalog.requests)
        self.assertIn((DEREGISTER + "web-i1", None), catalog.requests)
        self.assertIn("drained, 2 dataplanes agree", sidecar.err())

    def test_a_second_signal_ends_the_drain(self):
        catalog = self.scripted_catalog()
        release = threading.Event()
        self.addCleanup(release.set)
        catalog.answers[DRAIN] = lambda path, body: (release.wait(60) and DRAINED) or DRAINED
        sidecar = self.web(catalog.url)
        self.wait_passing(catalog)
        sidecar.send(signal.SIGTERM)
        wait_until(lambda: catalog.count(DRAIN) == 1, "drain asked")
        self.assertIsNone(sidecar.process.poll())
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertIn("not waiting for the drain any longer", sidecar.err())
        self.assertEqual(catalog.count(DEREGISTER), 1)

    def test_the_lease_is_kept_while_draining(self):
        catalog = self.scripted_catalog()
        release = threading.Event()
        self.addCleanup(release.set)
        catalog.answers[DRAIN] = lambda path, body: (release.wait(60) and DRAINED) or DRAINED
        sidecar = self.web(catalog.url, "--ttl", "1s", "--resync", "1s")
        self.wait_passing(catalog)
        sidecar.send(signal.SIGTERM)
        wait_until(lambda: catalog.count(DRAIN) == 1, "drain asked")
        registrations, updates = catalog.count(REGISTER), catalog.count(UPDATE)
        wait_until(lambda: catalog.count(UPDATE) >= updates + 5, "refreshes during the drain")
        self.assertLessEqual(catalog.count(REGISTER), registrations + 1)  # one may have been on its way
        release.set()
        self.assertEqual(sidecar.wait(), 0)

    def test_without_drain_maintenance_mode_takes_its_place(self):
        catalog = self.scripted_catalog()
        catalog.answers[DRAIN] = (404, "404 page not found")
        sidecar = self.web(catalog.url, "--drain-grace", "10ms")
        self.wait_passing(catalog)
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        paths = [path for path, _ in catalog.requests]
        maintenance = [path for path in paths if path.startswith(MAINTENANCE)]
        self.assertEqual(maintenance, [MAINTENANCE + "web-i1?enable=true&reason=ringway-sidecar%3A%20stopping"])
        self.assertLess(paths.index(maintenance[0]), paths.index(DEREGISTER + "web-i1"))

    def test_the_maintenance_of_a_former_life_is_ended_once_the_catalog_answers(self):
        catalog = self.scripted_catalog()
        health = [(500, "no"), (503, "ill"), IN_OWN_MAINTENANCE]
        ending = [(500, "no"), (200, "")]
        catalog.answers[HEALTH] = lambda path, body: health.pop(0) if len(health) > 1 else health[0]
        catalog.answers[MAINTENANCE] = lambda path, body: ending.pop(0) if ending else (200, "")
        sidecar = self.web(catalog.url, "--resync", "1s")
        sidecar.wait_err("ended the maintenance mode that a former life began")
        self.assertEqual(sidecar.err().count("that a former life may have left, asking again"), 1)
        asked, resyncs = catalog.count(HEALTH), catalog.count(REGISTER)
        wait_until(lambda: catalog.count(REGISTER) >= resyncs + 2, "more resyncs")
        self.assertEqual((asked, catalog.count(HEALTH), catalog.count(MAINTENANCE)), (4, 4, 2))

    def test_an_answer_about_a_former_life_does_not_end_this_lifes_maintenance(self):
        catalog = self.scripted_catalog()
        asked, release = threading.Event(), threading.Event()

        def slow(path, body):
            asked.set()
            release.wait(2)
            return IN_OWN_MAINTENANCE

        catalog.answers[HEALTH] = slow
        catalog.answers[DRAIN] = (404, "404 page not found")
        sidecar = self.web(catalog.url, "--drain-grace", "500ms")
        self.assertTrue(asked.wait(30))
        sidecar.send(signal.SIGTERM)
        wait_until(lambda: catalog.count(MAINTENANCE), "its own maintenance mode")
        release.set()
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual([path for path, _ in catalog.requests if "enable=false" in path], [])

    def test_a_catalog_that_is_away_does_not_hold_the_stop(self):
        catalog = self.scripted_catalog()
        sidecar = self.web(catalog.url)
        self.wait_passing(catalog)
        catalog.server.shutdown()
        catalog.server.server_close()
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertIn("cannot drain, going on", sidecar.err())
        self.assertIn("cannot deregister", sidecar.err())

    def test_leave_on_terminate_false_leaves_the_instance(self):
        catalog = self.scripted_catalog()
        catalog.answers[DRAIN] = DRAINED
        path = self.file("web.json", '{"service": {"name": "web"}, "leave_on_terminate": false}')
        sidecar = self.sidecar("--catalog", catalog.url, "-config-file", path, command=["sleep", "1000"])
        self.wait_passing(catalog)
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(catalog.count(DRAIN), 1)
        self.assertEqual(catalog.count(DEREGISTER), 0)

    def test_the_end_of_the_program_deregisters_without_a_drain(self):
        catalog = self.scripted_catalog()
        sidecar = self.web(catalog.url)
        self.wait_passing(catalog)
        os.kill(int(sidecar.err().split("started, pid ")[1].split(":")[0]), signal.SIGKILL)
        self.assertEqual(sidecar.wait(), 137)
        self.assertEqual((catalog.count(DRAIN), catalog.count(DEREGISTER)), (0, 1))


if __name__ == "__main__":
    main()
