"""The real Consul 1.8.7 command line against the embedded catalog, as an operator would type it.
usage: cli.py CATALOG_TEST_SERVER"""
import json
import os
import subprocess
import sys
import tempfile
import time

import harness

if not os.access(harness.CONSUL, os.X_OK):
    print(f"skipped: {harness.CONSUL} is not installed")
    sys.exit(harness.SKIPPED)
server = harness.start_ours(sys.argv[1])
environment = dict(os.environ, CONSUL_HTTP_ADDR=f"http://127.0.0.1:{server.port}")
folder = tempfile.TemporaryDirectory()


def consul(*arguments, status=0):
    done = subprocess.run([harness.CONSUL, *arguments], env=environment, capture_output=True, text=True, timeout=30)
    if done.returncode != status:
        sys.exit(f"consul {' '.join(arguments)}: exit {done.returncode}, wanted {status}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


definition = os.path.join(folder.name, "web.json")
with open(definition, "w") as file:
    json.dump({"service": {"id": "web-1", "name": "web", "tags": ["apache"], "port": 80,
                           "check": {"http": "http://127.0.0.1:1/", "interval": "1s"}}}, file)

expect("Registered service: web" in consul("services", "register", definition), "services register FILE")
expect("Registered service: api" in consul("services", "register", "-name=api", "-port=8080", "-tag=v1"), "services register -name")
expect(consul("catalog", "services").split() == ["api", "consul", "web"], "catalog services")
expect("apache" in consul("catalog", "services", "-tags"), "catalog services -tags")
nodes = consul("catalog", "nodes")
expect("ringway" in nodes and "127.0.0.1" in nodes, "catalog nodes")
expect("ringway" in consul("catalog", "nodes", "-service=web"), "catalog nodes -service")
expect("No nodes match" in consul("catalog", "nodes", "-service=none"), "catalog nodes -service=none exits 0 and says so")
expect(consul("catalog", "datacenters").split() == ["dc1"], "catalog datacenters")
members = consul("members")
expect("ringway" in members and "alive" in members, "members")
info = consul("info")
expect("leader = true" in info and "services = 2" in info, "info")

once = json.loads(consul("watch", "-type=service", "-service=web"))
expect(once[0]["Service"]["Port"] == 80 and once[0]["Checks"][-1]["Type"] == "http", "watch -type=service without a handler")
seen = os.path.join(folder.name, "seen")
watch = subprocess.Popen([harness.CONSUL, "watch", "-type=service", "-service=api", "sh", "-c", f"cat >> {seen}; echo >> {seen}"],
                         env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def handled(count):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if os.path.exists(seen):
            with open(seen) as file:
                lines = [json.loads(line) for line in file if line.strip() and line.endswith("\n") and line.strip() != ""]
            if len(lines) >= count:
                return lines
        time.sleep(0.05)
    watch.kill()
    sys.exit(f"FAILED: the watch handler ran fewer than {count} times in 20 s")


try:
    expect([s["Service"]["Port"] for s in handled(1)[-1]] == [8080], "watch with a handler: the first state")
    consul("services", "register", "-name=api", "-port=8081")
    expect([s["Service"]["Port"] for s in handled(2)[-1]] == [8081], "watch with a handler: a change")
    expect("Deregistered service: api" in consul("services", "deregister", "-id=api"), "services deregister")
    expect(handled(3)[-1] == [], "watch with a handler: the last instance goes")
finally:
    watch.kill()
    watch.wait()

consul("services", "deregister", "-id=unknown")
expect(True, "services deregister of an unknown id exits 0")
consul("maint", "-service=unknown", "-enable", status=1)
expect(True, "maint of an unknown service exits 1")
consul("maint", "-enable", "-service=web-1", "-reason=kernel update")
expect("kernel update" in consul("maint"), "maint -enable and the list of what is in maintenance")
expect(server.get("/v1/health/service/web?passing").json() == [], "in maintenance is not passing")
consul("maint", "-disable", "-service=web-1")
consul("maint", "-enable", "-reason=node")
expect("_node_maintenance" in server.get("/v1/agent/checks").text, "maint -enable of the node")
consul("maint", "-disable")
expect("_node_maintenance" not in server.get("/v1/agent/checks").text, "maint -disable of the node")
consul("reload")
expect(True, "reload")
