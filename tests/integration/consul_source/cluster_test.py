"""Three real Consul servers: the control plane follows through the death of servers and leaders, of all of them, and their return."""
import support
from support import wait_until


class ThreeServers(support.Case):
    def setUp(self):
        super().setUp()
        self.cluster = self.keep(support.Cluster(self.root))
        self.by_url = {server.url: server for server in self.cluster.servers}
        self.addresses = list(self.by_url)
        self.register("web-1", 1)

    def register(self, instance, port):
        def put():
            self.cluster.alive()[0].register("web", instance, port=port)
            return True
        wait_until(put, f"{instance} is registered")

    def in_use(self, cp):
        return self.by_url[cp.catalog()["in_use"]]

    def test_server_in_use_dies(self):
        cp = self.plane(self.addresses)
        cp.wait_ready(["web-1"])
        used = self.in_use(cp)
        used.kill()
        wait_until(lambda: self.in_use(cp) is not used and cp.ok(), "another server is used")
        self.assertEqual(cp.ready(), ["web-1"])
        self.register("web-2", 2)
        cp.wait_ready(["web-1", "web-2"])
        self.assertIn(f"is used instead of {used.url}", cp.log())

    def test_leader_dies(self):
        cp = self.plane(self.addresses)
        cp.wait_ready(["web-1"])
        self.cluster.leader().kill()
        self.register("web-2", 2)  # waits for the new leader
        cp.wait_ready(["web-1", "web-2"])
        cp.wait_ok()

    def test_leader_dies_while_a_follower_alone_is_known(self):
        leader = self.cluster.leader()
        follower = next(server for server in self.cluster.servers if server is not leader)
        cp = self.plane(follower.url, catalog={"stale": False})
        cp.wait_ready(["web-1"])
        leader.kill()
        wait_until(lambda: follower.leader() not in ("", f"{leader.address}:{leader.ports['server']}"), "a new leader")
        follower.register("web", "web-2", port=2)
        cp.wait_ready(["web-1", "web-2"])
        cp.wait_ok()

    def test_without_quorum_it_is_told_and_served_on(self):
        cp = self.plane(self.addresses)
        cp.wait_ready(["web-1"])
        alive = self.in_use(cp)
        others = [server for server in self.cluster.servers if server is not alive]
        for server in others:
            server.kill()
        self.assertNotEqual(cp.wait_ok(False)["error"], "")
        self.assertEqual(cp.ready(), ["web-1"])
        for server in others:
            server.start()
        cp.wait_ok()
        self.register("web-2", 2)
        cp.wait_ready(["web-1", "web-2"])

    def test_all_servers_die_and_come_back(self):
        cp = self.plane(self.addresses)
        cp.wait_ready(["web-1"])
        version = cp.status()["version"]
        for server in self.cluster.servers:
            server.kill()
        cp.wait_ok(False)
        self.assertEqual((cp.ready(), cp.status()["version"]), (["web-1"], version))
        self.cluster.start()
        cp.wait_ok()
        self.assertEqual((cp.ready(), cp.status()["version"]), (["web-1"], version))
        self.register("web-2", 2)
        cp.wait_ready(["web-1", "web-2"])


if __name__ == "__main__":
    support.main()
