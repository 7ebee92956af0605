"""What is under way and how long it will take, on one line of the terminal that is written over; nothing where it is not one."""
import shutil
import sys
import time


def clock(seconds):
    seconds = max(0, round(seconds))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Progress:
    """Counts rounds: `total` of about `each` seconds; what they really took corrects that."""

    def __init__(self, total, each, out=sys.stderr):
        self.total, self.each, self.out = total, each, out
        self.done, self.begin, self.live = -1, time.monotonic(), out.isatty()

    def left(self):
        spent, done = time.monotonic() - self.begin, max(self.done, 0)
        each = spent / done if done >= 5 else self.each
        return (self.total - done) * each

    def step(self, what):
        self.done += 1
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            text = f"  {clock(self.left())} left   {what}"
            print(f"\r\x1b[K{text[:width]}", end="", file=self.out, flush=True)

    def clear(self):
        if self.live:
            print("\r\x1b[K", end="", file=self.out, flush=True)
