"""Every guard, as a table: what it sees, what it answers, which rule it names."""

import pytest

from sretool.knowledge.guards import judge
from sretool.model import Alarm, AlarmType, DiskSpace, Effect, MemberState, Silence, Unknown
from tests.support.etcd_states import (
    MIB,
    NO_METRICS,
    change,
    context,
    listed,
    member,
    replaced,
    silent,
    state,
)

MOVE = change(Effect.MOVES_LEADERSHIP, verb="move-leader", selection={"target": "2", "target_member": "n2"})
HELPING = [
    change(effect)
    for effect in (
        Effect.COMPACTS,
        Effect.DISARMS,
        Effect.DELETES,
        Effect.SCALES,
        Effect.SETS_QUOTA,
        Effect.WRITES_KEY,
    )
]
STALL = change(Effect.STALLS_MEMBER)
CHANGING = [*HELPING, MOVE, STALL]


def answer(given):
    first = judge(given)[0]
    return first.verdict, first.rule


def with_disk(free_mib):
    return member(2, disk=DiskSpace(free_bytes=free_mib * MIB, source="statvfs"))


@pytest.mark.parametrize("one", [*CHANGING, change(Effect.SAVES_LOCALLY)], ids=lambda one: one.effects[0])
def test_a_healthy_cluster_passes_every_guard(one):
    answers = judge(context(change=one))
    assert {"pass"} == {each.verdict for each in answers}
    assert all(each.reason for each in answers)


def test_the_worst_answer_comes_first():
    busy = state(member(1, defrag_inflight=1), member(2), member(3), alarms=(Alarm(1, AlarmType.CORRUPT),))
    verdicts = [each.verdict for each in judge(context(busy))]
    assert verdicts == sorted(verdicts, key=["refuse", "wait", "pass"].index)
    assert {"refuse", "wait", "pass"} == set(verdicts)


# What forbids every change, the helpful ones too. ------------------------------------------------------

NEVER = {
    "CORRUPT": (state(alarms=(Alarm(2, AlarmType.CORRUPT),)), "corrupt"),
    "CORRUPT of nobody": (state(alarms=(Alarm(0, AlarmType.CORRUPT),)), "corrupt"),
    "CORRUPT beside NOSPACE": (state(alarms=(Alarm(1, AlarmType.NOSPACE), Alarm(2, AlarmType.CORRUPT))), "corrupt"),
    "an alarm of an unknown kind": (state(alarms=(Alarm(2, AlarmType.UNRECOGNISED),)), "corrupt"),
    "alarms unknown": (state(alarms=Unknown("timed out")), "corrupt"),
    "3.5.1": (state(member(1), member(2, version="3.5.1"), member(3)), "version-hazard"),
    "3.4.21": (state(member(1), member(2), member(3, version="3.4.21")), "version-hazard"),
    "no version": (state(member(1), member(2), member(3, version="")), "version-hazard"),
    "nobody answers": (state(silent(1), silent(2), silent(3)), "version-hazard"),
    "a member the inventory lacks": (state(member_list=listed(1, 2, 3, 4)), "inventory"),
    "a member the cluster lacks": (state(member_list=listed(1, 2)), "inventory"),
    "member list unknown": (state(member_list=Unknown("timed out")), "inventory"),
    "member list stale": (state(member_list=listed(1, 2, 3, stale=True)), "inventory"),
    "two of three dead": (state(member(1), silent(2), silent(3)), "quorum"),
    "two of three frozen": (state(member(1), silent(2, Silence.FROZEN), silent(3, Silence.FROZEN)), "quorum"),
}  # fmt: skip


@pytest.mark.parametrize("case", NEVER)
@pytest.mark.parametrize("one", CHANGING, ids=lambda one: one.effects[0])
def test_what_forbids_every_change_has_no_override(case, one):
    cluster, rule = NEVER[case]
    given = context(cluster, change=one, unattended=False, accepted=("margin", "disk-free"))
    refusals = [each for each in judge(given) if each.verdict == "refuse"]
    assert rule in {each.rule for each in refusals if not each.accept}


def test_the_refusal_of_a_corrupting_version_says_why():
    first = judge(context(state(*(member(n, version="3.5.1") for n in (1, 2, 3))), change=HELPING[0]))[0]
    assert "3.5.1" in first.reason
    assert "etcd#13766" in first.reason


def test_an_old_version_that_only_warns_says_so():
    reasons = {
        each.rule: each.reason
        for each in judge(context(state(*(member(n, version="3.4.23") for n in (1, 2, 3)))))
    }
    assert "3.4.23" in reasons["version-hazard"]


def test_corrupt_does_not_forbid_a_snapshot():
    corrupt = state(alarms=(Alarm(2, AlarmType.CORRUPT),))
    assert judge(context(corrupt, change=change(Effect.SAVES_LOCALLY)))[0].verdict == "pass"


# What helps needs a quorum and nothing else. -----------------------------------------------------------

BUSY = {
    "one of three dead": state(member(1), member(2), silent(3)),
    "one of three frozen": state(member(1), member(2), silent(3, Silence.FROZEN)),
    "one lags": state(member(1), member(2), member(3, raft_applied_index=1)),
    "a defragmentation runs": state(member(1), member(2), member(3, defrag_inflight=1)),
    "a compaction runs": state(compaction_inflight=True),
    "a snapshot is applied": state(member(1), member(2), member(3, snapshot_apply_inflight=1)),
    "metrics unknown": state(member(1), member(2), member(3, defrag_inflight=NO_METRICS)),
    "NOSPACE": state(alarms=(Alarm(1, AlarmType.NOSPACE),)),
}


@pytest.mark.parametrize("case", BUSY)
@pytest.mark.parametrize("one", HELPING, ids=lambda one: one.effects[0])
def test_margin_lag_and_churn_do_not_forbid_what_helps(case, one):
    elsewhere = state(*(member(n, raft_term=1) for n in (1, 2, 3)))
    assert judge(context(BUSY[case], start=elsewhere, change=one))[0].verdict == "pass"


# What stalls a member. ---------------------------------------------------------------------------------

DEAD_THIRD = state(member(1), member(2), silent(3))
FROZEN_THIRD = state(member(1), member(2), silent(3, Silence.FROZEN))
LEARNER = listed(1, 2, 3, learners={3})
STALLS = {
    "one of three dead": (DEAD_THIRD, {}, ("refuse", "quorum")),
    "one of three frozen": (FROZEN_THIRD, {}, ("refuse", "quorum")),
    "… accepted, but nobody is there": (DEAD_THIRD, {"accepted": ("margin",)}, ("refuse", "quorum")),
    "one of five dead": (state(member(1), member(2), member(3), member(4), silent(5)), {}, "pass"),
    "one of five frozen: what does it do?": (
        state(member(1), member(2), member(3), member(4), silent(5, Silence.FROZEN)), {}, ("refuse", "defrag-inflight"),
    ),
    "two of five dead": (state(member(1), member(2), member(3), silent(4), silent(5)), {}, ("refuse", "quorum")),
    "one defragments": (state(member(1), member(2), silent(3, Silence.DEFRAGMENTING)), {}, ("wait", "quorum")),
    "one is slow to answer": (state(member(1), member(2), silent(3, Silence.SLOW)), {}, ("wait", "quorum")),
    "one names another leader": (state(member(1), member(2), member(3, leader=3)), {}, ("wait", "quorum")),
    "nobody knows a leader": (state(*(member(n, leader=0) for n in (1, 2, 3))), {}, ("wait", "quorum")),
    "a single member, nobody there": (state(member(1)), {"change": change(number=1)}, ("refuse", "quorum")),
    "a single member, nobody there, in its window": (
        state(member(1)),
        {"in_window": True, "change": change(number=1)},
        "pass",
    ),
    "a single member, a person": (state(member(1)), {"unattended": False, "change": change(number=1)}, "pass"),
    "lag 100": (state(member(1), member(2), member(3, raft_applied_index=4900)), {}, "pass"),
    "lag 101": (state(member(1), member(2), member(3, raft_applied_index=4899)), {}, ("wait", "raft-lag")),
    "lag 5000": (state(member(1), member(2), member(3, raft_applied_index=0)), {}, ("wait", "raft-lag")),
    "lag 5001": (
        state(member(1, raft_index=5001, raft_applied_index=5001), member(2), member(3, raft_applied_index=0)),
        {}, ("refuse", "raft-lag"),
    ),
    "a defragmentation runs": (state(member(1, defrag_inflight=1), member(2), member(3)), {}, ("wait", "defrag-inflight")),
    "a compaction runs": (state(compaction_inflight=True), {}, ("wait", "defrag-inflight")),
    "compactions unknown": (state(compaction_inflight=Unknown("no metric")), {}, ("refuse", "defrag-inflight")),
    "metrics unknown": (state(member(1, defrag_inflight=NO_METRICS), member(2), member(3)), {}, ("refuse", "defrag-inflight")),
    "a snapshot is applied": (state(member(1), member(2), member(3, snapshot_apply_inflight=1)), {}, ("wait", "catching-up")),
    "a snapshot perhaps": (state(member(1, snapshot_apply_inflight=NO_METRICS), member(2), member(3)), {}, ("refuse", "catching-up")),
    "a learner that caught up": (
        state(member(1), member(2), member(3, is_learner=True), member(4), member_list=listed(1, 2, 3, 4, learners={3})), {}, "pass",
    ),
    "a learner behind": (
        state(member(1), member(2), member(3, is_learner=True, raft_applied_index=0), member(4), member_list=listed(1, 2, 3, 4, learners={3})),
        {}, ("wait", "catching-up"),
    ),
    "a silent learner": (
        state(member(1), member(2), silent(3), member(4), member_list=listed(1, 2, 3, 4, learners={3})), {}, ("refuse", "catching-up"),
    ),
    "disk: file size is free": (state(member(1), with_disk(600), member(3)), {}, "pass"),
    "disk: less than the file": (state(member(1), with_disk(599), member(3)), {}, ("refuse", "disk-free")),
    "disk: too little, accepted": (
        state(member(1), with_disk(599), member(3)), {"unattended": False, "accepted": ("disk-free",)}, ("refuse", "disk-free"),
    ),
    "disk unknown": (state(member(1), member(2, disk=Unknown("no path")), member(3)), {}, ("refuse", "disk-free")),
    "… unattended, whatever was accepted": (
        state(member(1), member(2, disk=Unknown("no path")), member(3)), {"accepted": ("disk-free",)}, ("refuse", "disk-free"),
    ),
    "… accepted by a person": (
        state(member(1), member(2, disk=Unknown("no path")), member(3)), {"unattended": False, "accepted": ("disk-free",)}, "pass",
    ),
    "… on a version that ends when the disk is full": (
        state(member(1), member(2, disk=Unknown("no path"), version="3.5.16"), member(3)),
        {"unattended": False, "accepted": ("disk-free",)}, ("refuse", "disk-free"),
    ),
    "the member itself is silent": (state(member(1), silent(2), member(3), member(4), member(5)), {}, ("refuse", "disk-free")),
}  # fmt: skip


@pytest.mark.parametrize("case", STALLS)
def test_what_stalls_a_member(case):
    cluster, given, expected = STALLS[case]
    verdict, rule = answer(context(cluster, **given))
    assert expected == (verdict if verdict == "pass" else (verdict, rule))


def test_nearly_full_in_use_needs_a_fifth_more_than_the_data():
    full = member(
        2,
        db_size_bytes=600 * MIB,
        db_size_in_use_bytes=600 * MIB,
        disk=DiskSpace(free_bytes=719 * MIB, source="statvfs"),
    )
    assert answer(context(state(member(1), full, member(3)))) == ("refuse", "disk-free")


@pytest.mark.parametrize("cluster", [DEAD_THIRD, FROZEN_THIRD])
def test_a_person_may_do_without_a_voter_to_spare(cluster):
    assert judge(context(cluster, unattended=False, accepted=("margin",)))[0].verdict == "pass"
    first = judge(context(cluster, unattended=False))[0]
    assert (first.verdict, first.accept) == ("refuse", "margin")
    assert "2 of 3 voters" in first.reason


def test_an_effect_nobody_declared_meets_the_strict_rules():
    undeclared = replaced(change(), effects=())
    assert judge(context(DEAD_THIRD, change=undeclared))[0].verdict == "refuse"


# What happens while the run is under way. --------------------------------------------------------------


def term(number):
    return state(*(member(n, raft_term=number) for n in (1, 2, 3)))


@pytest.mark.parametrize(
    ("before", "now", "moves", "expected"),
    [
        (2, 2, 0, "pass"),
        (2, 3, 0, "refuse"),
        (2, 3, 1, "pass"),
        (2, 4, 1, "refuse"),
        (2, 4, 2, "pass"),
    ],
)
def test_only_our_own_moves_may_raise_the_term(before, now, moves, expected):
    assert expected == judge(context(term(now), start=term(before), moves=moves))[0].verdict


@pytest.mark.parametrize(
    "now",
    [
        state(alarms=Unknown("timed out")),
        state(member_list=Unknown("timed out")),
        state(member_list=listed(1, 2, 3, stale=True)),
        state(member(1, defrag_inflight=NO_METRICS), member(2), member(3)),
        state(compaction_inflight=Unknown("timed out")),
    ],
)
def test_what_could_be_read_at_the_start_is_waited_for(now):
    assert judge(context(now, start=state()))[0].verdict == "wait"


def test_a_member_that_fell_behind_during_the_run_catches_up():
    behind = state(member(1, raft_index=90_000, raft_applied_index=90_000), member(2), member(3))
    assert answer(context(behind, start=state())) == ("wait", "raft-lag")


def test_the_version_a_silent_member_told_before_still_counts():
    bad = state(member(1), member(2), member(3, version="3.5.1"))
    assert answer(context(DEAD_THIRD, start=bad, change=HELPING[0])) == ("refuse", "version-hazard")


# Moving leadership. ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (DEAD_THIRD, ("pass", None)),
        (state(member(1), member(2), member(3, defrag_inflight=1)), ("pass", None)),
        (state(member(1), silent(2), member(3)), ("refuse", "move-target")),
        (state(member(1), member(2, leader=2), member(3)), ("wait", "move-target")),
        (state(member(1), member(2, raft_applied_index=4899), member(3)), ("wait", "move-target")),
        (
            state(
                member(1), member(2, is_learner=True), member(3), member_list=listed(1, 2, 3, learners={2})
            ),
            ("refuse", "move-target"),
        ),
        (state(member(1), silent(2), silent(3)), ("refuse", "quorum")),
    ],
)
def test_leadership_goes_to_a_healthy_voter(cluster, expected):
    verdict, rule = answer(context(cluster, change=MOVE))
    assert expected == (verdict, rule if verdict != "pass" else None)


def test_churn_does_not_forbid_moving_leadership():
    assert judge(context(term(9), start=term(2), change=MOVE))[0].verdict == "pass"


def test_a_move_that_names_no_target_is_refused():
    assert answer(context(change=change(Effect.MOVES_LEADERSHIP))) == ("refuse", "move-target")


def test_no_unknown_of_a_member_passes_silently_where_a_member_is_stalled():
    """Whatever single fact of an answering member is unknown: if a stall depends on it, it does not pass."""
    concerned = {"defrag_inflight", "snapshot_apply_inflight", "disk", "status"}
    for field in MemberState.__struct_fields__:
        blind = member(
            2, **({"status": NO_METRICS, "silence": Silence.UNREACHABLE} if field == "status" else {})
        )
        if field in concerned - {"status"}:
            blind = member(2, **{field: NO_METRICS})
        verdict = judge(context(state(member(1), blind, member(3))))[0].verdict
        assert ("refuse" if field in concerned else "pass") == verdict, field
