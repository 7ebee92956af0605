"""What is under way and how long it will take, on one line of the terminal that is written over; nothing where it is not one."""
import shutil
import sys
import time


def clock(seconds):
    seconds = max(0, round(seconds))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Progress:
    """What the budget says of the rows that are left, less what the one under way has taken already."""

    def __init__(self, budget, out=sys.stderr):
        self.budget, self.out, self.begin, self.live = budget, out, time.monotonic(), out.isatty()

    def left(self):
        return self.budget.total() - (time.monotonic() - self.begin - self.budget.row_began)

    def step(self, what):
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            text = f"  {clock(self.left())} left   {what}"
            print(f"\r\x1b[K{text[:width]}", end="", file=self.out, flush=True)

    def clear(self):
        if self.live:
            print("\r\x1b[K", end="", file=self.out, flush=True)
