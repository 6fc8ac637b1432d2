"""How fast may be deleted: judged by what others' small reads take meanwhile."""

import math
from collections.abc import Sequence

SLOW_SECONDS = 0.1  # a small read of another client takes a few milliseconds
SLOW_TIMES_IDLE = 3.0  # where it took longer before we began, only what we add to it counts


def is_slow(seconds: float, *, idle: float) -> bool:
    """Tell whether a small read that takes `seconds` is slowed down, where it took `idle` before we began."""
    return seconds > max(SLOW_SECONDS, SLOW_TIMES_IDLE * idle)


def next_size(size: int, *, slow: bool, largest: int, least: int) -> int:
    """Return how many objects go at once next: half as many while others are slow, else twice, within limits."""
    return max(least, size // 2) if slow else min(largest, 2 * size)


def p99(samples: Sequence[float]) -> float:
    """Return what 99 of 100 samples do not exceed; 0 when there are none."""
    return sorted(samples)[math.ceil(0.99 * len(samples)) - 1] if samples else 0.0
