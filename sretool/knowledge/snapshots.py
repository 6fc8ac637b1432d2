"""Snapshots: which member to take one from, how its file is named, and when one is young enough."""

import datetime
import re
from collections.abc import Sequence

import msgspec

from sretool.model import Known, Unknown

FREE_FACTOR = 1.2
"""Free space on this machine, as a multiple of the database file, before a snapshot is begun."""

_NAME = re.compile(
    r"etcd-(?P<cluster>[0-9a-f]{1,16})-(?P<at>\d{8}T\d{6}Z)-r(?P<revision>\d+)-(?P<member>.+)\.db"
)
_TIME = "%Y%m%dT%H%M%SZ"


class SavedSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot file of ours, as its name tells; `revision` is the member's when the saving began."""

    path: str
    cluster_id: str
    member: str
    revision: int
    at: datetime.datetime


class SnapshotSource(msgspec.Struct, frozen=True, kw_only=True):
    """A member that a snapshot could be taken from. `fsync_seconds` is its mean since it started."""

    name: str
    endpoint: str
    is_leader: bool
    is_learner: bool
    lag: int
    size_bytes: int
    revision: int
    fsync_seconds: Known[float]


def snapshot_name(*, cluster_id: int, member: str, revision: int, at: datetime.datetime) -> str:
    """Return the file name of a snapshot begun at `at` (aware)."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", member)
    return f"etcd-{cluster_id:x}-{at.astimezone(datetime.UTC):{_TIME}}-r{revision}-{safe}.db"


def parse_snapshot_name(name: str, *, path: str) -> SavedSnapshot | None:
    """Return what the file name tells, None when it is not one of ours."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    try:
        at = datetime.datetime.strptime(match["at"], _TIME).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    return SavedSnapshot(
        path=path, cluster_id=match["cluster"], member=match["member"], revision=int(match["revision"]), at=at
    )


def choose_source(members: Sequence[SnapshotSource], *, lag_allowed: int) -> SnapshotSource | None:
    """Return the follower with the fastest disk that is not behind; the leader when there is no such follower.

    Reading the whole file costs the member's disk and CPU; the leader is spared.
    """
    voters = [member for member in members if not member.is_learner]
    followers = [member for member in voters if not member.is_leader and member.lag <= lag_allowed]
    leaders = [member for member in voters if member.is_leader]
    return min(followers or leaders or voters, key=_fastest, default=None)


def _fastest(member: SnapshotSource) -> tuple[float, str]:
    fsync = member.fsync_seconds
    return (float("inf") if isinstance(fsync, Unknown) else fsync, member.name)
