"""From rounds to figures: medians with min and max, ratios, and which rows do not count. Pure; tests/unit/bench/judge_test.py."""
import statistics

# What each round measures, in the order of the tables. Lower is better but for `rate` and `bytes_per_second`.
METRICS = ("cpu_us", "user_us", "aside_us", "machine_us", "rate", "bytes_per_second", "p50_us", "p99_us", "p999_us", "proxy_busy",
           "foreign", "rss_kib", "bytes_per_idle", "share_us", "idle", "tracked", "connects")
JUDGED_BY = {"cpu": "cpu_us", "latency": "p99_us", "idle": "bytes_per_idle", "l4": "share_us"}


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(rounds):
    """{'metrics', 'failures', 'counts', 'why'} of the rounds of one contender in one row. One failed request, and it does not count."""
    failures = {}
    for one in rounds:
        for kind, count in one.get("failures", {}).items():
            if count:
                failures[kind] = failures.get(kind, 0) + count
    metrics = {name: spread([one.get(name) for one in rounds]) for name in METRICS}
    why = ""
    if not rounds:
        why = "not measured"
    elif failures:
        why = "failures: " + ", ".join(f"{count} {kind}" for kind, count in sorted(failures.items()))
    elif any(one.get("requests", 0) == 0 for one in rounds):
        why = "a round without a request"
    return {"metrics": {k: v for k, v in metrics.items() if v}, "failures": failures, "counts": not why, "why": why}


def median(row, key, metric=None):
    """A contender's median in a row, or None where it does not count."""
    result = row["results"].get(key)
    if not result or not result["counts"]:
        return None
    found = result["metrics"].get(metric or JUDGED_BY[row["metric"]])
    return found["median"] if found else None


def best_of(row, name, metric=None):
    """(key, median) of the contender's best variant in a row, its defaults among them; (None, None) where none counts."""
    found = [(median(row, key, metric), key) for key in row["results"] if key.split(":")[0] == name]
    found = [(value, key) for value, key in found if value is not None]
    if not found:
        return None, None
    value, key = min(found)
    return key, value


def ratio(row, over, under, metric=None):
    """One contender's figure by another's: the median of the rounds' ratios, so that what slows the machine for some seconds falls
    on both sides. None where either does not count."""
    metric = metric or JUDGED_BY[row["metric"]]
    if median(row, over, metric) is None or median(row, under, metric) is None:
        return None
    pairs = zip(row["results"][over]["rounds"], row["results"][under]["rounds"])
    found = [a[metric] / b[metric] for a, b in pairs if a.get(metric) is not None and b.get(metric)]
    return statistics.median(found) if found else None


def quiet(row, limit=0.1):
    """Whether the machine was left alone: no more than `limit` of a CPU went to programs that are not of the run or to
    threads of the kernel, in the median."""
    shares = [r["metrics"]["foreign"]["median"] for r in row["results"].values() if "foreign" in r["metrics"]]
    return not shares or statistics.median(shares) <= limit
