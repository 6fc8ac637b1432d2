"""How long something takes, and what is seen of slowness: a busy machine is slow once, what is wrong every time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TRIES = 3


def promptly(run: Callable[[], T], *, seconds: float) -> T:
    """Return what `run` returns, run again while it takes `seconds` or more; AssertionError when it always does."""
    for _ in range(TRIES):
        began = time.monotonic()
        result = run()
        took = time.monotonic() - began
        if took < seconds:
            return result
    raise AssertionError(f"it took {took:.1f} s in the last of {TRIES} tries; {seconds:.1f} s are allowed")


def seen(look: Callable[[], T], *, as_expected: Callable[[T], bool]) -> T:
    """Return what `look` returns, looked again while it is not as expected: this machine's own disk and network may
    be slow for a moment, and are then told rightly; the last look when it never is."""
    for _ in range(TRIES - 1):
        if as_expected(result := look()):
            return result
    return look()


def quickest(run: Callable[[], object], *, times: int = 2) -> float:
    """Return the seconds that the quickest of some runs takes."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        run()
        took.append(time.monotonic() - began)
    return min(took)
