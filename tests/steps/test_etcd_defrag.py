"""What etcd.defrag plans: who, in which order, after which move of leadership, and what it holds back."""

import pytest

from sretool.knowledge.defrag_plan import leaders_turn
from sretool.knowledge.defrag_view import DefragMember, DefragView
from sretool.knowledge.defragmentation import SpaceRules
from sretool.knowledge.guards import judge
from sretool.model import Alarm, AlarmType, DiskSpace, Effect, Severity, Silence, Unknown
from sretool.model.latency import MemberLatency
from sretool.step import Duration
from sretool.steps.etcd_defrag import EtcdDefrag, EtcdDefragFacts, EtcdDefragParams
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
    url,
)

STEP = EtcdDefrag()
PARAMS = EtcdDefragParams()
RULES = SpaceRules(
    reclaim_floor=PARAMS.reclaim_floor,
    fragmentation=PARAMS.fragmentation,
    pressure=PARAMS.pressure,
    pressure_floor=PARAMS.pressure_floor,
)
NOSPACE = (Alarm(1, AlarmType.NOSPACE),)
UNMEASURED = Unknown("not measured")
COMPACTION = change(Effect.COMPACTS, uses="etcd.compact", verb="compact", selection={"revision": 1000})


def facts(cluster=None, *, latency=UNMEASURED, compacted=False, past_seconds=0.0):
    cluster = cluster or state()
    members = tuple(
        DefragMember(
            state=one,
            endpoint=f"https://{one.name}:2379",
            past_seconds=past_seconds,
            compacted=compacted,
        )
        for one in cluster.members
    )
    return EtcdDefragFacts(view=DefragView(state=cluster, members=members, latency=latency))


def proposal(cluster=None, *, earlier=(), params=None, **given):
    return STEP.plan(params or EtcdDefragParams(), facts(cluster, **given), earlier)


def order(plan):
    return [f"{one.verb} {one.label}" for one in plan.changes]


def sized(number, size_mib, used_mib, **changed):
    return member(number, db_size_bytes=size_mib * MIB, db_size_in_use_bytes=used_mib * MIB, **changed)


def three(size_mib, used_mib, **changed):
    return state(*(sized(number, size_mib, used_mib) for number in (1, 2, 3)), **changed)


def made(one):
    return replaced(one, made=True)


def speed(name, *, disk_slow=False, network_slow=False):
    return MemberLatency(
        name=name,
        fsync_p99=0.002,
        commit_p99=0.002,
        round_trips={},
        disk_slow=disk_slow,
        network_slow=network_slow,
    )


# Who is due. ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_mib", "used_mib", "due"),
    [
        (600, 400, True),  # reclaim_floor: 200 MiB
        (600, 401, False),
        (300, 165, True),  # 45 % of 300 MiB
        (300, 166, False),
        (99, 1, False),  # 98 % free, but a small file
        (101, 55, True),
        (1700, 1660, True),  # 83 % of the quota of 2 GiB and 40 MiB free
        (1700, 1668, True),  # exactly pressure_floor
        (1700, 1669, False),  # full, and next to nothing to give back: never for the quota alone
        (2040, 2040, False),
        (1600, 1540, False),  # 78 % of the quota
    ],
)
def test_who_is_due_follows_the_three_rules(size_mib, used_mib, due):
    assert bool(proposal(three(size_mib, used_mib)).waves) is due


@pytest.mark.parametrize(
    ("size_mib", "used_mib", "due"), [(60, 57, True), (60, 58, False), (16, 8, True), (16, 16, False)]
)
def test_under_nospace_a_twentieth_of_the_file_is_enough(size_mib, used_mib, due):
    assert bool(proposal(three(size_mib, used_mib, alarms=NOSPACE)).waves) is due


def test_a_full_database_without_free_pages_is_growth_and_not_due():
    plan = proposal(three(1900, 1890))
    assert not plan.waves
    assert {"growth, not fragmentation" in one.sentence for one in plan.findings} == {True}
    assert {one.severity for one in plan.findings} == {Severity.WARNING}


@pytest.mark.parametrize("given", [COMPACTION, made(COMPACTION)])
def test_after_a_compaction_of_this_run_the_whole_file_is_the_upper_bound(given):
    plan = proposal(three(60, 60, alarms=NOSPACE), earlier=(given,))
    assert order(plan) == ["defragment n2", "defragment n3", "move-leader n1 → n2", "defragment n1"]
    assert not plan.findings


def test_writes_since_the_compaction_make_the_figures_true_again():
    grown = state(*(sized(number, 600, 590, revision=1001) for number in (1, 2, 3)))
    assert not proposal(grown, earlier=(made(COMPACTION),)).waves
    assert proposal(grown, earlier=(COMPACTION,)).waves


def test_under_nospace_a_process_that_compacted_and_never_defragmented_is_due():
    full = three(60, 60, alarms=NOSPACE)
    assert proposal(full, compacted=True).waves
    defragmented = state(*(sized(number, 60, 60, defrag_count=1) for number in (1, 2, 3)), alarms=NOSPACE)
    assert not proposal(defragmented, compacted=True).waves
    assert not proposal(three(60, 60), compacted=True).waves


# In which order. -----------------------------------------------------------------------------------------


def test_followers_first_the_smallest_first_then_leadership_then_the_old_leader():
    cluster = state(sized(1, 500, 100), sized(2, 900, 100), sized(3, 700, 100))
    plan = proposal(cluster)
    assert order(plan) == ["defragment n3", "defragment n2", "move-leader n1 → n2", "defragment n1"]
    assert [len(wave) for wave in plan.waves] == [1, 1, 1, 1]


def test_an_equal_look_gives_an_equal_plan():
    assert proposal() == proposal()


def test_a_leader_that_is_not_due_keeps_its_leadership():
    assert order(proposal(state(sized(1, 100, 90), member(2), member(3)))) == [
        "defragment n2",
        "defragment n3",
    ]


def test_what_this_run_defragmented_is_not_due_again():
    first = proposal().changes[0]
    later = proposal(earlier=(made(first),))
    assert order(later) == ["defragment n3", "move-leader n1 → n2", "defragment n1"]


def test_leadership_that_left_by_itself_needs_no_move():
    moved = state(*(member(number, leader=2) for number in (1, 2, 3)))
    plan = proposal(moved, earlier=tuple(made(one) for one in proposal().changes[:2]))
    assert order(plan) == ["defragment n1"]


def test_leadership_that_came_back_stops_before_the_leader():
    done = tuple(made(one) for one in proposal().changes[:3])
    plan = proposal(earlier=done)
    assert not plan.waves
    assert [(one.what, one.refused) for one in plan.held] == [("defragment n1", True)]
    assert "not at rest" in plan.held[0].why


def test_learners_are_never_defragmented():
    cluster = state(
        member(1), member(2), member(3, is_learner=True), member_list=listed(1, 2, 3, learners={3})
    )
    assert order(proposal(cluster)) == ["defragment n2", "move-leader n1 → n2", "defragment n1"]


def test_a_single_member_is_defragmented_in_place_and_the_plan_says_what_that_is():
    plan = proposal(state(member(1)))
    assert order(plan) == ["defragment n1"]
    assert "etcd is down" in plan.changes[0].cost.note


# To whom leadership goes. --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n2", "n3", "target"),
    [
        ({}, {}, "n2"),
        ({"disk_slow": True}, {}, "n3"),
        ({"network_slow": True}, {}, "n3"),
        ({"disk_slow": UNMEASURED}, {}, "n3"),
        ({"disk_slow": UNMEASURED}, {"network_slow": True}, "n2"),
    ],
)
def test_leadership_goes_to_a_voter_that_is_not_slow(n2, n3, target):
    plan = proposal(latency=(speed("n1"), speed("n2", **n2), speed("n3", **n3)))
    assert f"move-leader n1 → {target}" in order(plan)


def test_of_equal_voters_the_one_with_the_lowest_lag_leads():
    cluster = state(member(1), member(2, raft_applied_index=4990), member(3))
    assert "move-leader n1 → n3" in order(proposal(cluster))


def test_with_no_suitable_voter_the_step_stops_before_the_leader_and_says_why():
    latency = (speed("n1"), speed("n2", disk_slow=True), speed("n3", network_slow=True))
    plan = proposal(latency=latency)
    assert order(plan) == ["defragment n2", "defragment n3"]
    held = plan.held[0]
    assert (held.what, held.refused) == ("defragment n1", True)
    assert "n2 has a slow disk; n3 has a slow network" in held.why
    assert held.commands


def test_a_voter_that_still_needs_a_defragmentation_does_not_lead():
    blind = member(2, defrag_count=NO_METRICS)
    assert "move-leader n1 → n3" in order(proposal(state(member(1), blind, member(3))))


def test_the_move_is_approved_by_rule_and_made_to_who_fits_then():
    move = proposal().changes[2]
    assert dict(move.bounds) == {"to": "a voter that needs no further defragmentation"}
    assert (move.object, move.selection["target"], move.before["leader"]) == ("leadership", "2", "1")
    assert "kubernetes#65497" in move.cost.note


def test_leadership_does_not_move_for_a_defragmentation_that_the_guards_refuse():
    no_room = member(1, disk=DiskSpace(free_bytes=1, source="statvfs"))
    for cluster in (state(no_room, member(2), member(3)), state(member(1), member(2), silent(3))):
        move, stall = proposal(cluster).changes[-2:]
        refused = [judge(context(cluster, change=one))[0] for one in (move, stall)]
        assert {one.verdict for one in refused} == {"refuse"}
        assert refused[0].rule == refused[1].rule
        healthy = [judge(context(change=one))[0].verdict for one in (move, stall)]
        assert healthy == ["pass", "pass"]


# What is held back. --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "what"),
    [
        (state(alarms=Unknown("timed out")), "defragment"),
        (state(member_list=Unknown("timed out")), "defragment"),
        (state(member(1), member(2), silent(3, Silence.FROZEN)), "defragment n3"),
        (state(member(1), member(2), member(3, defrag_count=NO_METRICS)), "defragment n3"),
        (state(member(1), member(2), member(3, process_start_seconds=NO_METRICS)), "defragment n3"),
        (state(member(1), member(2), member(3, defrag_inflight=NO_METRICS)), "defragment n3"),
        (state(*(member(number, leader=0) for number in (1, 2, 3))), "defragment n1"),
        (state(member(1), member(2), sized(3, 1700, 1660, quota_bytes=NO_METRICS)), "defragment n3"),
    ],
)
def test_what_cannot_be_known_is_held_and_never_planned(cluster, what):
    plan = proposal(cluster)
    assert (what, False) in [(one.what, one.refused) for one in plan.held]
    assert what not in order(plan)


def test_nothing_is_unknown_of_a_dead_member_there_is_nothing_to_defragment():
    assert not proposal(state(member(1), member(2), silent(3))).held


# What a change carries. ----------------------------------------------------------------------------------


def test_a_change_holds_all_that_observing_compares_with():
    one = proposal(state(member(1), member(2, defrag_count=4), member(3))).changes[0]
    assert (one.object, one.effects) == (url(2), (Effect.STALLS_MEMBER,))
    assert one.before == {
        "defrag_count": 4,
        "defrag_seconds": 0.0,
        "process_start_seconds": 100.0,
        "db_size_bytes": 600 * MIB,
    }
    assert one.commands == ("etcdctl --endpoints=https://n2:2379 --command-timeout=60s defrag",)


@pytest.mark.parametrize(
    ("given", "size_mib", "expected"), [("0s", 600, 60.0), ("0s", 4000, 125.8), ("50ms", 4000, 0.05)]
)
def test_the_deadline_is_thirty_seconds_a_gigabyte_and_a_minute_at_least(given, size_mib, expected):
    plan = proposal(three(size_mib, 10), params=EtcdDefragParams(deadline=Duration.parse(given)))
    assert plan.changes[0].selection["deadline_seconds"] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("past_seconds", "count", "expected"),
    [(0.0, 0, 1.35), (6.0, 2, 3.0), (0.1, 1, 0.52), (UNMEASURED, 1, 1.35)],
)
def test_the_stall_is_predicted_from_live_data_or_learned(past_seconds, count, expected):
    cluster = state(*(member(number, defrag_count=count) for number in (1, 2, 3)))
    one = proposal(cluster, past_seconds=past_seconds).changes[0]
    assert one.cost.stalls["n2"] == pytest.approx(expected, rel=0.01)


def test_known_hazards_of_the_versions_are_noted_when_something_is_due():
    old = state(*(member(number, version="3.5.16") for number in (1, 2, 3)))
    assert any("ends the server" in one.sentence for one in proposal(old).findings)
    idle = state(*(sized(number, 50, 40, version="3.5.16") for number in (1, 2, 3)))
    (told,) = proposal(idle).findings
    assert told.severity is Severity.OK
    assert told.sentence == "no member has enough to give back: n3 the most, 10.0 MiB"


def test_one_that_gave_nothing_back_is_said_and_not_repeated():
    first = proposal().changes[0]
    plan = proposal(earlier=(made(first),))
    assert "defragment n2" not in order(plan)
    assert any("n2 gave nothing back" in one.sentence for one in plan.findings)


@pytest.mark.parametrize(
    ("used", "turn"),
    [
        ((100, 100, 100), "later"),
        ((100, 100, 600), "later"),
        ((100, 600, 600), "next"),
        ((600, 100, 100), "never"),
    ],
)
def test_the_speed_of_members_matters_once_the_leader_is_due(used, turn):
    """The first leads; of 600 MiB, 600 in use leave nothing to give back."""
    cluster = state(*(sized(number, 600, used[number - 1]) for number in (1, 2, 3)))
    assert leaders_turn(facts(cluster).view, RULES) == turn


def test_the_leader_of_a_single_member_never_hands_over():
    assert leaders_turn(facts(state(sized(1, 600, 100))).view, RULES) == "never"
