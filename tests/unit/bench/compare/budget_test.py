#!/usr/bin/env python3
"""bench/compare's budget: all rounds where they fit, shorter ones where they do not, then fewer; and what rows really take counts."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 4)
sys.path.insert(0, os.path.join(ROOT, "bench", "compare"))

from budget import OVERHEAD, ROUNDS_LEAST, SECONDS_LEAST, Budget  # noqa: E402


def run(budget, slowness=1):
    """Plays a run whose rounds take `slowness` times as long as foreseen; (seconds it took, rounds of each row)."""
    now, found = 0, []
    while budget.rows:
        found.append(budget.rounds(now))
        now += found[-1] * budget.each(budget.rows[0]) * slowness
        budget.row_ended(found[-1], now)
    return now, found


class BudgetTest(unittest.TestCase):
    def test_what_fits_is_done_as_it_was_asked_for(self):
        budget = Budget([(4, 0), (6, 0)], 5, 2, 25)
        self.assertEqual(budget.seconds, 2)
        self.assertAlmostEqual(budget.total(), 50 * (2 + OVERHEAD))
        self.assertEqual(run(budget)[1], [5, 5])

    def test_what_does_not_fit_is_shorter_first(self):
        budget = Budget([(6, 0)] * 30, 5, 2, 25)
        self.assertTrue(SECONDS_LEAST < budget.seconds < 2, budget.seconds)
        took, rounds = run(budget)
        self.assertLessEqual(took, 25 * 60 + 1)
        self.assertEqual(rounds, [5] * 30)

    def test_rows_that_cost_more_are_foreseen(self):
        self.assertLessEqual(run(Budget([(6, 0)] * 28 + [(12, 5)] * 2, 5, 2, 25))[0], 25 * 60 + 1)

    def test_a_machine_that_is_slower_than_foreseen_gets_fewer_rounds(self):
        took, rounds = run(Budget([(6, 0)] * 30, 5, 2, 25), 1.5)
        self.assertLessEqual(took, 25 * 60 + 1)
        self.assertGreaterEqual(min(rounds), ROUNDS_LEAST)
        self.assertLess(rounds[-1], 5)

    def test_three_rounds_are_done_however_little_time_there_is(self):
        budget = Budget([(6, 0)] * 30, 5, 2, 1)
        self.assertEqual(budget.seconds, SECONDS_LEAST)
        self.assertEqual(run(budget)[1], [ROUNDS_LEAST] * 30)

    def test_fewer_than_three_where_fewer_were_asked_for(self):
        self.assertEqual(run(Budget([(6, 0)] * 30, 1, 2, 1))[1], [1] * 30)

    def test_nothing_to_measure(self):
        self.assertEqual(Budget([], 5, 2, 25).total(), 0)


if __name__ == "__main__":
    unittest.main()
