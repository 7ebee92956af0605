"""Sends one script of requests to the embedded catalog and to a real Consul 1.8.7 and compares what comes back: status,
headers that clients look at, documents (ids, node names, absolute indexes and timing aside), whether an index grew, and who woke.
usage: compare.py CATALOG_TEST_SERVER"""
import json
import re
import sys
import threading
import time

import harness

REFUSED_BY_US = "refused by Ringway by design"
failures = []
compared = 0


def normal(value, key=""):
    """A document without what legitimately differs between two servers."""
    if isinstance(value, dict):
        return {("NODE" if k in ("consul-node", "ringway") else k): normal(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [normal(v, key) for v in value]
        return sorted(items) if all(isinstance(i, str) for i in items) and key not in ("Tags", "ServiceTags") else items
    if key in ("CreateIndex", "ModifyIndex"):
        return value > 0
    if key == "ContentHash":
        return "HASH"
    if key == "ID" and isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        return "UUID"
    if isinstance(value, str):
        return re.sub(r"\b(consul-node|ringway)\b", "NODE", value)
    return value


def body_of(answer):
    if "json" in answer.headers.get("Content-Type", ""):
        document = answer.json()
        if isinstance(document, dict):  # the server's own service has a port of its own
            for services in (document.get("Services") or {},):
                for service in services.values() if isinstance(services, dict) else services:
                    if service["Service"] == "consul":
                        service["Port"] = 0
        return normal(document)
    return re.sub(r"invalid character.*", "invalid character", answer.text)


def differ(what, ours, theirs):
    failures.append(what)
    print(f"DIFFERENT {what}\n   ringway {json.dumps(ours)[:1500]}\n   consul  {json.dumps(theirs)[:1500]}")


def check(what, ours, theirs):
    global compared
    compared += 1
    if ours != theirs:
        differ(what, ours, theirs)


class Pair:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs

    def send(self, method, path, body=None, settle=None, headers=None, status_only=False):
        a, b = (s.request(method, path, body, headers) for s in (self.ours, self.theirs))
        what = f"{method} {path[:90]} {json.dumps(body)[:160] if body is not None else ''}"
        check(what + " status", a.status, b.status)
        if not status_only and a.status == b.status and method != "HEAD":
            check(what + " body", body_of(a), body_of(b))
        for name in ("Allow", "Location", "X-Consul-Effective-Consistency", "X-Consul-Knownleader", "Content-Type"):
            check(f"{what} {name}", a.headers.get(name), b.headers.get(name))
        check(what + " has an index", a.index is None, b.index is None)
        if method == "PUT":
            time.sleep(0.06 if settle is None else settle)  # Consul's agent answers before its catalog knows
        return a, b

    def get(self, path, **more):
        return self.send("GET", path, **more)

    def put(self, path, body=None, **more):
        return self.send("PUT", path, body, **more)

    def watch(self, path, change, what, wait=0.7):
        """Blocks on `path`, makes `change`: did the reader wake early, did the index grow, what did it read?"""
        results = {}

        def block(server):
            index = server.get(path).index
            started = time.monotonic()
            joiner = "&" if "?" in path else "?"
            answer = server.get(f"{path}{joiner}index={index}&wait={int(wait * 1000)}ms")
            results[server.name] = (time.monotonic() - started < wait * 0.9, answer.index > index, body_of(answer))

        threads = [threading.Thread(target=block, args=(s,)) for s in (self.ours, self.theirs)]
        for thread in threads:
            thread.start()
        time.sleep(0.12)
        change()
        for thread in threads:
            thread.join()
        check(f"watch {path}: {what} [woke, grew, body]", results["ringway"], results["consul"])
        before = [s.get(path).index for s in (self.ours, self.theirs)]
        return results, before

    def both(self, method, path, body=None):
        for server in (self.ours, self.theirs):
            server.request(method, path, body)


VIEWS = ["catalog/services", "catalog/nodes", "catalog/service/web", "health/service/web", "health/service/WEB?passing",
         "health/service/web?passing=false", "health/service/web?tag=a&tag=B", "health/service/web?tag=", "health/service/web?tag=zz",
         "catalog/service/web?tag=a", "health/checks/web", "health/state/any", "health/state/critical", "health/state/passing",
         "agent/services", "agent/checks", "catalog/service/none", "health/service/none", "health/checks/none",
         "catalog/node/none", "catalog/node-services/none", "health/node/none", "agent/service/web-1", "agent/service/none",
         "catalog/datacenters", "health/service/web?near=_agent", "health/service/web?stale", "health/service/web?consistent"]


def read_all(pair):
    for view in VIEWS:
        pair.get("/v1/" + view)
    for server_path in ("catalog/node/{}", "catalog/node-services/{}", "health/node/{}"):
        a = pair.ours.get("/v1/" + server_path.format("RINGWAY"))
        b = pair.theirs.get("/v1/" + server_path.format("consul-NODE"))
        check("GET " + server_path, (a.status, body_of(a)), (b.status, body_of(b)))


WEB = {"ID": "web-1", "Name": "web", "Tags": ["a", "b"], "Address": "10.0.0.5", "Port": 80, "Meta": {"k": "<v>"},
       "Check": {"TTL": "30s", "Notes": "nn"}}


def shapes(pair):
    read_all(pair)
    pair.put("/v1/agent/service/register", WEB)
    pair.put("/v1/agent/service/register", {"Name": "plain"})
    pair.put("/v1/agent/service/register", {"Name": "six", "Address": "fe80::1", "Port": 5,
                                            "tagged_addresses": {"lan_ipv4": {"Address": "1.1.1.1", "Port": 2}}})
    pair.put("/v1/agent/service/register", {"name": "\u00c9T\u00c9", "port": -1, "enable_tag_override": True})
    pair.put("/v1/agent/service/register", {"Name": "a/b c", "Port": 70000, "Kind": "zz", "Weights": {"Passing": 5, "Warning": 2}})
    pair.put("/v1/agent/service/register", {"Name": "many", "Checks": [{"TTL": "1m"}, {"TTL": "1m", "Status": "passing"}],
                                            "Check": {"TTL": "1m", "CheckID": "own", "Name": "Own"}})
    read_all(pair)
    for path in ("health/service/%C3%A9t%C3%A9", "health/service/a%2Fb%20c", "health/service/a/b%20c", "health/service/a+b",
                 "catalog/service/six", "health/service/many", "agent/service/a/b%20c", "health/checks/many"):
        pair.get("/v1/" + path)
    pair.put("/v1/agent/check/pass/service:web-1?note=fine%20%3C%26%3E")
    read_all(pair)
    pair.put("/v1/agent/check/register", {"ID": "sc", "Name": "svc check", "TTL": "1m", "ServiceID": "web-1", "Status": "passing"})
    pair.put("/v1/agent/check/register", {"Name": "node check", "TTL": "1m", "Status": "warning"})
    pair.put("/v1/agent/service/maintenance/web-1?enable=true&reason=why")
    pair.put("/v1/agent/service/maintenance/web-1?enable=true&reason=other")
    pair.put("/v1/agent/service/maintenance/plain?enable=true")
    pair.put("/v1/agent/maintenance?enable=true")
    read_all(pair)
    pair.put("/v1/agent/maintenance?enable=false")
    pair.put("/v1/agent/service/maintenance/plain?enable=false")
    pair.put("/v1/agent/service/register", dict(WEB, Tags=["c"], Check=None))  # checks, their tags and maintenance stay
    read_all(pair)
    pair.put("/v1/agent/service/register", dict(WEB, Check={"TTL": "40s", "Status": "critical", "Name": "again"}))
    read_all(pair)
    pair.put("/v1/agent/service/register?replace-existing-checks=true", dict(WEB, Check={"TTL": "30s", "CheckID": "new"}), settle=0.3)
    pair.put("/v1/agent/service/maintenance/web-1?enable=false")
    read_all(pair)
    pair.put("/v1/catalog/register", {"Node": "zz-ext", "Address": "1.2.3.4", "NodeMeta": {"a": "b"},
                                      "Service": {"Service": "web", "Port": 9}, "Check": {"Name": "cc", "Status": "weird", "ServiceID": "web"}})
    read_all(pair)
    pair.get("/v1/catalog/nodes?node-meta=a:b")
    pair.get("/v1/catalog/node/ZZ-ext")
    pair.put("/v1/catalog/deregister", {"Node": "zz-ext", "ServiceID": "web"})
    pair.get("/v1/catalog/node/zz-ext")
    pair.put("/v1/catalog/deregister", {"Node": "zz-ext"})
    for service in ("web-1", "plain", "six", "%C3%89T%C3%89", "a%2Fb%20c", "many"):
        pair.put("/v1/agent/service/deregister/" + service)
    pair.put("/v1/agent/check/deregister/node%20check")
    read_all(pair)


def faults(pair):
    register = [{"nonsense": 1}, "{", "", {"ID": "x"}, {"Name": "x", "Port": "80"}, {"Name": "x", "Address": "0.0.0.0"},
                {"Name": "x", "Address": "::"}, {"Name": "x", "Weights": {"Passing": 0, "Warning": 1}}, {"Name": "x", "Weights": {}},
                {"Name": "x", "Weights": {"Passing": 1, "Warning": 70000}}, {"Name": "x", "Weights": {"Passing": 1, "Warning": -1}},
                {"Name": "x", "Meta": {"consul-x": "1"}}, {"Name": "x", "Meta": {"a b": "1"}}, {"Name": "x", "Meta": {"a": 1}},
                {"Name": "x", "Meta": {"": "1"}}, {"Name": "x", "Meta": {"k": "x" * 513}}, {"Name": "x", "Meta": {"k" * 129: ""}},
                {"Name": "x", "Meta": {f"k{i}": "" for i in range(65)}}, {"Name": "x", "Check": {"Args": ["a"], "Interval": "1s"}},
                {"Name": "x", "Check": {"Interval": "1s"}}, {"Name": "x", "Check": {"HTTP": "http://1"}},
                {"Name": "x", "Check": {"TCP": "1:1", "TTL": "1s", "Interval": "10s"}}, {"Name": "x", "Check": {"TTL": "zz"}},
                {"Name": "x", "Check": {"TTL": "5"}}, {"Name": "x", "Check": {"TTL": "5x"}}, {"Name": "x", "Check": {"TTL": ""}},
                {"Name": "x", "Check": {"TTL": "-5s"}}, {"Name": "x", "Check": {"TTL": "10s", "Status": "zz"}},
                {"Name": "x", "Check": {"TTL": "10s", "Bogus": 1}}, {"Name": "x", "Check": {"TTL": "10s", "ID": "x"}},
                {"Name": "x", "Tags": "zz"}, {"Name": "x", "Tags": [1]}, {"Name": "x", "Meta": [1]}, {"Name": "x", "Port": 1.5},
                {"Name": "x", "EnableTagOverride": "x"}, {"Name": "x", "TaggedAddresses": {"lan": "1.1.1.1"}},
                {"Name": "x", "TaggedAddresses": {"lan": {"Bogus": 1}}}, {"Name": "x", "Checks": {"TTL": "1s"}}]
    for body in register:
        pair.put("/v1/agent/service/register", body, settle=0)
    for body in ({}, {"Name": "c"}, {"Name": "c", "TTL": "10s", "ServiceID": "none"}, {"Name": "c", "TTL": "10s", "Bogus": 1},
                 {"Name": "c", "ScriptArgs": ["a"], "Interval": "10s"}, {"Name": "c", "TTL": "10s", "Status": "zz"},
                 {"Name": 1, "TTL": "10s"}, '{"Name": x}', "null", {"Name": "c", "TTL": "10s", "SuccessBeforePassing": "3"},
                 {"Name": "c", "HTTP": "http://x", "Interval": "10s", "Header": {"a": "b"}}, {"Name": "c", "TTL": "10s", "OutputMaxSize": -1}):
        pair.put("/v1/agent/check/register", body, settle=0)
    pair.put("/v1/agent/check/register", [1], settle=0, status_only=True)  # Consul prints its Go type here
    for path in ("agent/check/pass/nope", "agent/check/warn/", "agent/check/fail/nope", "agent/service/maintenance/nope?enable=true",
                 "agent/service/maintenance/web-1", "agent/service/maintenance/web-1?enable=zz", "agent/service/maintenance/?enable=zz",
                 "agent/maintenance", "agent/maintenance?enable=zz", "agent/service/deregister/nope", "agent/service/deregister/",
                 "agent/check/deregister/nope", "agent/check/deregister/", "agent/force-leave/zz"):
        pair.put("/v1/" + path, settle=0)
    for body in ({"Status": "zzz"}, {"Stat": "x"}, "{", "", {"Status": ""}, {"Status": "passing", "Output": 1}):
        pair.put("/v1/agent/check/update/nope", body, settle=0)
    pair.put("/v1/agent/check/update/nope", {"Status": "passing"}, settle=0)
    for body in ({}, {"Node": "n1"}, {"Node": "n1", "Address": "1.2.3.4", "Bogus": 1}, "{", {"Node": "n", "Address": "1", "Service": {"ID": "x"}},
                 {"Node": "n", "Address": "1", "Service": {"Bogus": 1}}, {"Node": "n", "Address": "1", "Datacenter": "zz"}):
        pair.put("/v1/catalog/register", body, settle=0)
    for body in ({}, {"Node": "zz"}, {"Node": "zz", "ServiceID": "x"}, {"Bogus": 1}):
        pair.put("/v1/catalog/deregister", body, settle=0)
    for path in ("health/service/web?wait=5&index=1", "health/service/web?index=x", "health/service/web?index=-1",
                 "health/service/web?passing=zzz", "health/service/web?stale&consistent", "health/service/web?dc=zz",
                 "health/service/", "catalog/service/", "health/state/", "health/state/zz", "health/node/", "health/checks/",
                 "catalog/services?index=", "catalog/services?index=0&wait=10s", "agent/services/", "catalog/services/", "nope",
                 "health/service/web?token=abc", "agent/service/web-1?hash=zz&wait=1"):
        pair.get("/v1/" + path)
    pair.get("/v1/catalog/services", headers={"X-Consul-Token": "abc", "Authorization": "Bearer abc"})
    for path in ("agent/services", "catalog/services", "health/service/web"):
        pair.send("POST", "/v1/" + path, "")
        pair.send("OPTIONS", "/v1/" + path)
        pair.send("HEAD", "/v1/" + path)
        pair.put("/v1/" + path, settle=0)
    pair.get("/v1/agent/service/register")
    pair.send("OPTIONS", "/v1/agent/service/register")
    for path in ("//v1/agent/services", "/V1/agent/services", "/", "/ui", "/nope", "/v1/agent/../agent/services"):
        pair.get(path)


def refusals(pair):
    """What we refuse and Consul does: told in words, never ignored."""
    register = "/v1/agent/service/register"
    for body in ({"Name": "x", "Check": {"GRPC": "127.0.0.1:1", "Interval": "10s"}}, {"Name": "x", "Check": {"AliasService": "y"}},
                 {"Name": "x", "Connect": {"Native": True}}, {"Name": "x", "Check": {"HTTP": "https://x", "Interval": "10s"}}):
        answer = pair.ours.put(register, body)
        check(f"{json.dumps(body)} {REFUSED_BY_US}", (answer.status, "Ringway" in answer.text), (400, True))
    for path, status in (("health/service/web?filter=x", 400), ("kv/x", 404), ("session/list", 404)):
        answer = pair.ours.get("/v1/" + path)
        check(f"{path} {REFUSED_BY_US}", (answer.status, "Ringway" in answer.text), (status, True))
    check("acl", pair.ours.get("/v1/acl/list").status, 401)


def watches(pair):
    def put(path, body=None):
        return lambda: pair.both("PUT", "/v1/" + path, body)

    web = put("agent/service/register", WEB)
    other = put("agent/service/register", {"Name": "other", "Port": 1, "Check": {"TTL": "1m"}})
    health, catalog = "/v1/health/service/web", "/v1/catalog/service/web"
    settle = lambda: time.sleep(0.15)
    pair.both("PUT", "/v1/agent/service/register", {"Name": "gone"})
    settle()
    pair.both("PUT", "/v1/agent/service/deregister/gone")  # from here on there is an extinction index
    settle()
    for path in (health, catalog):
        pair.watch(path, other, "absent, another service registered")
        pair.watch(path, put("agent/service/deregister/other"), "absent, another service extinct")
        pair.watch(path, web, "absent, registered")
        pair.watch(path, web, "registered again, identical")
        pair.watch(path, other, "another service registered")
        pair.watch(path, put("agent/check/pass/service:other"), "another service's check changes")
        pair.watch(path, put("agent/service/deregister/other"), "another service goes extinct")
        pair.watch(path, put("agent/check/pass/service:web-1?note=x"), "own check passes")
        pair.watch(path, put("agent/check/pass/service:web-1?note=y"), "own check, output alone")
        pair.watch(path, put("agent/check/fail/service:web-1"), "own check fails")
        pair.watch(path, put("agent/check/register", {"ID": "nc", "Name": "nc", "TTL": "1m"}), "node check registered")
        pair.watch(path, put("agent/check/deregister/nc"), "node check removed")
        pair.watch(path, put("agent/service/register", dict(WEB, Port=81)), "port changes")
        pair.watch(path, put("agent/service/register", dict(WEB, Meta={"k": "w"})), "meta changes")
        pair.watch(path, put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.9"}), "unrelated node registered")
        pair.watch(path, put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.9", "Service": {"Service": "web"}}), "instance on another node")
        pair.watch(path, put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.8"}), "address of a node in the result")
        pair.watch(path, put("catalog/deregister", {"Node": "zz-ext"}), "a node goes")
        pair.watch(path, put("agent/service/deregister/web-1"), "last instance goes")
    web()
    settle()
    # A tag that nobody carries: Consul then answers with the extinction index and misses the moment when the last carrier loses
    # the tag. Ringway treats ?tag as every other filter: it never narrows a watch. So only tags that somebody has are compared.
    for path in (health + "?passing", health + "?tag=a"):
        pair.watch(path, put("agent/check/warn/service:web-1?note=" + path[-1]), "own check warns, filtered")
        pair.watch(path, put("agent/check/fail/service:web-1"), "own check fails, filtered")
    services = "/v1/catalog/services"
    pair.watch(services, other, "register")
    pair.watch(services, put("agent/check/pass/service:other"), "check changes")
    pair.watch(services, put("agent/service/register", {"Name": "other", "Port": 2}), "port changes")
    pair.watch(services, put("agent/check/register", {"ID": "nc", "Name": "nc", "TTL": "1m"}), "node check registered")
    pair.watch(services, put("agent/check/deregister/nc"), "node check removed")
    pair.watch(services, put("agent/service/deregister/other"), "deregister")
    nodes = "/v1/catalog/nodes"
    pair.watch(nodes, other, "service registered")
    pair.watch(nodes, put("agent/check/fail/service:other"), "check changes")
    pair.watch(nodes, put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.9"}), "node registered")
    pair.watch(nodes, put("catalog/deregister", {"Node": "zz-ext"}), "node removed")
    pair.watch("/v1/health/checks/web", put("agent/check/pass/service:other"), "other check")
    pair.watch("/v1/health/checks/web", put("agent/check/pass/service:web-1"), "own check")
    pair.watch("/v1/health/state/any", put("agent/check/fail/service:other"), "any check")
    # Consul's watches on an empty set fire for its neighbours in the tree: there is a critical check, and one on the other node.
    pair.both("PUT", "/v1/agent/service/register", {"Name": "red", "Check": {"TTL": "1m"}})
    pair.both("PUT", "/v1/agent/check/pass/service:other")
    settle()
    pair.watch("/v1/health/state/critical", put("agent/check/warn/service:other"), "passing -> warning")
    pair.watch("/v1/health/state/critical", put("agent/check/fail/service:other"), "warning -> critical")
    pair.watch("/v1/health/state/warning", put("agent/check/warn/service:other"), "critical -> warning")
    put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.9", "Service": {"Service": "s1"}, "Check": {"Name": "ec", "Status": "passing"}})()
    settle()
    pair.watch("/v1/catalog/node/zz-ext", put("catalog/register", {"Node": "zz-ext", "Address": "9.9.9.9", "Service": {"Service": "s2"}}),
               "other service on the same node")
    pair.watch("/v1/catalog/node/zz-ext", other, "service on another node")
    pair.watch("/v1/health/node/zz-ext", put("agent/check/fail/service:other"), "check on another node")
    for path in ("catalog/deregister",):
        pair.both("PUT", "/v1/" + path, {"Node": "zz-ext"})
    for service in ("web-1", "other", "red"):
        pair.both("PUT", "/v1/agent/service/deregister/" + service)
    settle()


def hash_watch(pair):
    pair.both("PUT", "/v1/agent/service/register", WEB)
    time.sleep(0.1)
    results = {}

    def block(server):
        first = server.get("/v1/agent/service/web-1")
        token = first.headers["X-Consul-Contenthash"]
        started = time.monotonic()
        same = server.get(f"/v1/agent/service/web-1?hash={token}&wait=300ms")
        waited = time.monotonic() - started >= 0.3
        changer = threading.Timer(0.1, server.put, ("/v1/agent/service/register", dict(WEB, Port=99)))
        changer.start()
        started = time.monotonic()
        other = server.get(f"/v1/agent/service/web-1?hash={token}&wait=5s")
        results[server.name] = (token == first.json()["ContentHash"], waited, same.json()["Port"], other.json()["Port"],
                                time.monotonic() - started < 4, other.headers["X-Consul-Contenthash"] != token)

    for server in (pair.ours, pair.theirs):
        block(server)
    check("agent/service blocking by hash", results["ringway"], results["consul"])
    pair.both("PUT", "/v1/agent/service/deregister/web-1")
    time.sleep(0.1)


def waits(pair):
    """Timing rules that hold on any machine: never early; a future index waits, then tells the real one."""
    for server in (pair.ours, pair.theirs):
        for text, seconds in (("300ms", 0.3), ("0.3s", 0.3), ("0s200ms", 0.2)):
            real = server.get("/v1/catalog/services").index
            for index in (real, real + 100000):
                started = time.monotonic()
                answer = server.get(f"/v1/catalog/services?index={index}&wait={text}")
                check(f"{server.name} index {'now' if index == real else 'future'} wait {text} [not early, real index]",
                      (time.monotonic() - started >= seconds, answer.index == real), (True, True))


def ttl_and_probes(pair):
    import http.server

    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.headers.get("User-Agent"), self.headers.get("Accept"), self.headers.get("X-Mine")))
            body = b"x" * 3000 + b"y" * 3000 if self.path == "/long" else b"hello <b>"
            status = {"/429": 429, "/500": 500, "/redirect": 302}.get(self.path, 200)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/target")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    base, dead = f"127.0.0.1:{web.server_port}", f"127.0.0.1:{harness.free_port()}"
    checks = [{"CheckID": name, "HTTP": f"http://{base}/{name}", "Interval": "100ms"} for name in ("200", "429", "500", "redirect", "long")]
    checks += [{"CheckID": "head", "HTTP": f"http://{base}/head?a=b", "Method": "HEAD", "Header": {"X-Mine": ["1"]}, "Interval": "1s"},
               {"CheckID": "tcp", "TCP": base, "Interval": "1s"}, {"CheckID": "tcp-dead", "TCP": dead, "Interval": "1s"},
               {"CheckID": "http-dead", "HTTP": f"http://{dead}/x", "Interval": "1s"},
               {"CheckID": "ftp", "HTTP": "ftp://x", "Interval": "1s"}, {"CheckID": "no-port", "TCP": "127.0.0.1", "Interval": "1s"},
               {"CheckID": "ttl", "TTL": "700ms", "Status": "passing"}, {"CheckID": "ttl-note", "TTL": "700ms"},
               {"CheckID": "thrice", "TCP": base, "Interval": "1s", "SuccessBeforePassing": 3}]
    pair.put("/v1/agent/service/register", {"Name": "probed", "Checks": checks})
    pair.put("/v1/agent/check/warn/ttl-note?note=last%20words")
    time.sleep(2.5)  # Consul's first probe comes within a second; a TTL of 0.7 s is over
    a, b = (s.get("/v1/agent/checks").json() for s in (pair.ours, pair.theirs))
    for name in sorted(b):
        check(f"check {name}", normal(a.get(name)), normal(b[name]))
    pair.get("/v1/health/service/probed")
    check("probe headers", all(s[:2] == ("Consul Health Check", "text/plain, text/*, */*") for s in seen), True)
    pair.put("/v1/agent/service/deregister/probed")
    time.sleep(0.2)
    web.shutdown()


def main():
    consul = harness.start_consul()
    pair = Pair(harness.start_ours(sys.argv[1]), consul)
    only = sys.argv[2:]
    for part in (shapes, faults, refusals, watches, hash_watch, waits, ttl_and_probes):
        if only and part.__name__ not in only:
            continue
        before = len(failures)
        part(pair)
        print(f"{part.__name__}: {compared} comparisons so far, {len(failures) - before} different", flush=True)
    print(f"{compared} comparisons, {len(failures)} different")
    sys.exit(1 if failures else 0)


main()
