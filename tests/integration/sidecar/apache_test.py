"""The main job: a real Apache with PHP under the sidecar, registered in a real Consul."""
import http.client
import os
import signal
import threading

from support import Apache, Case, Consul, alive, main, wait_until

DRAINED = (200, '{"drained":true,"in_flight":0,"dataplanes":1}')


class ApacheCase(Case):
    def apache(self):
        apache = Apache()
        self.addCleanup(apache.close)
        return apache

    def consul(self):
        consul = Consul()
        self.addCleanup(consul.close)
        return consul


class WithConsul(ApacheCase):
    def test_the_classic_demos_files_work_unchanged(self):
        consul, apache = self.consul(), self.apache()
        sidecar = self.sidecar("--supervisord", apache.supervisord_conf(apache.web_json()), "--drain-grace", "100ms",
                               "--instance", "c1", environment={"RINGWAY_CATALOG": consul.url})
        entry = wait_until(lambda: consul.passing("web"), "the instance passes")[0]
        self.assertEqual(apache.get()[0], 200)
        self.assertIn("hello from", apache.get()[1])
        self.assertEqual((entry["Service"]["ID"], entry["Service"]["Address"], entry["Service"]["Port"]),
                         ("web-c1", "127.0.0.1", apache.port))
        self.assertEqual(sorted(entry["Service"]["Tags"]), ["apache", "php"])
        self.assertIn("[program:consul] runs a Consul agent: left out", sidecar.err())
        self.assertNotIn("not honoured", sidecar.err())
        with open(f"/proc/{apache.master()}/environ") as environ:
            self.assertIn("APACHE_STARTED_BY=envvars", environ.read())
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertIn("the catalog has no drain (404", sidecar.err())
        self.assertIn("sending SIGWINCH", sidecar.err())
        wait_until(lambda: consul.instances("web") == [], "the instance is gone")

    def test_an_instance_removed_by_hand_comes_back(self):
        consul, apache = self.consul(), self.apache()
        self.sidecar("--service", "web", "--port", str(apache.port), "--ttl", "2s", "--catalog", consul.url,
                     command=apache.command())
        wait_until(lambda: consul.passing("web"), "the instance passes")
        connection = http.client.HTTPConnection("127.0.0.1", consul.port)
        service_id = consul.instances("web")[0]["Service"]["ID"]
        connection.request("PUT", "/v1/agent/service/deregister/" + service_id)
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        wait_until(lambda: consul.passing("web"), "the instance is back")

    def test_a_killed_sidecar_turns_critical_by_its_ttl_and_apache_ends_what_it_has(self):
        consul, apache = self.consul(), self.apache()
        sidecar = self.sidecar("--service", "web", "--port", str(apache.port), "--ttl", "1s", "--catalog", consul.url,
                               command=apache.command())
        wait_until(lambda: consul.passing("web"), "the instance passes")
        master = wait_until(apache.master, "Apache's pid")
        answer = []
        request = threading.Thread(target=lambda: answer.append(apache.get("/slow.php")))
        request.start()
        wait_until(apache.busy, "a request in flight")
        sidecar.process.kill()
        request.join(20)
        self.assertEqual(answer, [(200, "slow but whole")])
        wait_until(lambda: not consul.passing("web"), "its TTL ended")
        wait_until(lambda: not alive(master), "Apache went with the sidecar")
        self.assertEqual(len(consul.instances("web")), 1)


class WithScriptedCatalog(ApacheCase):
    def start(self, *arguments):
        apache, catalog = self.apache(), self.scripted_catalog()
        catalog.answers["/v1/ringway/drain/"] = DRAINED
        sidecar = self.sidecar("-config-dir", apache.web_json(), "--catalog", catalog.url, *arguments,
                               command=apache.command())
        wait_until(lambda: "passing" in catalog.statuses(),
                   lambda: "Apache passes; the log is:\n" + sidecar.err())
        return apache, catalog, sidecar

    def test_a_request_in_flight_at_the_signal_is_answered_whole(self):
        apache, catalog, sidecar = self.start()
        answer = []
        request = threading.Thread(target=lambda: answer.append(apache.get("/slow.php")))
        request.start()
        wait_until(apache.busy, "the request has reached Apache")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        request.join()
        self.assertEqual(answer, [(200, "slow but whole")])
        self.assertEqual(catalog.count("/v1/agent/service/deregister/"), 1)

    def test_winch_as_stopsignal_of_php_images_drains_first(self):
        apache, catalog, sidecar = self.start()
        sidecar.send(signal.SIGWINCH)
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(catalog.count("/v1/ringway/drain/"), 1)

    def test_a_killed_master_ends_the_container_with_137_and_frees_the_port(self):
        apache, catalog, sidecar = self.start()
        os.kill(wait_until(apache.master, "Apache's pid"), signal.SIGKILL)
        self.assertEqual(sidecar.wait(), 137)
        self.assertEqual(catalog.count("/v1/agent/service/deregister/"), 1)
        wait_until(lambda: not apache.answers(), "no worker is left")

    def test_with_restart_a_killed_master_comes_back(self):
        apache, catalog, sidecar = self.start("--restart", "always")
        first = wait_until(apache.master, "Apache's pid")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: apache.master() not in (0, first) and apache.answers(), "Apache is back")
        wait_until(lambda: catalog.statuses()[-1] == "passing", "passing again")
        self.assertIn("critical", catalog.statuses()[catalog.statuses().index("passing"):])

    def test_hup_reaches_apache_as_a_reload(self):
        apache, catalog, sidecar = self.start()
        master = wait_until(apache.master, "Apache's pid")
        sidecar.send(signal.SIGHUP)
        sidecar.wait_err("SIGHUP received.")
        wait_until(apache.answers, "Apache serves after the reload")
        self.assertEqual(apache.master(), master)

    def test_a_shell_that_waits_for_apache_gets_it_stopped_gracefully(self):
        apache, catalog = self.apache(), self.scripted_catalog()
        catalog.answers["/v1/ringway/drain/"] = DRAINED
        script = f"/usr/sbin/apache2 -f {apache.conf} -DFOREGROUND; exit $?"
        sidecar = self.sidecar("-config-dir", apache.web_json(), "--catalog", catalog.url, command=["sh", "-c", script])
        wait_until(lambda: "passing" in catalog.statuses(), "Apache passes")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertIn("sending SIGWINCH", sidecar.err())


if __name__ == "__main__":
    main()
