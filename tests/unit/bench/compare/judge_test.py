#!/usr/bin/env python3
"""The parts of bench/compare that judge: medians and their spans, ratios, what does not count, the targets, the JSON's form."""
import copy
import os
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 4)
sys.path.insert(0, os.path.join(ROOT, "bench", "compare"))

import document  # noqa: E402
import judge  # noqa: E402
import rows  # noqa: E402
import targets  # noqa: E402
from contenders import ALL  # noqa: E402
from l4 import measure  # noqa: E402
from report import text  # noqa: E402


def rounds(*cpu, **more):
    return [{**{"cpu_us": c, "rate": 1000, "requests": 100, "failures": {}, "proxy_busy": 0.9, "rss_kib": 9000,
                  "machine_us": c * 2, "foreign": 0.0, "p50_us": 5.0, "p99_us": 9.0, "p999_us": 12.0}, **more} for c in cpu]


def row(name="small-64", metric="cpu", **results):
    results = {key.replace("__", ":"): dict(judge.summarize(found), rounds=found) for key, found in results.items()}
    return {"name": name, "title": name, "group": "g", "metric": metric, "note": "", "varied": False, "load": [], "features": {},
            "measured": "now", "rounds": 3, "seconds": 1.0, "left_out": {}, "labels": {k: k for k in results}, "configs": {}, "rate": None,
            "results": results}


class Judging(unittest.TestCase):
    def test_a_figure_is_the_median_with_the_least_and_the_most(self):
        found = judge.summarize(rounds(12, 10, 30))
        self.assertEqual(found["metrics"]["cpu_us"], {"median": 12, "min": 10, "max": 30})
        self.assertTrue(found["counts"])

    def test_one_failed_request_and_the_contender_does_not_count(self):
        found = rounds(10, 10, 10)
        found[1]["failures"] = {"reset": 1}
        one = row(ringway=found, null=rounds(9, 9, 9))
        self.assertFalse(one["results"]["ringway"]["counts"])
        self.assertIn("1 reset", one["results"]["ringway"]["why"])
        self.assertIsNone(judge.median(one, "ringway"))
        self.assertIsNone(judge.ratio(one, "ringway", "null"))
        self.assertIn("does not count", "\n".join(text.row_lines(one)))
        verdicts = {t["verdict"] for t in targets.judge({"small-64": one})}
        self.assertEqual(verdicts, {targets.OPEN, targets.VOID})

    def test_failures_of_all_rounds_are_added(self):
        found = rounds(10, 10)
        found[0]["failures"], found[1]["failures"] = {"reset": 1, "status": 2}, {"reset": 3}
        self.assertEqual(judge.summarize(found)["failures"], {"reset": 4, "status": 2})

    def test_a_round_without_requests_does_not_count(self):
        self.assertFalse(judge.summarize(rounds(10) + rounds(10, requests=0))["counts"])
        self.assertFalse(judge.summarize([])["counts"])

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        one = row(ringway=rounds(10, 20, 10), null=rounds(10, 10, 5))  # the medians' ratio would be 1
        self.assertEqual(judge.ratio(one, "ringway", "null"), 2)

    def test_the_best_variant_is_the_one_with_the_lowest_median_that_counts(self):
        broken = rounds(1, 1, 1, failures={"reset": 1})
        one = row(ringway=rounds(5, 5, 5), haproxy=rounds(20, 20, 20), haproxy__reuse=rounds(15, 15, 15), haproxy__splice=broken)
        self.assertEqual(judge.best_of(one, "haproxy"), ("haproxy:reuse", 15))
        self.assertEqual(judge.best_of(one, "nginx"), (None, None))

    def test_a_machine_that_others_used_is_told(self):
        busy = rounds(10, 10, 10, foreign=0.4)
        self.assertFalse(judge.quiet(row(ringway=busy)))
        self.assertIn("not quiet", "\n".join(text.row_lines(row(ringway=busy))))
        self.assertTrue(judge.quiet(row(ringway=rounds(10))))


class Targets(unittest.TestCase):
    def verdict(self, what, **results):
        return next(t for t in targets.judge({"small-64": row(**results)}) if t["row"] == "small-64" and t["what"] == what)

    def test_met_at_the_limit_and_missed_beyond_by_per_cent_of_it(self):
        met = self.verdict("of the null proxy", ringway=rounds(105), null=rounds(100))
        self.assertEqual((met["verdict"], met["by"]), (targets.MET, 0))
        missed = self.verdict("of the null proxy", ringway=rounds(126), null=rounds(100))
        self.assertEqual(missed["verdict"], targets.MISSED)
        self.assertAlmostEqual(missed["by"], 20)

    def test_a_verdict_from_a_machine_that_others_used_says_so(self):
        seen = self.verdict("of the null proxy", ringway=rounds(100, foreign=0.4), null=rounds(100, foreign=0.4))
        self.assertEqual(text.verdict(seen), "met (machine not quiet)")

    def test_haproxy_is_taken_at_its_best(self):
        seen = self.verdict("HAProxy / Ringway", ringway=rounds(10), haproxy=rounds(20), haproxy__reuse=rounds(13))
        self.assertEqual((seen["seen"], seen["verdict"]), (1.3, targets.MISSED))

    def test_every_target_names_a_row_that_exists(self):
        for name, *_ in targets.TARGETS:
            self.assertIn(name, rows.BY_NAME)

    def test_targets_of_variants_find_them(self):
        for name, how in (("endpoints", targets.endpoints), ("access-log", targets.log_cost), ("workers", targets.two_workers)):
            keys = [e.key for e in rows.entries(rows.BY_NAME[name], ALL, list(ALL))]
            found = {key.replace(":", "__"): rounds(10) for key in keys}
            self.assertIsNotNone(how(row(name, **found)), name)


class LayerFour(unittest.TestCase):
    def shares(self, **microseconds):
        found = {key.replace("_", "-"): [rounds(1, machine_us=us)[0] for us in values] for key, values in microseconds.items()}
        measure.add_shares(found)
        return row("l4-small", "l4", **found)

    def test_a_share_is_what_a_round_cost_more_than_the_same_round_of_direct(self):
        found = self.shares(direct=[10, 20, 10], haproxy=[30, 41, 29])
        self.assertEqual(found["results"]["haproxy"]["metrics"]["share_us"], {"median": 20, "min": 19, "max": 21})
        self.assertEqual(judge.median(found, "direct"), 0)

    def test_xdp_is_told_beside_direct_with_xdp(self):
        found = self.shares(direct=[10], direct_xdp=[14], packet_xdp=[16])
        self.assertEqual(judge.median(found, "packet-xdp"), 2)

    def test_targets_are_of_shares_and_less_than_nothing_meets_them(self):
        found = self.shares(direct=[10, 10, 10], packet_tc=[12, 9, 9], connect=[11, 11, 11], haproxy=[30, 30, 30], dnat=[11, 12, 13])
        seen = {t["what"]: t for t in targets.judge({"l4-small": found}) if t["row"] == "l4-small"}
        self.assertEqual(seen["packet (tc) / HAProxy, each less direct"]["seen"], -0.05)
        self.assertEqual({t["verdict"] for what, t in seen.items() if what.startswith("packet")}, {targets.MET})
        self.assertEqual(seen["connect / HAProxy, each less direct"]["verdict"], targets.MISSED)

    def test_without_direct_there_is_no_share(self):
        found = self.shares(packet_tc=[12], haproxy=[30])
        self.assertIsNone(judge.median(found, "haproxy"))
        self.assertEqual({t["verdict"] for t in targets.judge({"l4-small": found})}, {targets.OPEN, targets.VOID})
        self.assertIn("-", "\n".join(text.row_lines(found)))

    def test_what_was_given_up_is_told_with_the_reason(self):
        last = targets.judge({})[-1]
        self.assertEqual((last["row"], last["verdict"]), ("accelerate", targets.VOID))
        self.assertIn("adr/0011", last["what"])


class Document(unittest.TestCase):
    def whole(self):
        return {"schema": document.SCHEMA, "machine": {"processor": "p", "kernel": "k", "cpus": 2, "commit": "c"}, "settings": {},
                "contenders": {}, "rows": [row(ringway=rounds(10, 11))], "targets": []}

    def test_a_whole_one_has_no_complaints(self):
        self.assertEqual(document.complaints(self.whole()), [])

    def test_what_is_missing_or_of_another_kind_is_named(self):
        for path, value in ((("schema",), "other/2"), (("rows", 0, "results", "ringway", "counts"), "yes"), (("rows", 0, "metric"), None),
                            (("rows", 0, "results", "ringway", "metrics", "cpu_us", "median"), "10"), (("rows", 0, "labels"), {})):
            wrong = copy.deepcopy(self.whole())
            place = wrong
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            self.assertTrue(document.complaints(wrong), path)

    def test_of_a_row_measured_twice_the_later_one_counts(self):
        old, new = self.whole(), self.whole()
        new["rows"] = [row(ringway=rounds(7)), row("get-1m", ringway=rounds(300))]
        merged = document.merge([old, new], ["get-1m", "small-64"])
        self.assertEqual([r["name"] for r in merged["rows"]], ["get-1m", "small-64"])
        self.assertEqual(judge.median(merged["rows"][1], "ringway"), 7)

    def test_runs_of_two_machines_are_not_put_together(self):
        other = self.whole()
        other["machine"]["kernel"] = "another"
        with self.assertRaises(ValueError):
            document.merge([self.whole(), other], [])


class Rows(unittest.TestCase):
    def test_names_and_their_beginnings_select(self):
        self.assertEqual([r.name for r in rows.select(["small", "get-1m"], False)], ["small-1", "small-64", "small-256", "small-1000", "get-1m"])
        with self.assertRaises(ValueError):
            rows.select(["smal"], False)

    def test_haproxy_takes_part_with_its_defaults_and_each_of_its_settings(self):
        keys = [e.key for e in rows.entries(rows.BY_NAME["get-1m"], ALL, ["ringway", "haproxy"])]
        self.assertEqual(keys, ["ringway", "haproxy", "haproxy:reuse+buffers", "haproxy:reuse+splice"])


if __name__ == "__main__":
    unittest.main()
