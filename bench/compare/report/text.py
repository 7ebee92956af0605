"""Figures as people read them, and the tables of the terminal."""
from judge import JUDGED_BY, best_of, quiet, ratio

IDLE_MOST = 0.05
UNITS = {"cpu_us": "CPU µs per request", "p99_us": "p99 latency", "bytes_per_idle": "B per idle connection",
         "share_us": "CPU µs more than direct"}


def number(value, digits=3):
    """With `digits` that count, and spaces between thousands."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    whole = len(str(int(abs(value))))
    places = max(0, digits - whole) if whole < 4 else 0
    return f"{value:,.{places}f}".replace(",", " ")


def micros(value):
    if value is None:
        return "-"
    if value >= 1e6:
        return number(value / 1e6) + " s"
    return number(value / 1e3) + " ms" if value >= 1000 else number(value) + " µs"


def size(value):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{number(value)} {unit}"
        value /= 1024
    return ""


def shown(result, metric, form=number, span=True):
    spread = result["metrics"].get(metric)
    if not spread:
        return "-"
    text = form(spread["median"])
    return f"{text} ({form(spread['min'])}-{form(spread['max'])})" if span else text


def base_of(row, key):
    """The result a row's entry is told as a ratio of: the null proxy (or Ringway), or in a row of variants its own first one."""
    name = key.split(":")[0]
    if row["varied"]:
        return next(k for k in row["results"] if k.split(":")[0] == name)
    if row["metric"] == "l4":
        return next((one for one in ("haproxy", "dnat") if one in row["results"]), key)
    return "null" if "null" in row["results"] else "ringway"


def waiting(row):
    """In a row of layer 4, those whose CPU waited, in words."""
    return ", ".join(row["labels"][key] for key, result in row["results"].items()
                     if result["metrics"].get("idle", {"median": 0})["median"] > IDLE_MOST)


def reconnecting(row, least=0.05, a_second=100):
    """Who opens connections to endpoints while it is measured, in words: what a pool spares, and what one
    that is too small costs. Health checks of all contenders are in it, so little is nothing."""
    found = [(row["labels"][key], *(result["metrics"][name]["median"] for name in ("connects", "rate"))) for key, result in row["results"].items()
             if result["counts"] and "connects" in result["metrics"]]
    return ", ".join(f"{label} {number(100 * share, 2)}" for label, share, rate in found if share >= least and share * rate >= a_second)


def row_lines(row):
    """One row's table."""
    metric = JUDGED_BY[row["metric"]]
    form = micros if metric == "p99_us" else number
    head = ["", UNITS[metric], "ratio", "whole machine", "requests/s", "p50", "p99", "p99.9", "CPU", "RSS"]
    table = [head]
    for key, result in row["results"].items():
        if not result["counts"]:
            table.append([row["labels"][key], "does not count: " + result["why"]])
            continue
        over = ratio(row, key, base_of(row, key))
        busy = result["metrics"]["proxy_busy"]["median"]
        table.append([row["labels"][key], shown(result, metric, form), f"{over:.2f}" if over else "-",
                      shown(result, "machine_us", span=False), shown(result, "rate", number, span=False),
                      *(shown(result, name, micros, span=False) for name in ("p50_us", "p99_us", "p999_us")),
                      f"{busy * 100:.0f} %", shown(result, "rss_kib", lambda v: size(v * 1024), span=False)])
    lines = [f"{row['title']}  [{row['name']}]"]
    lines += columns(table)
    best = best_of(row, "haproxy")[0]
    ours = ratio(row, best, "ringway")
    if ours:
        lines.append(f"  {row['labels'][best]} / Ringway: {ours:.2f}")
    lines += [f"  left out: {why}" for why in row["left_out"].values()]
    if row["note"]:
        lines.append(f"  {row['note']}")
    connects = reconnecting(row)
    if connects:
        lines.append(f"  new connections to endpoints in 100 requests: {connects}")
    waited = waiting(row)
    if waited:
        lines.append(f"  the CPU waited more than {IDLE_MOST * 100:.0f} % of the time, and softirqs of a CPU that waits are not counted: {waited}")
    if not quiet(row):
        lines.append("  the machine was not quiet: other programs took CPU time while this was measured")
    return lines


def columns(table, left=1):
    widths = [max(len(r[i]) for r in table if len(r) == len(table[0])) for i in range(len(table[0]))]
    lines = []
    for r in table:
        if len(r) < len(table[0]):
            lines.append(f"  {r[0]:<{widths[0]}}  {r[1]}")
            continue
        lines.append("  " + "  ".join(f"{c:<{w}}" if i < left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(r, widths))).rstrip())
    return lines


def verdict(target):
    words = target["verdict"]
    if words == "missed":
        words = f"missed by {target['by']:.0f} %" if target["by"] >= 1 else f"missed by {target['by']:.1f} %"
    return words if target["quiet"] else words + " (machine not quiet)"


def target_lines(targets):
    table = [["row", "what", "target", "seen", ""]]
    for t in targets:
        sign = "≤" if t["side"] == "at most" else "≥"
        seen = f"{t['seen']:.2f} {t['unit']}" if t["seen"] is not None else "-"
        table.append([t["row"], t["what"], f"{sign} {t['limit']:g} {t['unit']}", seen, verdict(t)])
    return ["Targets"] + columns(table, left=2)
