"""Whether leadership has moved, by what the voters name."""

import pytest

from sretool.knowledge.leadership import (
    find_candidates,
    fsync_at_least,
    fsync_at_most,
    judge_move,
    move_change,
)
from sretool.knowledge.quorum import count_votes
from sretool.model import Histogram, Result, Unknown
from tests.support.etcd_states import state, status

CLUSTER = state()
TARGET = find_candidates(CLUSTER, count_votes(CLUSTER), undefragmented=(), latency=Unknown("not measured"))[0]
MOVE = move_change(
    "etcd.move-leader",
    leader=("n1", "https://n1:2379", status(1)),
    target=TARGET,
    voters=3,
    to="a voter",
    reason="a test",
)
SILENT = Unknown("no answer")


@pytest.mark.parametrize(
    ("leaders", "expected"),
    [
        ((1, 1, 1), Result.NOT_DONE),
        ((2, 2, 2), Result.DONE),
        ((3, 3, 3), Result.DONE),  # not the target, but leadership has left
        ((1, 2, 2), Result.DONE),  # a quorum knows
        ((None, 2, 2), Result.DONE),
        ((1, 1, 2), Result.NOT_DONE),
        ((0, 0, 0), Result.STILL_GOING),
        ((0, 2, 0), Result.STILL_GOING),
        ((1, 2, 0), Result.STILL_GOING),
        ((None, None, 2), Result.CANNOT_TELL),
        ((None, None, None), Result.CANNOT_TELL),
    ],
)
def test_who_leads_is_what_a_quorum_of_voters_names(leaders, expected):
    statuses = {
        f"n{number}": SILENT if leader is None else status(number, leader=leader, raft_term=3)
        for number, leader in enumerate(leaders, start=1)
    }
    assert judge_move(MOVE, statuses).result is expected


def test_another_leader_than_planned_is_said():
    outcome = judge_move(MOVE, {f"n{number}": status(number, leader=3, raft_term=4) for number in (1, 2, 3)})
    assert "not n2" in outcome.evidence
    assert outcome.measured == {"leader": "n3", "term": 4, "elections": 2}


def test_a_learner_has_no_say():
    statuses = {
        "n1": status(1),
        "n2": status(2, leader=2, is_learner=True),
        "n3": status(3, leader=2, is_learner=True),
    }
    assert judge_move(MOVE, statuses).result is Result.CANNOT_TELL


def fsyncs(fast, slow):
    """Return a histogram of `fast` samples under 1 ms and `slow` ones under 256 ms."""
    return Histogram(
        bounds=(0.001, 0.128, 0.256, float("inf")), counts=(fast, fast, fast + slow, fast + slow), sum=1.0
    )


@pytest.mark.parametrize(
    ("window", "lifetime", "expected"),
    [
        (fsyncs(100, 0), Unknown("not needed"), 0.00099),
        (fsyncs(10, 0), fsyncs(1000, 0), 0.001),
        (fsyncs(10, 0), fsyncs(900, 100), 0.2432),  # it is fast just now, and usually is not
        (fsyncs(9, 1), fsyncs(1000, 0), 0.256),
        (fsyncs(4, 0), fsyncs(1000, 0), None),
        (fsyncs(10, 0), fsyncs(10, 0), None),
        (SILENT, fsyncs(1000, 0), None),
        (fsyncs(10, 0), SILENT, None),
    ],
)
def test_few_fast_fsyncs_count_only_with_a_fast_past(window, lifetime, expected):
    found = fsync_at_most(window, lifetime)
    assert isinstance(found, Unknown) if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("window", "expected"),
    [(fsyncs(0, 100), 0.25472), (fsyncs(0, 4), 0.192), (fsyncs(0, 2), None), (SILENT, None)],
)
def test_a_slow_leader_is_judged_by_its_median_when_samples_are_few(window, expected):
    found = fsync_at_least(window)
    assert isinstance(found, Unknown) if expected is None else found == pytest.approx(expected)
