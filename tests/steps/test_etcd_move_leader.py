"""What etcd.move-leader plans: off a slow disk, to a clearly faster one, or not at all."""

import pytest

from sretool.model import Effect, Unknown
from sretool.model.latency import MemberLatency
from sretool.steps.etcd_move_leader import EtcdMoveLeader, EtcdMoveLeaderFacts, EtcdMoveLeaderParams
from tests.support.etcd_states import listed, member, replaced, state

STEP = EtcdMoveLeader()
FEW = Unknown("12 samples")


def speed(name, fsync_p99, *, network_slow=False):
    slow = FEW if isinstance(fsync_p99, Unknown) else fsync_p99 > 0.064
    return MemberLatency(
        name=name,
        fsync_p99=fsync_p99,
        commit_p99=0.002,
        round_trips={},
        disk_slow=slow,
        network_slow=network_slow,
    )


def proposal(*fsyncs, cluster=None, slow=True, earlier=(), **n2):
    latency = [speed(f"n{number}", fsync) for number, fsync in enumerate(fsyncs, start=1)]
    latency[1] = replaced(latency[1], **n2)
    facts = EtcdMoveLeaderFacts(
        leader="n1",
        leader_disk_slow=slow,
        endpoint="https://n1:2379",
        state=cluster or state(),
        latency=tuple(latency),
    )
    return STEP.plan(EtcdMoveLeaderParams(), facts, earlier)


@pytest.mark.parametrize(
    ("fsyncs", "target"),
    [
        ((0.5, 0.002, 0.002), "n2"),
        ((0.5, 0.1, 0.002), "n3"),
        ((0.5, 0.101, 0.004), "n3"),
        ((0.08, 0.016, 0.017), "n2"),
        ((0.08, 0.017, 0.016), "n3"),
        ((0.08, FEW, 0.016), "n3"),
        ((FEW, 0.0128, 0.05), "n2"),  # too slow for twenty samples: at least 64 ms
    ],
)
def test_leadership_goes_to_a_voter_whose_disk_is_five_times_faster(fsyncs, target):
    plan = proposal(*fsyncs)
    assert [one.label for one in plan.changes] == [f"n1 → {target}"]
    assert plan.changes[0].effects == (Effect.MOVES_LEADERSHIP,)
    assert plan.changes[0].bounds["to"] == "a voter whose WAL fsync p99 is at most a fifth of the leader's"
    assert "kubernetes#65497" in plan.changes[0].cost.note


@pytest.mark.parametrize(
    ("fsyncs", "words"),
    [
        ((0.08, 0.017, 0.05), "n2 has an fsync p99 of 17 ms, over 16 ms"),
        ((0.5, FEW, FEW), "n2 has an unknown fsync p99 (12 samples)"),
        ((FEW, 0.013, 0.02), "n3 has an fsync p99 of 20 ms, over 12.8 ms"),
        ((0.5, 0.2, 0.2), "n2 has a slow disk"),
    ],
)
def test_without_a_clearly_faster_voter_it_is_held_with_each_reason(fsyncs, words):
    plan = proposal(*fsyncs)
    assert not plan.waves
    assert plan.held[0].refused
    assert words in plan.held[0].why


def test_a_slow_network_and_a_learner_do_not_lead():
    assert [one.label for one in proposal(0.5, 0.002, 0.002, network_slow=True).changes] == ["n1 → n3"]
    learner = state(
        member(1), member(2, is_learner=True), member(3), member_list=listed(1, 2, 3, learners={2})
    )
    assert [one.label for one in proposal(0.5, 0.002, 0.002, cluster=learner).changes] == ["n1 → n3"]


def test_a_leader_with_a_good_disk_stays():
    plan = proposal(0.002, 0.0001, 0.0001, slow=False)
    assert not plan.waves
    assert not plan.held


def test_a_disk_that_cannot_be_judged_is_held_as_unknown():
    plan = proposal(FEW, 0.002, 0.002, slow=FEW)
    assert not plan.waves
    assert [(one.refused, "12 samples" in one.why) for one in plan.held] == [(False, True)]


def test_leadership_is_moved_once_a_run():
    first = proposal(0.5, 0.002, 0.002).changes[0]
    assert not proposal(0.5, 0.002, 0.002, earlier=(replaced(first, made=True),)).waves
