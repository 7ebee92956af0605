"""Leases between the real sidecar and the real control plane: who is out of the pool when what dies, and who is not."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading

from support import Case, Consul, HANG_GUARD_S, free_port, main, wait_until

CONTROLPLANE = os.environ.get("RINGWAY_CONTROLPLANE", "ringway-controlplane")


class ControlPlane:
    """A control plane with an embedded catalog on one port; it can be killed and started again."""

    def __init__(self, lease=None):
        self.directory = tempfile.mkdtemp(prefix="lease-test-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = os.path.join(self.directory, "ringway.json")
        catalog = {"type": "embedded", "listen": f"127.0.0.1:{self.port}", "data_dir": self.directory}
        if lease:
            catalog["lease"] = lease
        with open(self.config, "w") as out:
            json.dump({"catalog": catalog,
                       "listeners": [{"name": "web", "bind": f"127.0.0.1:{free_port()}", "protocol": "http",
                                      "routes": [{"service": "web"}]}]}, out)
        self.start()

    def start(self):
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen([CONTROLPLANE, "--config", self.config, "--run-dir", self.directory],
                                            stdout=log, stderr=log)
        wait_until(lambda: self.answers() or self.process.poll() is not None, self.log)
        assert self.process.poll() is None, self.log()

    def log(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as text:
            return text.read()

    def answers(self):
        try:
            return self.get("/v1/status/leader")
        except OSError:
            return False

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_GUARD_S + 10)
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response, text

    def get(self, path):
        return json.loads(self.request("GET", path)[1])

    def checks(self, check_id):
        return {check["CheckID"]: check for entry in self.get("/v1/health/service/web")
                for check in entry["Checks"]}.get(check_id)

    def passing(self):
        return [entry["Service"]["ID"] for entry in self.get("/v1/health/service/web?passing")]

    def ids(self):
        return [entry["Service"]["ID"] for entry in self.get("/v1/health/service/web")]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(timeout=HANG_GUARD_S)
        shutil.rmtree(self.directory, ignore_errors=True)


class Watch:
    """Follows the health of "web" as a blocking reader and keeps every status of every check it was shown."""

    def __init__(self, plane):
        self.plane = plane
        self.seen = set()
        self.ended = False
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        index = 1
        while not self.ended:
            try:
                response, text = self.plane.request("GET", f"/v1/health/service/web?index={index}&wait=500ms")
                index = int(response.headers["X-Consul-Index"])
                for entry in json.loads(text):
                    self.seen |= {(check["CheckID"], check["Status"]) for check in entry["Checks"]}
            except (OSError, http.client.HTTPException):
                pass

    def end(self):
        self.ended = True
        self.thread.join(HANG_GUARD_S)
        return {check for check, status in self.seen if status != "passing"}


class LeaseCase(Case):
    def plane(self, **options):
        plane = ControlPlane(**options)
        self.addCleanup(plane.close)
        return plane

    def web(self, url, instance="i1", *arguments, **options):
        return self.sidecar("--catalog", url, "--service", "web", "--port", url.rsplit(":", 1)[1], "--instance", instance,
                            *arguments, command=["sleep", "1000"], **options)

    def wait_held(self, plane, instance="i1"):
        wait_until(lambda: (plane.checks("lease:web-" + instance) or {}).get("Status") == "passing",
                   lambda: f"a lease for {instance}:\n" + plane.log())


class Ends(LeaseCase):
    def test_a_killed_sidecar_is_critical_and_soon_gone_long_before_its_ttl(self):
        plane = self.plane(lease={"timeout": "3s", "deregister_after": "1s"})
        sidecar = self.web(plane.url, "i1", "--ttl", "1h", "--deregister-after", "1h")
        self.wait_held(plane)
        self.assertEqual(plane.passing(), ["web-i1"])
        sidecar.process.kill()
        wait_until(lambda: plane.passing() == [], "out of the pool")
        wait_until(lambda: plane.ids() == [], "out of the catalog")
        self.assertIn("web-i1 is critical: lease ended: the sidecar's connection", plane.log())

    def test_a_frozen_sidecar_is_critical_and_comes_back(self):
        plane = self.plane(lease={"timeout": "600ms", "deregister_after": "1h"})
        sidecar = self.web(plane.url, "i1", "--ttl", "1h")
        self.wait_held(plane)
        sidecar.send(signal.SIGSTOP)
        self.addCleanup(sidecar.send, signal.SIGCONT)
        wait_until(lambda: plane.passing() == [], "out of the pool")
        self.assertEqual(plane.checks("lease:web-i1")["Output"], "lease ended: no heartbeat for 0.6 s")
        sidecar.send(signal.SIGCONT)
        wait_until(lambda: plane.passing() == ["web-i1"], "back")

    def test_a_frozen_sidecar_that_was_removed_registers_again(self):
        plane = self.plane(lease={"timeout": "300ms", "deregister_after": "1s"})
        sidecar = self.web(plane.url, "i1", "--ttl", "1h", "--resync", "1h")
        self.wait_held(plane)
        sidecar.send(signal.SIGSTOP)
        self.addCleanup(sidecar.send, signal.SIGCONT)
        wait_until(lambda: plane.ids() == [], "out of the catalog")
        sidecar.send(signal.SIGCONT)
        self.wait_held(plane)

    def test_a_stop_is_quiet_and_the_lease_is_held_until_the_end(self):
        plane = self.plane()
        sidecar = self.web(plane.url)
        self.wait_held(plane)
        watch = Watch(plane)
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        wait_until(lambda: plane.ids() == [], "deregistered")
        self.assertEqual(watch.end(), set())
        self.assertNotIn("lease ended", plane.log())

    def test_a_second_sidecar_with_the_same_id_has_the_lease_and_the_first_ones_end_means_nothing(self):
        plane = self.plane()
        first = self.web(plane.url)
        self.wait_held(plane)
        first.send(signal.SIGSTOP)
        second = self.web(plane.url)
        second.wait_err("holds a lease")
        watch = Watch(plane)
        first.process.kill()
        first.process.wait()
        wait_until(lambda: "goes to a new connection" in plane.log(), "told")
        response, _ = plane.request("PUT", "/v1/agent/check/pass/sidecar:web-i1")  # a round after the end was seen
        self.assertEqual(response.status, 200)
        self.assertEqual(watch.end(), set())
        second.process.kill()
        wait_until(lambda: plane.passing() == [], "the second one's end counts")

    def test_an_instance_deregistered_by_hand_comes_back_at_once(self):
        plane = self.plane()
        self.web(plane.url, "i1", "--resync", "1h", "--ttl", "1h")
        self.wait_held(plane)
        plane.request("PUT", "/v1/agent/service/deregister/web-i1")
        self.wait_held(plane)

    def test_a_drain_of_a_former_life_does_not_bind_the_next(self):
        plane = self.plane()
        first = self.web(plane.url)
        self.wait_held(plane)
        wait_until(lambda: plane.request("PUT", "/v1/ringway/drain/web-i1?wait=0s")[0].status == 200, "known to the resolver")
        first.process.kill()
        first.process.wait()
        self.assertTrue(self.draining(plane))
        self.web(plane.url)
        wait_until(lambda: not self.draining(plane), "in service again")

    def draining(self, plane):
        return plane.get("/v1/ringway/overview")["services"][-1]["instances"][0]["draining"]


class ControlPlaneAway(LeaseCase):
    def test_killed_and_started_again_nobody_of_twenty_leaves(self):
        plane = self.plane()
        names = [f"i{number:02}" for number in range(20)]
        for name in names:
            self.web(plane.url, name)
        for name in names:
            self.wait_held(plane, name)
        watch = Watch(plane)
        plane.kill()
        plane.start()
        self.assertEqual(plane.passing(), ["web-" + name for name in names])
        wait_until(lambda: self.connections(plane) >= len(names), "all leases are taken again")
        # Longer than the grace: who is not held now would turn critical.
        threading.Event().wait(3.5)
        self.assertEqual(plane.passing(), ["web-" + name for name in names])
        self.assertEqual(watch.end(), set())

    def connections(self, plane):
        """Established connections to the catalog's port, as the kernel counts them on the server's side."""
        with open(f"/proc/{plane.process.pid}/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return sum(1 for row in rows if row[1].endswith(f":{plane.port:04X}") and row[3] == "01")

    def test_a_sidecar_that_died_meanwhile_is_critical_after_the_grace(self):
        plane = self.plane(lease={"timeout": "500ms", "deregister_after": "1h"})
        dead, alive = self.web(plane.url, "dead"), self.web(plane.url, "alive")
        self.wait_held(plane, "dead")
        self.wait_held(plane, "alive")
        plane.kill()
        dead.process.kill()
        dead.process.wait()
        plane.start()
        wait_until(lambda: plane.passing() == ["web-alive"], "only the living one")
        self.assertIn("has not come back", plane.checks("lease:web-dead")["Output"])
        self.assertIsNone(alive.process.poll())

    def test_a_control_plane_that_stood_still_blames_nobody(self):
        plane = self.plane(lease={"timeout": "1200ms", "deregister_after": "1s"})
        self.web(plane.url)
        self.wait_held(plane)
        watch = Watch(plane)
        plane.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(5)
        plane.process.send_signal(signal.SIGCONT)
        threading.Event().wait(3)
        self.assertEqual(plane.passing(), ["web-i1"])
        self.assertEqual(watch.end(), set())

    def test_a_drain_it_lost_is_asked_for_again(self):
        catalog = self.scripted_catalog()
        asked = []

        def drain(path, body):
            asked.append(path)
            if len(asked) == 1:
                raise ConnectionAbortedError("as a control plane that is killed while it waits")
            return 200, '{"drained":true,"in_flight":0,"dataplanes":1}'

        catalog.answers["/v1/ringway/drain/"] = drain
        catalog.server.handle_error = lambda *_: None
        sidecar = self.web(catalog.url, "i1", "--drain-timeout", "20s")
        wait_until(lambda: "passing" in catalog.statuses(), "registered")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(len(asked), 2)
        self.assertTrue(asked[0].endswith("?wait=20s"), asked)
        self.assertRegex(asked[1], r"\?wait=1\d\d\d\dms$")  # what is left
        self.assertIn("drained, 1 dataplanes agree", sidecar.err())


class WithoutLeases(LeaseCase):
    def test_a_sidecar_that_knows_no_leases_lives_by_its_ttl(self):
        """What a sidecar without leases sends, by hand."""
        plane = self.plane()
        body = {"ID": "web-old", "Name": "web", "Address": "127.0.0.1", "Port": 1, "Tags": [], "Meta": {},
                "EnableTagOverride": False,
                "Checks": [{"CheckID": "sidecar:web-old", "Name": "c", "Notes": "", "TTL": "1s", "Status": "passing",
                            "DeregisterCriticalServiceAfter": "30s"}]}
        self.assertEqual(plane.request("PUT", "/v1/agent/service/register", json.dumps(body))[0].status, 200)
        self.assertEqual(plane.passing(), ["web-old"])
        self.assertIsNone(plane.checks("lease:web-old"))
        update = json.dumps({"Status": "passing", "Output": "fine"})
        self.assertEqual(plane.request("PUT", "/v1/agent/check/update/sidecar:web-old", update)[0].status, 200)
        wait_until(lambda: plane.passing() == [], "its TTL ends")
        self.assertEqual(plane.request("PUT", "/v1/agent/check/update/sidecar:web-old", update)[0].status, 200)
        self.assertEqual(plane.passing(), ["web-old"])

    def test_a_real_consul_has_none_and_the_ttl_is_short(self):
        consul = Consul()
        self.addCleanup(consul.close)
        sidecar = self.web(consul.url)
        sidecar.wait_err("the catalog has no leases (a Consul): its TTL check tells of a sudden end, TTL 3000 ms")
        wait_until(lambda: len(consul.passing("web")) == 1, "registered")
        self.assertEqual([check["CheckID"] for check in consul.instances("web")[0]["Checks"] if check["ServiceID"]],
                         ["sidecar:web-i1"])
        sidecar.process.kill()
        wait_until(lambda: not consul.passing("web"), "its TTL ends")

    def test_a_drain_of_a_former_life_in_a_real_consul_ends_and_a_persons_does_not(self):
        consul = Consul()
        self.addCleanup(consul.close)
        first = self.web(consul.url, "i1", "--drain-grace", "1h")
        wait_until(lambda: consul.passing("web"), "registered")
        first.send(signal.SIGTERM)
        wait_until(lambda: not consul.passing("web"), "in maintenance mode")
        first.process.kill()
        second = self.web(consul.url, "i1", "--drain-grace", "10ms")
        wait_until(lambda: consul.passing("web"), "in service again")
        connection = http.client.HTTPConnection("127.0.0.1", consul.port, timeout=HANG_GUARD_S)
        connection.request("PUT", "/v1/agent/service/maintenance/web-i1?enable=true&reason=mine")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        second.process.kill()
        third = self.web(consul.url, "i1", "--drain-grace", "10ms")
        third.wait_err("its TTL check tells of a sudden end")
        threading.Event().wait(1)
        self.assertEqual(consul.passing("web"), [])

    def test_whoever_does_not_upgrade_is_told_how(self):
        plane = self.plane()
        self.web(plane.url)
        self.wait_held(plane)
        response, _ = plane.request("GET", "/v1/ringway/lease/web-i1")
        self.assertEqual((response.status, response.headers["Upgrade"]), (426, "ringway-lease/1"))
        response, _ = plane.request("GET", "/v1/ringway/lease/nobody")
        self.assertEqual((response.status, response.headers["Ringway-Heartbeat"]), (404, "1000"))


if __name__ == "__main__":
    main()
