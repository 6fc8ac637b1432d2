"""When etcd.snapshot-save is due, and what it refuses."""

import pytest

from sretool.knowledge.snapshots import SnapshotSource
from sretool.model import Effect, Risk, Unknown
from sretool.steps.etcd_snapshot_save import EtcdSnapshotSave, EtcdSnapshotSaveFacts, EtcdSnapshotSaveParams

GIB = 1 << 30
STEP, PARAMS = EtcdSnapshotSave(), EtcdSnapshotSaveParams()


def facts(**changed):
    source = SnapshotSource(
        name="m2",
        endpoint="https://m2:2379",
        is_leader=False,
        is_learner=False,
        lag=0,
        size_bytes=GIB,
        revision=5,
        fsync_seconds=0.001,
    )
    usual = {
        "fresh_path": "",
        "age_seconds": Unknown("none"),
        "source": source,
        "path": "/s/x.db",
        "free_bytes": 2 * GIB,
    }
    return EtcdSnapshotSaveFacts(**(usual | changed))


def test_it_is_a_precaution_that_only_writes_here():
    (change,) = STEP.plan(PARAMS, facts(), ()).changes
    assert STEP.precaution
    assert (change.risk, change.effects, change.selection["member"]) == (
        Risk.READ,
        (Effect.SAVES_LOCALLY,),
        "m2",
    )
    assert change.commands[0] == "etcdctl --endpoints=https://m2:2379 snapshot save /s/x.db"


def test_a_young_one_is_enough():
    assert STEP.plan(PARAMS, facts(fresh_path="/s/y.db", age_seconds=5.0), ()).changes == ()


@pytest.mark.parametrize(
    ("free", "refused"), [(GIB, True), (int(1.2 * GIB) - 1, True), (Unknown("?"), False)]
)
def test_too_little_or_unknown_space_holds_it(free, refused):
    proposal = STEP.plan(PARAMS, facts(free_bytes=free), ())
    assert proposal.waves == ()
    assert [held.refused for held in proposal.held] == [refused]


def test_a_snapshot_that_would_stay_in_a_pod_is_refused_with_what_to_type():
    (held,) = STEP.plan(PARAMS, facts(in_pod="kubectl exec etcd-a -- etcdctl"), ()).held
    assert held.refused
    assert held.commands[0].startswith("kubectl exec etcd-a -- etcdctl snapshot save /var/lib/etcd/x.db")
    assert "to /s/x.db" in held.commands[1]


def test_a_young_one_is_enough_in_a_pod_too():
    given = facts(fresh_path="/s/y.db", age_seconds=5.0, in_pod="kubectl exec etcd-a -- etcdctl")
    assert STEP.plan(PARAMS, given, ()).held == ()
