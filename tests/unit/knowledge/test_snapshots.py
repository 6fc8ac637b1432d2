"""Which member a snapshot comes from, and what its file name tells."""

import datetime

import pytest

from sretool.knowledge.snapshots import SnapshotSource, choose_source, parse_snapshot_name, snapshot_name
from sretool.model import Unknown

AT = datetime.datetime(2026, 11, 21, 9, 5, 7, tzinfo=datetime.UTC)


def source(name, *, leader=False, learner=False, lag=0, fsync=0.001):
    return SnapshotSource(
        name=name,
        endpoint=f"https://{name}:2379",
        is_leader=leader,
        is_learner=learner,
        lag=lag,
        size_bytes=1,
        revision=7,
        fsync_seconds=fsync,
    )


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        ([source("a", leader=True, fsync=0.0001), source("b", fsync=0.009), source("c", fsync=0.002)], "c"),
        ([source("a", leader=True), source("b", fsync=Unknown("?")), source("c", fsync=0.5)], "c"),
        ([source("a", leader=True)], "a"),
        ([source("a", leader=True), source("b", lag=101)], "a"),
        ([source("a", leader=True), source("b", learner=True)], "a"),
        ([source("a"), source("b", lag=500)], "a"),
        ([], None),
    ],
)
def test_the_follower_with_the_fastest_disk_is_read(members, chosen):
    found = choose_source(members, lag_allowed=100)
    assert (found.name if found else None) == chosen


@pytest.mark.parametrize("member", ["etcd-1", "a-r5-b.db", "odd/name with space"])
def test_a_file_name_tells_cluster_time_revision_and_member(member):
    name = snapshot_name(cluster_id=0xABC, member=member, revision=12, at=AT)
    assert "/" not in name and " " not in name
    saved = parse_snapshot_name(name, path="/x/" + name)
    assert (saved.cluster_id, saved.revision, saved.at) == ("abc", 12, AT)


@pytest.mark.parametrize(
    "name", ["etcd.db", "etcd-abc-20261399T000000Z-r1-a.db", "etcd-abc-20261121T090507Z-r1-a.db.part"]
)
def test_other_files_are_not_ours(name):
    assert parse_snapshot_name(name, path=name) is None
