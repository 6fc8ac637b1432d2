"""A clock that tests move: sleeping costs nothing and is remembered."""

import datetime


class MovingClock:
    """Starts at 2026-01-01 00:00 UTC; every sleep moves it."""

    def __init__(self):
        self._seconds = 0.0
        self.woken = False
        self.slept = []

    def now(self):
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self._seconds)

    def monotonic(self):
        return self._seconds

    def sleep(self, seconds):
        if self.woken:
            return False
        self.pause(seconds)
        return True

    def pause(self, seconds):
        self.pass_by(seconds)
        self.slept.append(seconds)

    def pass_by(self, seconds):
        """Let time go by without anybody sleeping: a call took it."""
        self._seconds += seconds

    def wake(self):
        self.woken = True
