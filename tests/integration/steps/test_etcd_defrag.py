"""etcd.defrag and its guards against real members."""

import pytest
from msgspec.structs import replace

from sretool.errors import NoAnswerError
from sretool.lab import LabSpec, processes
from sretool.lab.faults.catalogue import raise_fault, undo_fault
from sretool.lab.faults.options import FaultOptions
from sretool.model import Effect, Result
from sretool.step import Duration, Quantity
from sretool.steps.etcd_compact import EtcdCompact, EtcdCompactParams
from sretool.steps.etcd_defrag import EtcdDefrag, EtcdDefragParams
from tests.support.corrupting_etcd import corrupting_etcd
from tests.support.etcd_cluster import hermetic_home, running_lab
from tests.support.steps_on_a_lab import StepDriver, StepsOnALab

pytestmark = [pytest.mark.real, pytest.mark.faults]

MIB = 1 << 20
PARAMS = EtcdDefragParams(reclaim_floor=Quantity.parse("32Mi"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("defrag"), LabSpec(name="defrag")) as lab:
        yield lab


@pytest.fixture
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


def fragment(lab, size_mib):
    """Leave free pages on every member, and wait until each of them says so: a compaction is over for the
    member that was asked, and what is in use is told anew with the next write."""
    raise_fault(lab, "fragment", "m1", FaultOptions(size_bytes=size_mib * MIB))

    def is_told():
        assert lab.etcdctl("put", "/write", "now").returncode == 0
        return all(
            (one.db_size_bytes or 0) - (one.db_in_use_bytes or 0) > 0.9 * size_mib * MIB
            for one in lab.status()
        )

    assert processes.wait_until(is_told, seconds=10.0)


def put_live(lab, keys, size_kib=1000):
    for number in range(keys):
        put = lab.etcdctl("put", f"/live/{number}", stdin="x" * (size_kib << 10))
        assert put.returncode == 0, put.stderr


def counts(steps):
    return {one.name: one.defrag_count for one in steps.state().members}


def test_every_member_is_defragmented_once_and_the_old_leader_last(lab, steps):
    fragment(lab, 48)
    driver = StepDriver(steps, EtcdDefrag(), PARAMS)
    old_leader, before = steps.leader(), counts(steps)

    outcomes = driver.carry_out()

    made = [(change.verb, change.label) for change, _ in outcomes]
    followers = sorted({"m1", "m2", "m3"} - {old_leader})
    assert sorted(made[:2]) == [("defragment", name) for name in followers]
    assert made[2][0] == "move-leader"
    assert made[3:] == [("defragment", old_leader)]
    assert steps.leader() in followers
    assert counts(steps) == {name: count + 1 for name, count in before.items()}
    for change, outcome in outcomes:
        if change.verb == "defragment":
            assert outcome.measured["reclaimed_bytes"] > 40 * MIB
    again = StepDriver(steps, EtcdDefrag(), PARAMS).plan()
    assert (again.waves, again.held) == ((), ())


def test_one_not_answered_in_time_is_waited_for_before_the_next_and_made_once(lab, steps):
    put_live(lab, 40)
    fragment(lab, 48)
    params = EtcdDefragParams(reclaim_floor=Quantity.parse("32Mi"), deadline=Duration.parse("50ms"))
    driver = StepDriver(steps, EtcdDefrag(), params)
    before = counts(steps)
    first, second, *_ = driver.plan().changes
    driver.wait_for_guards(first)

    error = driver.apply(first)
    at_once = driver.observe(first)
    driver.wait_for_guards(second)
    afterwards = driver.observe(first)

    assert isinstance(error, NoAnswerError)
    assert at_once.result is Result.STILL_GOING
    assert afterwards.result is Result.DONE, "the guards let the next one pass while this one was running"
    assert counts(steps) == before | {first.label: before[first.label] + 1}
    assert first.label not in [one.label for one in driver.plan().changes if one.verb == "defragment"]


def test_with_a_frozen_member_nothing_is_stalled_and_what_helps_is_allowed(lab, steps):
    fragment(lab, 48)
    driver = StepDriver(steps, EtcdDefrag(), PARAMS)
    stall, second, *_ = driver.plan().changes
    helps = replace(stall, effects=(Effect.COMPACTS,))
    driver.wait_for_guards(stall)
    raise_fault(lab, "freeze", second.label)
    try:
        refused = driver.judge(stall)[0]
        accepted = driver.judge(stall, unattended=False, accepted=("margin",))[0]
        helped = driver.judge(helps)[0]
    finally:
        undo_fault(lab, "freeze", second.label)
    assert (refused.verdict, refused.rule, refused.accept) == ("refuse", "quorum", "margin")
    assert second.label in refused.reason
    assert (accepted.verdict, helped.verdict) == ("pass", "pass")
    driver.wait_for_guards(stall)


@pytest.mark.parametrize("version", ["3.5", "3.7"])
def test_a_single_member_is_defragmented_in_place_with_a_person(tmp_path, version):
    with (
        running_lab(tmp_path, LabSpec(name="single", members=1, version=version)) as lab,
        StepsOnALab(lab) as steps,
    ):
        fragment(lab, 48)
        driver = StepDriver(steps, EtcdDefrag(), PARAMS)
        ((change,),) = driver.plan().waves
        unattended = driver.judge(change)[0]
        assert (unattended.verdict, unattended.rule) == ("refuse", "quorum")
        assert driver.judge(change, unattended=False)[0].verdict == "pass"
        assert driver.apply(change) is None
        outcome = steps.settled(driver.step, change)
        assert outcome.result is Result.DONE
        assert outcome.measured["reclaimed_bytes"] > 40 * MIB


def test_under_nospace_every_member_is_due_after_the_compaction_and_none_a_second_time(tmp_path):
    with (
        running_lab(tmp_path, LabSpec(name="nospace", quota_bytes=48 * MIB)) as lab,
        StepsOnALab(lab) as steps,
    ):
        raise_fault(lab, "fill", "m1")
        compaction = StepDriver(steps, EtcdCompact(), EtcdCompactParams())
        compaction.carry_out()
        driver = StepDriver(steps, EtcdDefrag(), EtcdDefragParams(), earlier=compaction.made)

        outcomes = driver.carry_out()

        assert sorted(change.label for change, _ in outcomes if change.verb == "defragment") == [
            "m1",
            "m2",
            "m3",
        ]
        assert all(one.db_size_bytes < 12 * MIB for one in steps.reader().etcd.status().values())
        assert "NOSPACE" in lab.etcdctl("alarm", "list").stdout
        assert StepDriver(steps, EtcdDefrag(), EtcdDefragParams()).plan().waves == ()


def test_a_version_that_corrupts_is_not_changed_and_the_reason_is_given(tmp_path):
    etcd = corrupting_etcd(hermetic_home(tmp_path).cache)
    with running_lab(tmp_path, LabSpec(name="corrupting", etcd=etcd)) as lab, StepsOnALab(lab) as steps:
        fragment(lab, 48)
        driver = StepDriver(steps, EtcdDefrag(), PARAMS)
        stall = driver.plan().changes[0]
        for effect in (Effect.STALLS_MEMBER, Effect.MOVES_LEADERSHIP, Effect.COMPACTS, Effect.DISARMS):
            worst = driver.judge(replace(stall, effects=(effect,)), unattended=False, accepted=("margin",))[0]
            assert (worst.verdict, worst.rule, worst.accept) == ("refuse", "version-hazard", "")
            assert "3.5.1" in worst.reason
            assert "etcd#13766" in worst.reason
        assert driver.judge(replace(stall, effects=(Effect.SAVES_LOCALLY,)))[0].verdict == "pass"
