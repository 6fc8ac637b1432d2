"""How fast events are deleted: less at once, later, or not at all while others' small reads are slow."""

import threading
import time
import types

import pytest

from sretool.cluster import pacing
from sretool.cluster.pacing import FAILED_SECONDS, Pace
from sretool.errors import NoAnswerError
from sretool.knowledge.pace import is_slow, next_size, p99


@pytest.mark.parametrize(
    ("slow", "seconds", "idle"),
    [(False, 0.1, 0.005), (True, 0.11, 0.005), (False, 0.5, 0.2), (True, 0.7, 0.2)],
)
def test_slow_is_what_exceeds_a_tenth_of_a_second_and_three_times_what_it_was(slow, seconds, idle):
    assert is_slow(seconds, idle=idle) is slow


def test_sizes_are_halved_and_doubled_within_their_limits():
    assert [next_size(size, slow=True, largest=100, least=10) for size in (100, 15, 10)] == [50, 10, 10]
    assert [next_size(size, slow=False, largest=100, least=10) for size in (10, 60, 100)] == [20, 100, 100]


def test_the_hundredth_sample_is_beyond_p99():
    assert p99([0.001] * 99 + [5.0]) == 0.001
    assert p99([0.001] * 98 + [5.0, 5.0]) == 5.0
    assert p99([]) == 0.0


class Other:
    """Another client: its reads take as long as it is told."""

    def __init__(self):
        self.seconds, self.reads = 0.0, 0

    def __call__(self):
        self.reads += 1
        time.sleep(self.seconds)


def wait_until(true, seconds=10.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_while_others_are_slow_turns_wait_and_are_smaller_and_then_grow_again():
    other, pace = Other(), Pace(largest=100, least=10, slots=1)
    with pace.beside(other):
        with pace.turn() as size:
            assert size == 100
        other.seconds = 0.15
        wait_until(lambda: pace.size < 100)
        other.seconds = 0.0
        with pace.turn():  # waits until a read was fast again
            pass
        wait_until(lambda: pace.size == 100)
    figures = pace.figures()
    assert figures["others_worst_seconds"] >= 0.15
    assert figures["others_p99_seconds"] <= figures["others_worst_seconds"]


def test_others_that_stay_slow_stop_it():
    other, pace = Other(), Pace(largest=100, least=10, slots=1, patience=0.2)
    with pace.beside(other):
        other.seconds = 0.15
        wait_until(lambda: pace.size == 10)
        with pytest.raises(NoAnswerError, match="others' small reads take"), pace.turn():
            pass


def test_a_read_that_fails_is_a_slow_one_and_nothing_is_read_after_the_end():
    other, pace = Other(), Pace(largest=100, least=10, slots=1)

    def fails():
        other()
        raise NoAnswerError("no answer")

    assert pace.figures() == {}
    with pace.beside(other), pace.beside(fails):
        wait_until(lambda: other.reads > 2)
    with pace.beside(fails):
        wait_until(lambda: pace.figures().get("others_worst_seconds") == FAILED_SECONDS)
    reads = other.reads
    time.sleep(0.2)
    assert other.reads <= reads + 1


def test_a_turn_is_followed_by_a_rest_in_which_reading_goes_on_and_no_other_turn_begins():
    pace = Pace(largest=100, least=10, slots=1, rest=2.0)
    times = {}

    def write():
        with pace.turn():
            times["second"] = time.monotonic()

    other = threading.Thread(target=write)
    with pace.turn():
        other.start()
        with pace.reading():
            times["read"] = time.monotonic()
        time.sleep(0.05)
        done = time.monotonic()
    other.join()
    assert times["read"] < done
    assert times["second"] - done >= 0.1


def test_one_reads_much_at_a_time_and_nobody_while_others_are_slow():
    other, pace = Other(), Pace(largest=100, least=10, slots=1, patience=0.2)
    with pace.reading():
        late = threading.Thread(target=lambda: pace.reading().__enter__(), daemon=True)
        late.start()
        late.join(0.1)
        assert late.is_alive()
    late.join()
    with pace.beside(other):
        other.seconds = 0.15
        wait_until(lambda: pace.size == 10)
        with pytest.raises(NoAnswerError, match="others' small reads take"), pace.reading():
            pass


def test_the_first_are_few_and_then_as_many_go_at_once_as_five_seconds_allow(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pacing, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    pace = Pace(largest=100, least=10, slots=1, begins_small=True)

    def go(objects, seconds):
        with pace.timing(objects):
            now[0] += seconds

    assert pace.size == 10
    go(10, 0.02)
    assert pace.size == 100
    assert pace.seconds_each() == 0.0, "one turn says nothing yet"
    go(100, 50.0)
    assert pace.size == 10
    assert pace.seconds_each() == pytest.approx(50.02 / 110)


def test_what_reads_took_before_is_the_second_worst_of_them():
    """One member of three has a slow disk: every third read takes long, and is not slowed down by us."""
    reads = iter([0.0, 0.0, 0.06] * 4)
    pace = Pace(largest=100, least=10, slots=1)
    with pace.beside(lambda: time.sleep(next(reads, 0.15))):
        wait_until(lambda: pace.figures().get("others_worst_seconds", 0.0) >= 0.15)
        with pace.turn() as size:  # three times 60 ms: 150 ms are no pause
            assert size == 100
    assert pace.figures()["paused_seconds"] == 0.0
