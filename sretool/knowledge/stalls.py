"""How long a defragmentation stalls its member, predicted, and how long it may take."""

from sretool.model import Known, Unknown

SECONDS_PER_LIVE_BYTE = 10e-3 / 1e6
"""Measured: 5 to 10 ms per MB of live data, on disks that are not slow."""
BASE_SECONDS = 0.3
"""Measured: even a file of nothing but free pages takes 0.2 to 0.4 s."""
LEAST_SECONDS_PER_LIVE_BYTE = 5e-3 / 1e6
LEAST_DEADLINE_SECONDS = 60.0
DEADLINE_SECONDS_PER_BYTE = 30.0 / 1e9  # field reports: 4.5 to 13 s per GB; a slow disk takes its time


def predict_stall(*, live_bytes: int, past_seconds: Known[float], past_count: Known[int]) -> float:
    """Return for how many seconds a defragmentation stalls its member.

    What the member needed before (the mean of its own `defrag_duration`) is the better guess, but never
    less than the fastest that was measured for this much live data.
    """
    if isinstance(past_seconds, Unknown) or isinstance(past_count, Unknown) or past_count == 0:
        return BASE_SECONDS + live_bytes * SECONDS_PER_LIVE_BYTE
    return max(past_seconds / past_count, live_bytes * LEAST_SECONDS_PER_LIVE_BYTE)


def defrag_deadline(size_bytes: int) -> float:
    """Return for how many seconds to wait for an answer: 30 s for each GB of the file, a minute at least."""
    return max(LEAST_DEADLINE_SECONDS, size_bytes * DEADLINE_SECONDS_PER_BYTE)
