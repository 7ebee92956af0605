"""What survives: registers, kills the catalog with -9, starts it again; and its clients' view over that time. Also the answers
of Ringway's own part of the API. usage: durability.py CATALOG_TEST_SERVER"""
import os
import subprocess
import sys
import tempfile
import threading
import time

import harness

binary = sys.argv[1]
folder = tempfile.TemporaryDirectory()


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


server = harness.start_ours(binary, folder.name)
started = time.monotonic()
for i in range(200):
    answer = server.put("/v1/agent/service/register", {"ID": f"web-{i}", "Name": "web", "Port": 80, "Address": f"10.0.0.{i}",
                                                       "Check": {"TTL": "1m"}})
    if answer.status != 200:
        sys.exit(f"registration {i}: {answer.status} {answer.text}")
print(f"200 registrations, one after another: {time.monotonic() - started:.2f} s")
server.put("/v1/agent/check/pass/service:web-7?note=before%20the%20kill")
server.put("/v1/agent/service/maintenance/web-8?enable=true&reason=why")
before = server.get("/v1/health/service/web")
server.kill()

second = subprocess.run([binary, "/proc/none"], capture_output=True, text=True)
expect(second.returncode == 1 and "/proc/none" in second.stderr, "an unusable data_dir is named")
server = harness.start_ours(binary, folder.name)
after = server.get("/v1/health/service/web")
expect(after.json() == before.json(), "200 instances, checks, outputs and maintenance after kill -9")
expect(after.index == before.index, "the same index after kill -9")
other = subprocess.run([binary, folder.name], capture_output=True, text=True)
expect(other.returncode == 1 and "in use by another process" in other.stderr, "a second process on the same data_dir is refused")

server.put("/v1/agent/service/deregister/web-9")
grown = server.get("/v1/health/service/web")
expect(grown.index > after.index and len(grown.json()) == 199, "the index grows from where it was")

# Readers blocked while 100 registrations come in at once all wake, and what they read is complete.
results = []


def block():
    index = grown.index
    names = set()
    while len(names) < 299:
        answer = server.get(f"/v1/health/service/web?index={index}&wait=20s", timeout=40)
        index, names = answer.index, {entry["Service"]["ID"] for entry in answer.json()}
    results.append(True)


readers = [threading.Thread(target=block) for _ in range(20)]
writers = [threading.Thread(target=server.put, args=("/v1/agent/service/register", {"ID": f"more-{i}", "Name": "web", "Port": 81}))
           for i in range(100)]
for thread in readers + writers:
    thread.start()
for thread in readers + writers:
    thread.join()
expect(len(results) == 20, "20 blocked readers saw 100 concurrent registrations")

drained = server.put("/v1/ringway/drain/web-1?wait=1s")
expect(drained.status == 200 and drained.json()["drained"] is True, "drain answers")
shown = {i["id"]: i["draining"] for s in server.get("/v1/ringway/overview").json()["services"] for i in s["instances"]}
expect(shown["web-1"] and not shown["web-2"], "and the overview shows it")
expect(server.put("/v1/ringway/undrain/web-1").status == 200, "undrain")
expect(server.put("/v1/ringway/drain/nobody").status == 404, "drain of an unknown id is 404")
expect(server.put("/v1/ringway/drain/web-1?wait=1").status == 400, "drain with a wait that is none is 400")
page = server.get("/ui/")
expect(page.status == 200 and "Ringway catalog" in page.text and "http://" not in page.text.replace("http://www.w3", ""), "the web page needs nothing else")

server.put("/v1/agent/service/register", {"ID": "brief", "Name": "brief", "Port": 1,
                                          "Check": {"TTL": "1s", "DeregisterCriticalServiceAfter": "1s", "Status": "passing"}})
deadline = time.monotonic() + 20
while server.get("/v1/agent/service/brief").status == 200 and time.monotonic() < deadline:
    time.sleep(0.1)
expect(server.get("/v1/agent/service/brief").status == 404, "a service that stays critical is removed")

server.stop()
with open(os.path.join(folder.name, "catalog.db"), "r+b") as file:
    file.seek(4096)
    file.write(os.urandom(8192))
    file.seek(0)
    damaged = file.read()
refused = subprocess.run([binary, folder.name], capture_output=True, text=True)
expect(refused.returncode == 1 and "catalog.db" in refused.stderr and "damaged" in refused.stderr, "a damaged database is refused by name")
with open(os.path.join(folder.name, "catalog.db"), "rb") as file:
    expect(file.read() == damaged, "and left as it was")
