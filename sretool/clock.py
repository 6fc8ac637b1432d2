"""Time, as a value that is handed in: tests move it, nothing else in sretool reads a clock or sleeps."""

import datetime
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the engine and the readers need of time."""

    def now(self) -> datetime.datetime:
        """Return the wall-clock time as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""

    def sleep(self, seconds: float) -> bool:
        """Wait `seconds`; return False at once when `wake` was called, else True."""

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, whatever was woken: for looking after a change in flight."""

    def wake(self) -> None:
        """Cut every present and later sleep short (an interrupt came)."""


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)  # noqa: TID251 - this is the one place

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> bool:
        return not self._woken.wait(max(0.0, seconds))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: TID251 - this is the one place

    def wake(self) -> None:
        self._woken.set()


class Deadline:
    """A point in time that nested work may not pass: call ≤ step ≤ run."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self._ends - self._clock.monotonic())

    def cap(self, seconds: float) -> float:
        """Return `seconds`, or what is left when that is less (at least a millisecond, so that a call fails
        by its deadline instead of waiting for ever)."""
        return max(0.001, min(seconds, self.left()))

    def within(self, seconds: float) -> "Deadline":
        """Return a deadline `seconds` from now that does not pass this one."""
        return Deadline(self._clock, min(seconds, self.left()))
