"""scripts/demo --check: scales 3 -> 5 -> 1 -> 3 under load and accounts for every request."""
import os
import time

import paths
import ringway_client as rw

STEPS = (5, 1, 3)
SETTLE_SECONDS = 3.0  # of load at each size
RATE = 150


def run(state_dir, balancer, pool):
    """Prints the table. True when no request failed and every instance served."""
    watch = rw.CatalogWatch(balancer.catalog_url)
    registered = {}  # name -> Unix time; the watch forgets who has left
    load = rw.Load(paths.program("ringway-load"), balancer.http_url, os.path.join(state_dir, "load.json"), rate=RATE, connections=12,
                   new_connections=0.25, mix="get=80,post=15,big=5", extra=["--big-bytes", "4000000"])
    try:
        steps = [observe(f"{len(pool.names())}", load, pool, watch, registered, lambda: None)]
        for count in STEPS:
            label = f"{len(pool.names())} -> {count}"
            steps.append(observe(label, load, pool, watch, registered, lambda: pool.scale(count)))
        report = load.finish()
    finally:
        load.kill()
        watch.close()
    return show(steps, report, registered)


def observe(label, load, pool, watch, registered, change):
    """One step: the change and what it brought, counted."""
    before = dict(load.counts())
    had = set(pool.names())
    begin = time.monotonic()
    change()
    took = time.monotonic() - begin
    time.sleep(SETTLE_SECONDS)
    rw.wait_until(lambda: set(pool.names()) <= set(load.counts()["endpoints"]), 20, "a request for every instance")
    for instance in pool.instances:
        registered.setdefault(instance.name, watch.registered.get(f"127.0.0.1:{instance.port}"))
    after = load.counts()
    new = sorted(set(pool.names()) - had) if label.find(">") >= 0 else sorted(had)
    return {"label": label, "requests": after["requests"] - before["requests"], "failed": after["failed"] - before["failed"],
            "races": after["races"] - before["races"], "new": new, "seconds": took, "instances": len(pool.names())}


def show(steps, report, registered):
    rows = []
    for number, step in enumerate(steps):
        times = []
        for name in step["new"] if number else []:  # the first ones were there before the load
            first = report["endpoints"][name]["first_unix_ms"] / 1000
            times.append(f"{name} {1000 * max(0.0, first - registered[name]):.0f} ms" if registered[name] else f"{name} ?")
        rows.append([step["label"], step["requests"], step["failed"], f"{step['seconds']:.1f} s", ", ".join(times) or "-"])
    rows.append(["all", report["requests"], report["failed"], f"{report['seconds']:.1f} s", ""])
    print(rw.table(["web", "requests", "failed", "change took", "registration -> first request"], rows))
    latency = report["latency_ms"]
    print(f"latency p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms, max {latency['max']:.1f} ms; "
          f"{report['bytes']['received'] / 1e6:.0f} MB received, {report['bytes']['sent'] / 1e6:.0f} MB sent")
    for line in rw.describe_failures(report):
        print(line)
    good = report["failed"] == 0 and report["keepalive"]["races"] == 0 and report["requests"] > 0
    print("demo check: " + ("passed" if good else "FAILED"))
    return good
