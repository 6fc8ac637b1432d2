"""One member's window is judged slow, not slow, or unknown."""

import pytest

from sretool.knowledge.latency_windows import above, is_disk_slow, is_disk_suspicious, p99, reads_of
from sretool.model import Unknown
from tests.support.latency_samples import histogram, member, probes, window


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        (True, [0.1] * 20),
        (True, [0.001] * 60 + [0.1] * 3),
        (False, [0.001] * 60 + [0.1] * 2),
        (False, [0.06] * 40),
        (True, [0.1] * 3),
        (True, [0.001] + [0.1] * 4),
        (None, [0.1] * 2),
        (None, [0.001] * 19),
        (None, []),
    ],
    ids=[
        "all slow",
        "three slow of many",
        "two slow of many are hiccups",
        "all below 64 ms",
        "three samples, all slow",
        "few samples, most slow",
        "two samples say nothing",
        "nineteen fast samples are not good",
        "no sample",
    ],
)
def test_a_disk_is_judged_by_its_fsyncs(expected, seconds):
    judged = is_disk_slow(member("m1", fsync=histogram(*seconds), commit=histogram()))
    assert judged is expected or (expected is None and isinstance(judged, Unknown))


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [(True, [0.2]), (True, [0.2, 0.001]), (False, [0.2, 0.001, 0.001]), (False, [0.001]), (False, [])],
)
def test_a_disk_is_suspicious_when_half_of_its_few_fsyncs_are_slow(expected, seconds):
    assert is_disk_suspicious(member("m1", fsync=histogram(*seconds))) is expected


def test_without_metrics_nothing_is_said_of_a_disk():
    unread = member("m1", window=Unknown("connection refused"))
    assert is_disk_slow(unread) == Unknown("connection refused")
    assert not is_disk_suspicious(unread)


@pytest.mark.parametrize(
    ("slow", "good", "seconds"),
    [
        (False, True, [0.002] * 5),
        (False, False, [0.002] * 4),
        (False, True, [0.002] * 9 + [0.3]),
        (True, False, [0.002] * 8 + [0.3] * 2),
        (False, True, [0.002] * 19 + [0.3] * 2),
        (False, False, [0.002] * 9 + [-0.3]),
        (True, False, [-1.2] * 2),
        (False, False, []),
    ],
)
def test_reads_are_slow_when_a_fifth_of_them_and_two_at_least_are(slow, good, seconds):
    reads = reads_of(probes(*seconds))
    assert (slow, good) == (reads.is_slow, reads.is_good)


def test_a_failed_read_counts_with_the_time_it_took():
    reads = reads_of(probes(0.002, -1.2, -1.2))
    assert (reads.slow, reads.failed, reads.median, reads.longest) == (2, 2, 1.2, 1.2)


def test_a_p99_of_too_few_samples_is_unknown():
    assert isinstance(p99(histogram(*[0.001] * 19)), Unknown)
    assert p99(histogram(*[0.0005] * 100)) <= 0.001


def test_samples_above_a_time_are_counted_by_whole_buckets():
    assert above(histogram(0.05, 0.07, 0.2, 3.0), 0.064) == 3


def test_a_rate_is_by_the_second_and_a_lasting_gauge_held_at_both_ends():
    told = window(increases={"a": 50.0}, gauges={"b": 7.0, "c": 1.0}, first_gauges={"b": 3.0})
    assert (told.rate("a"), told.rate("missing"), told.lasting("b"), told.lasting("c")) == (
        5.0,
        0.0,
        3.0,
        0.0,
    )
