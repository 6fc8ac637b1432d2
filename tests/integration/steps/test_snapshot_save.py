"""etcd.snapshot-save against a real etcd: verified, private, young enough, few."""

import os
from pathlib import Path

import pytest

from sretool.errors import StateError
from sretool.model import Result
from sretool.step.units import Duration
from sretool.steps.etcd_endpoint_status import EtcdEndpointStatus
from sretool.steps.etcd_snapshot_save import EtcdSnapshotSave, EtcdSnapshotSaveParams
from tests.support.etcd_cluster import running_lab
from tests.support.steps_on_a_lab import StepsOnALab

pytestmark = pytest.mark.real
STEP = EtcdSnapshotSave()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("snapshot")) as lab:
        lab.etcdctl("put", "a", "b")
        yield lab


@pytest.fixture
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


def save(steps, params):
    (change,) = steps.plan(STEP, params).changes
    assert steps.make(STEP, change).result is Result.DONE
    return change, Path(change.selection["path"])


def test_a_snapshot_is_verified_private_and_then_not_due(lab, steps, tmp_path):
    (change,) = steps.plan(STEP).changes
    assert STEP.observe(steps.reader(), change).result is Result.NOT_DONE
    assert change.selection["member"] != steps.look(EtcdEndpointStatus()).leader
    assert steps.make(STEP, change).result is Result.DONE
    path = Path(change.selection["path"])
    assert path.parent == tmp_path / "state" / "sretool" / "snapshots" / lab.name
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert steps.plan(STEP).changes == ()
    assert 0 <= steps.look(STEP).age_seconds < 60


def test_applying_twice_is_harmless(steps, tmp_path):
    change, path = save(steps, EtcdSnapshotSaveParams(directory=str(tmp_path / "s")))
    first = path.stat().st_ino
    assert steps.make(STEP, change).result is Result.DONE
    assert path.stat().st_ino == first


def test_a_damaged_snapshot_is_not_enough(steps, tmp_path):
    params = EtcdSnapshotSaveParams(directory=str(tmp_path / "s"))
    change, path = save(steps, params)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert STEP.observe(steps.reader(), change).result is Result.NOT_DONE
    assert len(steps.plan(STEP, params).changes) == 1


def test_an_old_one_or_another_clusters_is_not_enough(steps, tmp_path):
    params = EtcdSnapshotSaveParams(directory=str(tmp_path / "s"), max_age=Duration(0.001))
    _, path = save(steps, params)
    assert len(steps.plan(STEP, params).changes) == 1
    cluster = path.name.split("-")[1]
    path.rename(path.with_name(path.name.replace(cluster, "abc")))
    assert len(steps.plan(STEP, EtcdSnapshotSaveParams(directory=params.directory)).changes) == 1


def test_older_ones_are_removed_only_beyond_keep_and_only_ours(steps, tmp_path):
    folder = tmp_path / "s"
    params = EtcdSnapshotSaveParams(directory=str(folder), keep=2)
    change, path = save(steps, params)
    time_stamp = path.name.split("-")[2]
    older = [path.with_name(path.name.replace(time_stamp, f"2020010{day}T000000Z")) for day in (1, 2, 3)]
    for one in older:
        os.link(path, one)
    foreign = [folder / "mine.db", folder / older[0].name.replace(path.name.split("-")[1], "abc")]
    for one in foreign:
        one.write_text("x")
    left = path.with_name(path.name + ".part")
    left.write_text("x")
    assert steps.make(STEP, change).result is Result.DONE
    assert set(folder.iterdir()) == {path, older[2], *foreign}


def test_a_folder_that_cannot_be_written_fails_before_anything_else(steps, tmp_path):
    (tmp_path / "file").write_text("x")
    params = EtcdSnapshotSaveParams(directory=str(tmp_path / "file" / "s"))
    with pytest.raises(StateError):
        (change,) = steps.plan(STEP, params).changes
        STEP.apply(steps.writer(), change)
