"""The targets of the product, each judged from the rows that were measured. The figures are ratios within one row."""
from judge import best_of, median, quiet, ratio

MET, MISSED, OPEN, VOID = "met", "missed", "not measured", "void"


def over_null(row):
    return ratio(row, "ringway", "null")


def haproxy_defaults(row):
    return ratio(row, "haproxy", "ringway")


def haproxy_best(row):
    return ratio(row, best_of(row, "haproxy")[0], "ringway")


def idle_memory(row):
    return median(row, "ringway")


def user_share(row):
    return median(row, "ringway", "user_us")


def endpoints(row):
    return ratio(row, "ringway:10,000 endpoints", "ringway:1 endpoint")


def log_cost(row):
    on, off = (median(row, f"ringway:log {s}") for s in ("on", "off"))
    return on - off if on is not None and off is not None else None


def two_workers(row):
    return ratio(row, "ringway:2 workers", "ringway:1 worker")


def share(way, of):
    """What a way costs more than direct, by what another does. Of the medians: a single round's share may be nothing."""
    def how(row):
        under = best_of(row, of)[1]
        over = median(row, way)
        return over / under if over is not None and under else None
    return how


# (row, what, 'at most' or 'at least', limit, unit, how to get it)
TARGETS = [
    ("small-64", "of the null proxy", "at most", 1.05, "×", over_null),
    ("small-64", "HAProxy / Ringway", "at least", 1.35, "×", haproxy_best),
    ("small-256", "of the null proxy", "at most", 1.05, "×", over_null),
    ("small-256", "HAProxy / Ringway", "at least", 1.50, "×", haproxy_best),
    ("small-1000", "of the null proxy", "at most", 1.07, "×", over_null),
    ("get-100k", "HAProxy defaults / Ringway", "at least", 2.0, "×", haproxy_defaults),
    ("get-100k", "HAProxy best / Ringway", "at least", 1.3, "×", haproxy_best),
    ("get-1m", "HAProxy defaults / Ringway", "at least", 3.0, "×", haproxy_defaults),
    ("get-1m", "HAProxy best / Ringway", "at least", 1.4, "×", haproxy_best),
    ("new-connection", "HAProxy / Ringway", "at least", 1.35, "×", haproxy_best),
    ("tcp-small", "HAProxy / Ringway", "at least", 1.10, "×", haproxy_best),
    ("tcp-bulk", "HAProxy defaults / Ringway", "at least", 4.0, "×", haproxy_defaults),
    ("tcp-bulk", "HAProxy best / Ringway", "at least", 1.4, "×", haproxy_best),
    ("idle-10000", "memory per idle connection", "at most", 300, "B", idle_memory),
    ("small-64", "time in userspace, by clock ticks", "at most", 0.4, "µs", user_share),
    ("endpoints", "10,000 endpoints / 1", "at most", 1.03, "×", endpoints),
    ("access-log", "access log on, more", "at most", 0.3, "µs", log_cost),
    ("workers", "CPU per request, two workers / one", "at most", 1.05, "×", two_workers),
    *((row, "packet (tc) / HAProxy, each less direct", "at most", 0.1, "×", share("packet-tc", "haproxy"))
      for row in ("l4-small", "l4-bulk", "l4-connections")),
    *((row, "packet (tc) / DNAT rules, each less direct", "at most", 1.0, "×", share("packet-tc", "dnat"))
      for row in ("l4-small", "l4-bulk", "l4-connections", "l4-packets")),
    *((row, "connect / HAProxy, each less direct", "at most", 0.02, "×", share("connect", "haproxy"))
      for row in ("l4-small", "l4-bulk", "l4-connections")),
]

# Targets of what is not in the product: (what it was for, what, 'at least', limit, unit, why not).
GIVEN_UP = [("accelerate", "proxy / accelerated proxy, small HTTP", "at least", 1.2, "×", "docs/adr/0011-no-acceleration.md")]


def judge(rows):
    """[{row, what, wanted, seen, verdict, by}]; `by` is how far a missed one is from its limit, in per cent of the limit."""
    table = []
    for name, what, side, limit, unit, how in TARGETS:
        seen = how(rows[name]) if name in rows else None
        entry = {"row": name, "what": what, "side": side, "limit": limit, "unit": unit, "seen": seen, "verdict": OPEN, "by": 0,
                 "quiet": quiet(rows[name]) if name in rows else True}
        if seen is not None:
            met = seen <= limit if side == "at most" else seen >= limit
            entry["verdict"] = MET if met else MISSED
            entry["by"] = 0 if met else abs(seen - limit) / limit * 100
        table.append(entry)
    return table + [{"row": row, "what": f"{what} ({why})", "side": side, "limit": limit, "unit": unit, "seen": None, "verdict": VOID, "by": 0,
                     "quiet": True} for row, what, side, limit, unit, why in GIVEN_UP]
