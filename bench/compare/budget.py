"""How many rounds a row gets, and how long: as asked for, or as many as fit into the time. Pure; tests/unit/bench/compare/budget_test.py."""

ROUNDS_LEAST, SECONDS_LEAST = 3, 0.6
OVERHEAD = 0.8  # seconds of a round beside its measured time: warm-up, programs' start


class Budget:
    """`rows`: (contenders, seconds that a round of one takes beyond the usual ones) of each, in their order. All times are
    seconds since the begin of the run."""

    def __init__(self, rows, rounds, seconds, minutes):
        self.rows, self.rounds_most, self.seconds = list(rows), rounds, seconds
        self.end = minutes * 58  # the last row cannot make up for what it takes itself
        turns = sum(contenders for contenders, _ in self.rows)
        spare = self.end / rounds - sum(contenders * (OVERHEAD + cost) for contenders, cost in self.rows)
        if turns and turns * seconds > spare:
            self.seconds = min(seconds, max(SECONDS_LEAST, spare / turns))
        self.pace = 1  # of what was foreseen, what it took
        self.foreseen = self.row_began = 0

    def each(self, row):
        """Seconds of one round of all contenders of a row."""
        contenders, cost = row
        return contenders * (self.seconds + OVERHEAD + cost)

    def rounds(self, now):
        """Of the row that comes next; fewer than asked for where the rows that are left would not fit otherwise."""
        fit = int((self.end - now) / (self.pace * sum(map(self.each, self.rows))) + 0.1)  # a row or two too slow cost no round yet
        return max(min(ROUNDS_LEAST, self.rounds_most), min(self.rounds_most, fit))

    def row_ended(self, rounds, now):
        self.row_began = now
        self.foreseen += rounds * self.each(self.rows.pop(0))
        self.pace = max(0.5, now / self.foreseen)

    def total(self):
        """Seconds that the rows that are left take, as far as is known."""
        return self.pace * self.rounds_most * sum(map(self.each, self.rows))
