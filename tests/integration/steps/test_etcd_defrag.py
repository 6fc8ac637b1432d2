"""etcd.defrag and its guards against real members."""

import pytest
from msgspec.structs import replace

from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.cluster.state import read_etcd_state
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
from tests.support.step_driver import CLOCK, StepDriver

pytestmark = [pytest.mark.real, pytest.mark.faults]

MIB = 1 << 20
PARAMS = EtcdDefragParams(reclaim_floor=Quantity.parse("32Mi"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("defrag"), LabSpec(name="defrag")) as lab:
        yield lab


@pytest.fixture
def cluster(lab):
    with opened(lab) as cluster:
        yield cluster


def opened(lab):
    return Cluster(parse_cluster(lab.cluster_file.read_text(), origin=lab.name), CLOCK)


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


def counts(driver):
    return {one.name: one.defrag_count for one in read_etcd_state(driver.reader()).members}


def leader_of(driver):
    return next(name for name, status in driver.reader().etcd.status().items() if status.is_leader)


def test_every_member_is_defragmented_once_and_the_old_leader_last(lab, cluster):
    fragment(lab, 48)
    driver = StepDriver(cluster, EtcdDefrag(), PARAMS)
    old_leader, before = leader_of(driver), counts(driver)

    outcomes = driver.carry_out()

    made = [(change.verb, change.label) for change, _ in outcomes]
    followers = sorted({"m1", "m2", "m3"} - {old_leader})
    assert sorted(made[:2]) == [("defragment", name) for name in followers]
    assert made[2][0] == "move-leader"
    assert made[3:] == [("defragment", old_leader)]
    assert leader_of(driver) in followers
    assert counts(driver) == {name: count + 1 for name, count in before.items()}
    for change, outcome in outcomes:
        if change.verb == "defragment":
            assert outcome.measured["reclaimed_bytes"] > 40 * MIB
    again = StepDriver(cluster, EtcdDefrag(), PARAMS).plan()
    assert (again.waves, again.held) == ((), ())


def test_one_not_answered_in_time_is_waited_for_before_the_next_and_made_once(lab, cluster):
    put_live(lab, 40)
    fragment(lab, 48)
    params = EtcdDefragParams(reclaim_floor=Quantity.parse("32Mi"), deadline=Duration.parse("50ms"))
    driver = StepDriver(cluster, EtcdDefrag(), params)
    before = counts(driver)
    first, second, *_ = driver.plan().changes
    driver.wait_for_guards(first, CLOCK.monotonic() + 30)

    error = driver.apply(first)
    at_once = driver.observe(first)
    driver.wait_for_guards(second, CLOCK.monotonic() + 30)
    afterwards = driver.observe(first)

    assert isinstance(error, NoAnswerError)
    assert at_once.result is Result.STILL_GOING
    assert afterwards.result is Result.DONE, "the guards let the next one pass while this one was running"
    assert counts(driver) == before | {first.label: before[first.label] + 1}
    assert first.label not in [one.label for one in driver.plan().changes if one.verb == "defragment"]


def test_with_a_frozen_member_nothing_is_stalled_and_what_helps_is_allowed(lab, cluster):
    fragment(lab, 48)
    driver = StepDriver(cluster, EtcdDefrag(), PARAMS)
    stall, second, *_ = driver.plan().changes
    helps = replace(stall, effects=(Effect.COMPACTS,))
    driver.wait_for_guards(stall, CLOCK.monotonic() + 30)
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
    driver.wait_for_guards(stall, CLOCK.monotonic() + 30)


@pytest.mark.parametrize("version", ["3.5", "3.7"])
def test_a_single_member_is_defragmented_in_place_with_a_person(tmp_path, version):
    with running_lab(tmp_path, LabSpec(name="single", members=1, version=version)) as lab, opened(lab) as one:
        fragment(lab, 48)
        driver = StepDriver(one, EtcdDefrag(), PARAMS)
        ((change,),) = driver.plan().waves
        unattended = driver.judge(change)[0]
        assert (unattended.verdict, unattended.rule) == ("refuse", "quorum")
        assert driver.judge(change, unattended=False)[0].verdict == "pass"
        assert driver.apply(change) is None
        _, outcome = driver.observe_to_the_end(change)
        assert outcome.result is Result.DONE
        assert outcome.measured["reclaimed_bytes"] > 40 * MIB


def test_under_nospace_every_member_is_due_after_the_compaction_and_none_a_second_time(tmp_path):
    with running_lab(tmp_path, LabSpec(name="nospace", quota_bytes=48 * MIB)) as lab, opened(lab) as cluster:
        raise_fault(lab, "fill", "m1")
        compaction = StepDriver(cluster, EtcdCompact(), EtcdCompactParams())
        compaction.carry_out()
        driver = StepDriver(cluster, EtcdDefrag(), EtcdDefragParams(), earlier=compaction.made)

        outcomes = driver.carry_out()

        assert sorted(change.label for change, _ in outcomes if change.verb == "defragment") == [
            "m1",
            "m2",
            "m3",
        ]
        assert all(one.db_size_bytes < 12 * MIB for one in driver.reader().etcd.status().values())
        assert "NOSPACE" in lab.etcdctl("alarm", "list").stdout
        assert StepDriver(cluster, EtcdDefrag(), EtcdDefragParams()).plan().waves == ()


def test_a_version_that_corrupts_is_not_changed_and_the_reason_is_given(tmp_path):
    etcd = corrupting_etcd(hermetic_home(tmp_path).cache)
    with running_lab(tmp_path, LabSpec(name="corrupting", etcd=etcd)) as lab, opened(lab) as cluster:
        fragment(lab, 48)
        driver = StepDriver(cluster, EtcdDefrag(), PARAMS)
        stall = driver.plan().changes[0]
        for effect in (Effect.STALLS_MEMBER, Effect.MOVES_LEADERSHIP, Effect.COMPACTS, Effect.DISARMS):
            worst = driver.judge(replace(stall, effects=(effect,)), unattended=False, accepted=("margin",))[0]
            assert (worst.verdict, worst.rule, worst.accept) == ("refuse", "version-hazard", "")
            assert "3.5.1" in worst.reason
            assert "etcd#13766" in worst.reason
        assert driver.judge(replace(stall, effects=(Effect.SAVES_LOCALLY,)))[0].verdict == "pass"
