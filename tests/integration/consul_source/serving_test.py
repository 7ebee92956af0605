"""A real Consul, control plane and dataplane with traffic: what clients see while the catalog or the control plane is away; how an
instance maps; drains; another control plane's embedded catalog in the place of Consul."""
import base64
import os
import threading
import urllib.request

import support
from support import get, wait_until


class Traffic:
    """Asks the dataplane without pause and keeps whatever was not a 200."""

    def __init__(self, port):
        self.port, self.count, self.wrong, self.seen = port, 0, [], set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.005):
            try:
                status, body = get(self.port)
            except OSError as error:
                status, body = 0, repr(error)
            self.count += 1
            self.seen.add(body)
            if status != 200:
                self.wrong.append((status, body))

    def more(self, count=50):
        wanted = self.count + count
        wait_until(lambda: self.count >= wanted, "requests go on")

    def stop(self):
        self.stopping.set()
        self.thread.join(30)


class Serving(support.Case):
    def setUp(self):
        super().setUp()
        self.server = self.consul()
        self.origins = {name: self.keep(support.Origin(name)) for name in ("one", "two", "three")}

    def register(self, name):
        self.server.register("web", name, port=self.origins[name].port)

    def serve(self, **options):
        cp = self.plane(self.server.url, **options)
        self.keep(support.Dataplane(cp.root))
        return cp

    def kept(self, cp):
        with open(os.path.join(cp.root, "data", "last_known.json")) as file:
            return file.read()

    def traffic(self, cp):
        wait_until(lambda: get(cp.http_port)[0] == 200, "the first answer")
        return self.keep(Traffic(cp.http_port))

    def test_not_one_request_is_lost_while_consul_dies_and_comes_back(self):
        self.register("one")
        cp = self.serve()
        traffic = self.traffic(cp)
        self.server.kill()
        cp.wait_ok(False)
        traffic.more()
        self.server.start()
        self.server.wait_leader()
        cp.wait_ok()
        self.register("two")
        wait_until(lambda: "two" in traffic.seen, "the new instance gets requests")
        traffic.stop()
        self.assertEqual(traffic.wrong, [])

    def metric(self, cp, name):
        request = urllib.request.Request(f"http://127.0.0.1:{cp.stats_port}/metrics", headers={"Authorization": "Basic " + base64.b64encode(b"u:p").decode()})
        with urllib.request.urlopen(request, timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def test_the_age_of_what_is_known_is_a_metric(self):
        self.register("one")
        cp = self.serve()
        wait_until(lambda: self.metric(cp, "ringway_catalog_age_seconds") < 2, "a young catalog")
        self.server.kill()
        wait_until(lambda: self.metric(cp, "ringway_catalog_age_seconds") > 4, "an age that grows")
        self.server.start()
        self.server.wait_leader()
        wait_until(lambda: self.metric(cp, "ringway_catalog_age_seconds") < 2, "a young catalog again")

    def test_more_services_than_an_agent_allows_connections_take_turns(self):
        names = [f"s{i:03d}" for i in range(230)]
        for name in names:
            self.server.register(name, f"{name}-1", port=1)
        cp = self.plane(self.server.url, services=tuple(names))
        wait_until(lambda: all(len(service["endpoints"]) == 1 for service in cp.status()["services"]), "every service is known")
        cp.wait_ok()
        self.assertLess(sum(link.startswith("socket:") for link in support.open_files(cp.process.pid)), 200)
        self.assertEqual(cp.log().count("take turns"), 1)
        for name in (names[0], names[-1]):
            self.server.register(name, f"{name}-2", port=2)
            cp.wait_ready([f"{name}-1", f"{name}-2"], name)

    def test_control_plane_restarted_while_consul_is_down_changes_nothing(self):
        self.register("one")
        cp = self.serve()
        traffic = self.traffic(cp)
        self.server.kill()
        cp.wait_ok(False)
        wait_until(lambda: "node-one/one" in self.kept(cp), "what is known is on the disk (within a second)")
        cp.kill()
        cp.start()
        wait_until(lambda: cp.ready() == ["one"], lambda: "the instances from before; the log is:\n" + cp.log())
        wait_until(lambda: any(d["current"] for d in cp.status()["dataplanes"]), "the dataplane has what the control plane has")
        traffic.more()
        self.assertFalse(cp.ok())
        self.server.start()
        self.server.wait_leader()
        cp.wait_ok()
        traffic.more()
        traffic.stop()
        self.assertEqual(traffic.wrong, [])

    def test_first_start_without_consul_serves_as_soon_as_it_is_there(self):
        self.register("one")
        self.server.kill()
        cp = self.serve()
        self.assertEqual(wait_until(lambda: get(cp.http_port)[0], "an answer"), 503)
        self.server.start()
        self.server.wait_leader()
        wait_until(lambda: get(cp.http_port) == (200, "one"), "served")

    def test_drain_survives_a_restart_of_the_control_plane_and_ends_with_the_instance(self):
        self.register("one")
        self.register("two")
        cp = self.serve()
        cp.wait_ready(["one", "two"])
        wait_until(lambda: get(cp.http_port)[0] == 200, "the first answer")
        status, text = cp.request("POST", "/drain?service=web&endpoint=two&wait=10s")
        self.assertEqual(status, 200, text)
        wait_until(lambda: cp.ready() == ["one"], "two is draining")
        cp.kill()
        cp.start()
        cp.wait_ok()
        self.assertEqual(cp.endpoints()["two"]["state"], "draining")
        self.server.register("web", "two", port=self.origins["three"].port)  # another port: another instance
        cp.wait_ready(["one", "two"])

    def test_a_service_that_nobody_routes_to_any_more_is_not_asked_for(self):
        proxy = self.keep(support.FaultProxy(self.server))
        self.register("one")
        cp = self.plane(proxy.url, services=("web", "api"), catalog={"wait": "1s"})
        cp.wait_ready(["one"])
        wait_until(lambda: any("/service/api" in path for path in proxy.paths), "api is asked for")
        cp.config["listeners"][0]["routes"].pop()
        del cp.config["services"]["api"]
        cp.write_config()
        self.assertEqual(cp.request("POST", "/reload")[0], 200)
        seen = len(proxy.paths)
        wait_until(lambda: sum("/service/web" in path for path in proxy.paths[seen:]) >= 4, "web is asked for again and again")
        self.assertEqual([path for path in proxy.paths[seen + 1:] if "/service/api" in path], [])


class Mapping(support.Case):
    def setUp(self):
        super().setUp()
        self.server = self.consul()

    def agent(self, path, body=None):
        self.server.request("PUT", "/v1/agent/" + path, body)

    def test_checks_weights_addresses_and_maintenance(self):
        self.agent("service/register", {"Name": "web", "ID": "own", "Address": "127.0.0.9", "Port": 81, "Weights": {"Passing": 7, "Warning": 2}})
        self.agent("service/register", {"Name": "web", "ID": "of-the-node", "Port": 82})
        self.agent("service/register", {"Name": "web", "ID": "ttl", "Port": 83, "Check": {"TTL": "1h"}})
        self.agent("service/register", {"Name": "web", "ID": "resting", "Port": 84})
        self.agent("service/maintenance/resting?enable=true&reason=new+disk")
        self.server.register("web", "unknown-word", port=85, Check={"Name": "odd", "Status": "odd", "ServiceID": "unknown-word"})
        self.server.register("web", "external", port=86)
        cp = self.plane(self.server.url)
        wait_until(lambda: len(cp.endpoints()) == 6 and cp.endpoints()["resting"]["state"] == "draining", lambda: f"six instances: {cp.endpoints()}")
        endpoints = cp.endpoints()
        self.assertEqual((endpoints["own"]["address"], endpoints["own"]["weight"], endpoints["own"]["state"]), ("127.0.0.9:81", 7, "ready"))
        self.assertEqual(endpoints["of-the-node"]["address"], "127.0.0.1:82")
        self.assertEqual(endpoints["ttl"]["state"], "down")
        self.assertIn("maintenance: new disk", endpoints["resting"]["reason"])
        self.assertEqual(endpoints["unknown-word"]["state"], "down")
        self.assertEqual(endpoints["external"]["state"], "ready")
        self.agent("check/pass/service:ttl")
        cp.wait_ready(["external", "of-the-node", "own", "ttl"])
        self.agent("maintenance?enable=true&reason=kernel")
        wait_until(lambda: "maintenance: kernel" in cp.endpoints()["own"]["reason"], "the whole node is in maintenance")
        self.agent("maintenance?enable=false")
        cp.wait_ready(["external", "of-the-node", "own", "ttl"])

    def test_generation_stays_with_the_instance_and_changes_with_its_address(self):
        self.server.register("web", "a", port=1)
        cp = self.plane(self.server.url)
        cp.wait_ready(["a"])
        first = cp.endpoints()["a"]["generation"]
        cp.kill()
        cp.start()
        cp.wait_ok()
        self.assertEqual(cp.endpoints()["a"]["generation"], first)
        self.server.register("web", "a", port=2)
        wait_until(lambda: cp.endpoints()["a"]["address"] == "127.0.0.1:2", "the new port")
        second = cp.endpoints()["a"]["generation"]
        self.assertNotEqual(second, first)
        self.server.register("web", "b", port=3)  # the pool is not emptied
        cp.wait_ready(["a", "b"])
        self.server.deregister("a")
        cp.wait_ready(["b"])
        self.server.register("web", "a", port=2)
        cp.wait_ready(["a", "b"])
        self.assertNotEqual(cp.endpoints()["a"]["generation"], second)

    def test_datacenter_that_does_not_exist_is_told(self):
        cp = self.plane(self.server.url, catalog={"datacenter": "nowhere"})
        wait_until(lambda: "No path to datacenter" in cp.catalog()["error"], lambda: f"an error that names the cause: {cp.catalog()}")


class Embedded(support.Case):
    def test_another_control_planes_embedded_catalog_in_the_place_of_consul(self):
        port = support.free_port()
        first = support.ControlPlane.__new__(support.ControlPlane)
        root = self.folder("first")
        http_port, stats_port = support.free_port(), support.free_port()
        first.root, first.path = root, os.path.join(root, "ringway.json")
        os.makedirs(os.path.join(root, "data"))
        first.config = {"catalog": {"type": "embedded", "listen": f"127.0.0.1:{port}", "data_dir": os.path.join(root, "data")},
                        "listeners": [{"name": "main", "bind": f"127.0.0.1:{http_port}", "protocol": "http", "routes": [{"service": "web"}]}],
                        "services": {"web": {"health_check": False}}, "stats": {"bind": f"127.0.0.1:{stats_port}", "user": "u", "password": "p"}}
        first.write_config()
        support.Process.__init__(first, [os.path.join(support.BIN, "ringway-controlplane"), "-c", first.path, "--run-dir", root], os.path.join(root, "log"))
        first.start()
        self.keep(first)
        catalog = support.Consul.__new__(support.Consul)
        catalog.address, catalog.ports, catalog.token = "127.0.0.1", {"http": port}, None
        wait_until(lambda: catalog.request("GET", "/v1/status/leader"), "the embedded catalog answers")
        catalog.register("web", "web-1", port=1)
        cp = self.plane(f"http://127.0.0.1:{port}")
        cp.wait_ready(["web-1"])
        catalog.register("web", "web-2", port=2)
        cp.wait_ready(["web-1", "web-2"])
        first.kill()
        cp.wait_ok(False)
        self.assertEqual(cp.ready(), ["web-1", "web-2"])
        first.start()
        cp.wait_ok()
        wait_until(lambda: catalog.request("GET", "/v1/status/leader"), "the embedded catalog answers again")
        catalog.deregister("web-1")
        cp.wait_ready(["web-2"])


if __name__ == "__main__":
    support.main()
