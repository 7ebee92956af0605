"""The HTML report: one file that fetches nothing. Tables are in the page itself; charts are drawn by Chart.js, a packaged library
that is put into the page whole, from the figures that stand in it as JSON."""
import json
import os
from html import escape

from judge import JUDGED_BY, best_of, quiet, ratio
from packages import Missing
from report.text import UNITS, base_of, micros, number, reconnecting, shown, size, verdict, waiting

HERE = os.path.dirname(os.path.abspath(__file__))
BASES = {"l4": "HAProxy (UDP: DNAT)"}
LIBRARY = ("/usr/share/javascript/chart.js/chart.umd.js", "/usr/share/javascript/chart.js/chart.min.js")


def library():
    for path in LIBRARY:
        if os.path.exists(path):
            with open(path) as f:
                return f.read()
    raise Missing("the report draws with Chart.js, which is not installed: scripts/install-deps bench (package libjs-chart.js)")


def part(name):
    with open(os.path.join(HERE, name)) as f:
        return f.read()


def cell(text, kind="td", css=""):
    return f"<{kind}{f' class={css}' if css else ''}>{text}</{kind}>"


def table(head, rows, css=""):
    lines = [f"<div class=scroll><table class='{css}'><thead><tr>", *(cell(h, "th") for h in head), "</tr></thead><tbody>"]
    for cells, row_css in rows:
        lines.append(f"<tr class='{row_css}'>" + "".join(cells) + "</tr>")
    return "".join(lines) + "</tbody></table></div>"


def targets_table(targets):
    rows = []
    for t in targets:
        sign = "≤" if t["side"] == "at most" else "≥"
        seen = f"{t['seen']:.2f} {t['unit']}" if t["seen"] is not None else "–"
        state = {"met": "good", "missed": "bad"}.get(t["verdict"], "none")
        rows.append(([cell(f"<a href='#{t['row']}'>{escape(t['row'])}</a>"), cell(escape(t["what"]), css="text"),
                      cell(f"{sign} {t['limit']:g} {t['unit']}"), cell(seen), cell(f"<span class='state {state}'>{verdict(t)}</span>")], ""))
    return table(["row", "what", "target", "seen", ""], rows, "targets")


def row_table(row):
    metric = JUDGED_BY[row["metric"]]
    form = micros if metric == "p99_us" else number
    head = ["", UNITS[metric] + "<br>median (min–max)", f"ratio to<br>{'its first' if row['varied'] else BASES.get(row['metric'], 'null proxy')}"]
    if metric != "cpu_us":
        head.append("CPU µs<br>per request")
    head += ["in user-<br>space", "control plane,<br>master", "whole<br>machine", "requests/s", "p50", "p99", "p99.9", "proxy<br>busy", "RSS"]
    rows = []
    for key, result in row["results"].items():
        label = cell(escape(row["labels"][key]), css="text")
        if not result["counts"]:
            rows.append(([label, f"<td class='why text' colspan={len(head) - 1}>does not count: {escape(result['why'])}</td>"], "out"))
            continue
        over = ratio(row, key, base_of(row, key))
        cells = [label, cell(shown(result, metric, form)), cell(f"{over:.2f}" if over else "–")]
        if metric != "cpu_us":
            cells.append(cell(shown(result, "cpu_us", span=False)))
        cells += [cell(shown(result, name, number, False)) for name in ("user_us", "aside_us", "machine_us", "rate")]
        cells += [cell(shown(result, name, micros, False)) for name in ("p50_us", "p99_us", "p999_us")]
        cells += [cell(f"{result['metrics']['proxy_busy']['median'] * 100:.0f} %"), cell(shown(result, "rss_kib", lambda v: size(v * 1024), False))]
        rows.append((cells, "ours" if key.startswith("ringway") else ""))
    return table(head, rows)


def row_section(row):
    notes = [f"Load: <code>{escape(' '.join(row['load']))}</code>, {row['rounds']} rounds of {row['seconds']:g} s, "
             f"measured {escape(row['measured'])}" + (f" at commit {escape(row['commit'])}" if row.get("commit") else "")]
    features = dict.fromkeys(row["features"].values())
    notes.append("On for all: " + escape("; ".join(features)) + (" (null proxy: none of it; nginx has no active checks)" if features else ""))
    best = best_of(row, "haproxy")[0]
    ours = ratio(row, best, "ringway")
    if ours:
        notes.append(f"{escape(row['labels'][best])} / Ringway: <b>{ours:.2f}</b>")
    notes += [f"Left out: {escape(why)}" for why in row["left_out"].values()]
    notes += [escape(row["note"][:1].upper() + row["note"][1:])] if row["note"] else []
    if reconnecting(row):
        notes.append(f"New connections to endpoints in 100 requests: {escape(reconnecting(row))}")
    if waiting(row):
        notes.append(f"<b class=warn>The CPU waited, and softirqs of a CPU that waits are not counted: {escape(waiting(row))}</b>")
    if not quiet(row):
        notes.append("<b class=warn>The machine was not quiet while this was measured.</b>")
    height = 74 + 30 * len(row["results"])
    return (f"<section id='{row['name']}'><h3>{escape(row['title'])} <small>{row['name']}</small></h3>"
            f"<div class=chart style='height:{height}px'><canvas data-row='{row['name']}'></canvas></div>{row_table(row)}"
            f"<p class=dim>{'<br>'.join(notes)}</p></section>")


def configs(document):
    blocks = []
    for row in document["rows"]:
        for key, texts in row["configs"].items():
            for text in texts:
                blocks.append(f"<details><summary>{escape(row['name'])}: {escape(row['labels'][key])}</summary><pre>{escape(text)}</pre></details>")
    return "".join(blocks)


def facts(document):
    m = document["machine"]
    pairs = [("machine", f"{m['processor']}, {m['cpus']} CPUs, {m['memory_mib'] / 1024:.0f} GiB, {m['virtual']}"), ("kernel", m["kernel"]),
             ("commit", m["commit"]), ("measured", m["date"]), ("congestion control", m["congestion"]), ("network", m["network"]),
             ("CPUs", m["cpu_use"])]
    pairs += [(c["label"], c["version"]) for c in document["contenders"].values() if c["label"] != "null proxy"]
    return "".join(f"<div><span>{escape(k)}</span><b>{escape(str(v))}</b></div>" for k, v in pairs)


def chart_data(document):
    """What the charts need of the document: medians and spans of what counts."""
    rows = []
    for row in document["rows"]:
        metrics = [JUDGED_BY[row["metric"]], "p50_us", "p99_us", "p999_us"]
        results = {key: {m: r["metrics"].get(m) for m in metrics} for key, r in row["results"].items() if r["counts"]}
        rows.append({"name": row["name"], "title": row["title"], "group": row["group"], "metric": metrics[0], "varied": row["varied"],
                     "open": bool(row["rate"]), "unit": UNITS[metrics[0]] + (" (µs)" if metrics[0] == "p99_us" else ""),
                     "labels": row["labels"], "results": results, "best": best_of(row, "haproxy")[0]})
        rows[-1]["ratios"] = {key: ratio(row, key, "null") for key in results}
    return json.dumps({"rows": rows}).replace("</", "<\\/")


def html(document):
    groups = dict.fromkeys(row["group"] for row in document["rows"])
    body = []
    for group in groups:
        body.append(f"<h2>{escape(group)}</h2>")
        if any(row["group"] == group and row["rate"] for row in document["rows"]):
            body.append("<section><h3>Latency at fixed rates</h3><p class=dim>Open loop: a request is due at its moment whether or not the "
                        "earlier ones were answered, and its latency counts from that moment. The same rate for all: a share of what the "
                        "slowest contender did at saturation.</p><div class=trio>" +
                        "".join(f"<div class=chart style='height:320px'><canvas data-latency='{m}'></canvas></div>"
                                for m in ("p50_us", "p99_us", "p999_us")) + "</div></section>")
        body += [row_section(row) for row in document["rows"] if row["group"] == group]
    compared = sum("null" in row["results"] and row["metric"] == "cpu" for row in document["rows"])
    return part("page.html").format(
        style=part("page.css"), library=library(), script=part("page.js"), data=chart_data(document), facts=facts(document),
        targets=targets_table(document["targets"]), body="".join(body), configs=configs(document), ratio_height=110 + 76 * compared,
        complaints="".join(f"<p class=warn>{escape(c)}</p>" for c in document["machine"]["complaints"]))
