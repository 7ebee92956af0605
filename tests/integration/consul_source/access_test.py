"""ACLs with default deny, and TLS: what a wrong token or certificate looks like, and that a right one needs no restart."""
import os
import subprocess

import support
from support import wait_until

ROOT_TOKEN = "11111111-1111-1111-1111-111111111111"


class Acl(support.Case):
    def setUp(self):
        super().setUp()
        acl = {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT_TOKEN, "agent": ROOT_TOKEN}}}
        self.server = self.consul(more=lambda _: acl, token=ROOT_TOKEN)
        self.server.register("web", "web-1", port=1)

    def token(self, rules):
        def make():
            name = f"policy-{len(rules)}"
            self.server.request("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
            return self.server.request("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]})["SecretID"]
        return wait_until(make, "a token")

    READ = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'

    def test_token_with_the_documented_policy(self):
        cp = self.plane(self.server.url, catalog={"token": self.token(self.READ)})
        cp.wait_ready(["web-1"])
        cp.wait_ok()

    def test_unknown_token_is_told(self):
        cp = self.plane(self.server.url, catalog={"token": "22222222-2222-2222-2222-222222222222"})
        self.assertIn("403", wait_until(lambda: "403" in cp.catalog()["error"] and cp.catalog()["error"], "an error that says 403"))
        self.assertFalse(cp.ok())

    def test_no_token_is_told_although_consul_answers_an_empty_list(self):
        cp = self.plane(self.server.url)
        wait_until(lambda: 'may not read service "web"' in cp.catalog()["error"], "an error that names what may not be read")

    def test_token_of_other_nodes_is_told_when_the_pool_would_be_emptied(self):
        path = os.path.join(self.root, "token")
        good, blind = self.token(self.READ), self.token('service_prefix "" { policy = "read" }')
        with open(path, "w") as file:
            file.write(good + "\n")
        cp = self.plane(self.server.url, catalog={"token_file": path, "wait": "1s"})
        cp.wait_ready(["web-1"])
        self.server.request("PUT", "/v1/acl/token/" + self.accessor(good), {"Policies": [{"Name": self.policy_of(blind)}]})
        wait_until(lambda: 'may not read node "node-web-1"' in cp.catalog()["error"], "an error that names the node")
        self.assertEqual(cp.ready(), ["web-1"])

    def accessor(self, secret):
        return next(t["AccessorID"] for t in self.server.request("GET", "/v1/acl/tokens") if self.secret_of(t) == secret)

    def secret_of(self, token):
        return self.server.request("GET", "/v1/acl/token/" + token["AccessorID"])["SecretID"]

    def policy_of(self, secret):
        return next(t["Policies"][0]["Name"] for t in self.server.request("GET", "/v1/acl/tokens") if self.secret_of(t) == secret)

    def test_token_file_is_read_again_when_the_token_was_refused(self):
        path = os.path.join(self.root, "token")
        first, second = self.token(self.READ), self.token(self.READ + ' agent_prefix "" { policy = "read" }')
        with open(path, "w") as file:
            file.write(first)
        cp = self.plane(self.server.url, catalog={"token_file": path, "wait": "1s"})
        cp.wait_ready(["web-1"])
        self.server.request("DELETE", "/v1/acl/token/" + self.accessor(first))
        cp.wait_ok(False)
        self.assertEqual(cp.ready(), ["web-1"])
        with open(path, "w") as file:
            file.write(second)
        cp.wait_ok()
        self.server.register("web", "web-2", port=2)
        cp.wait_ready(["web-1", "web-2"])

    def test_token_file_that_is_missing_refuses_the_start(self):
        cp = self.plane(self.server.url, catalog={"token_file": "/nonexistent/token"})
        wait_until(lambda: cp.process.poll() is not None, "the control plane ends")
        self.assertIn("catalog.token_file: /nonexistent/token", cp.log())


class Tls(support.Case):
    def setUp(self):
        super().setUp()
        self.pki = self.folder("pki")
        self.tls("ca", "create")
        self.tls("cert", "create", "-server")
        self.tls("cert", "create", "-client")

        def config(server):
            return {"verify_incoming_https": True, "verify_incoming_rpc": False, "verify_outgoing": True, "ca_file": self.file("consul-agent-ca.pem"),
                    "cert_file": self.file("dc1-server-consul-0.pem"), "key_file": self.file("dc1-server-consul-0-key.pem"),
                    "ports": {"https": server.ports["https"]}}

        self.server = self.consul(more=config)
        self.url = f"https://127.0.0.1:{self.server.ports['https']}"
        self.server.register("web", "web-1", port=1)
        self.good = {"ca_file": self.file("consul-agent-ca.pem"), "cert_file": self.file("dc1-client-consul-0.pem"),
                     "key_file": self.file("dc1-client-consul-0-key.pem")}

    def tls(self, *words, folder=None):
        subprocess.run(["consul", "tls", *words], cwd=folder or self.pki, check=True, stdout=subprocess.DEVNULL)

    def file(self, name, folder=None):
        return os.path.join(folder or self.pki, name)

    def failing(self, words, **tls):
        cp = self.plane(self.url, catalog={"tls": tls})
        wait_until(lambda: words in cp.catalog()["error"], lambda: f"an error that says {words!r}; the log is:\n{cp.log()}")
        self.assertFalse(cp.ok())
        return cp

    def test_both_sides_are_verified(self):
        cp = self.plane(self.url, catalog={"tls": self.good})
        cp.wait_ready(["web-1"])
        self.server.register("web", "web-2", port=2)
        cp.wait_ready(["web-1", "web-2"])
        cp.wait_ok()

    def test_server_name_of_the_config(self):
        cp = self.plane(self.url, catalog={"tls": {**self.good, "server_name": "server.dc1.consul"}})
        cp.wait_ready(["web-1"])

    def test_another_name_is_refused(self):
        self.failing("certificate verify failed", **self.good, server_name="server.dc2.consul")

    def test_another_authority_is_refused(self):
        other = self.folder("other")
        self.tls("ca", "create", folder=other)
        self.failing("certificate verify failed", **{**self.good, "ca_file": self.file("consul-agent-ca.pem", other)})

    def test_no_client_certificate_is_told(self):
        self.failing("status/leader", ca_file=self.good["ca_file"])

    def test_verification_off_only_when_asked_for(self):
        other = self.folder("other")
        self.tls("ca", "create", folder=other)
        cp = self.plane(self.url, catalog={"tls": {**self.good, "ca_file": self.file("consul-agent-ca.pem", other), "verify": False}})
        cp.wait_ready(["web-1"])
        self.assertIn("tls.verify is off", cp.log())

    def test_plain_http_to_the_tls_port_is_told(self):
        cp = self.plane(self.url.replace("https", "http"))
        wait_until(lambda: cp.catalog()["error"] not in ("", "has not answered yet"), "an error")
        self.assertFalse(cp.ok())

    def test_a_renewed_certificate_needs_no_restart(self):
        mine = self.folder("mine")
        other = self.folder("other")
        self.tls("ca", "create", folder=other)
        used = self.file("ca.pem", mine)
        with open(used, "wb") as target, open(self.file("consul-agent-ca.pem", other), "rb") as source:
            target.write(source.read())
        cp = self.failing("certificate verify failed", **{**self.good, "ca_file": used})
        with open(used, "wb") as target, open(self.good["ca_file"], "rb") as source:
            target.write(source.read())
        cp.wait_ready(["web-1"])
        cp.wait_ok()

    def test_file_that_is_no_certificate_refuses_the_start(self):
        path = self.file("rubbish.pem")
        with open(path, "w") as file:
            file.write("rubbish")
        cp = self.plane(self.url, catalog={"tls": {**self.good, "ca_file": path}})
        wait_until(lambda: cp.process.poll() is not None, "the control plane ends")
        self.assertIn(f"catalog.tls: {path}", cp.log())


if __name__ == "__main__":
    support.main()
