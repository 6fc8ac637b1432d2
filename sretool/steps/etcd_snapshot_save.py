"""The step etcd.snapshot-save: a verified snapshot on this machine before anything is changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.disks import free_bytes
from sretool.cluster.etcd_reader import EtcdReader
from sretool.cluster.snapshots import is_intact, list_snapshots, prune_snapshots, snapshots_folder
from sretool.errors import RemoteError
from sretool.knowledge.health import lags_of
from sretool.knowledge.metric_names import WAL_FSYNC
from sretool.knowledge.quorum import LAG_NOTICED
from sretool.knowledge.snapshots import FREE_FACTOR, SnapshotSource, choose_source, snapshot_name
from sretool.knowledge.words import show_bytes
from sretool.model import (
    Change,
    Cost,
    Effect,
    Held,
    Known,
    Outcome,
    Proposal,
    Result,
    Risk,
    Unknown,
    known_only,
)
from sretool.step import Duration, Step

SAVE_VERB = "save-snapshot"
_BYTES_PER_SECOND = 50e6  # a snapshot over a slow network; only a prediction


class EtcdSnapshotSaveParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a snapshot is due, and where it goes."""

    max_age: Annotated[
        Duration, msgspec.Meta(description="a verified snapshot of this etcd younger than this is enough")
    ] = Duration.parse("15m")
    keep: Annotated[
        int, msgspec.Meta(ge=1, description="so many snapshots are kept, the new one included")
    ] = 3
    directory: Annotated[
        str, msgspec.Meta(description="where they are kept; empty: $XDG_STATE_HOME/sretool/snapshots/CLUSTER")
    ] = ""


class EtcdSnapshotSaveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there and what could be taken. `fresh_path` is empty when no snapshot is young and intact.

    `in_pod` is etcdctl as a person calls it, where every member that answers is reached inside its pod only.
    """

    fresh_path: str
    age_seconds: Known[float]
    source: SnapshotSource
    path: str
    free_bytes: Known[int]
    in_pod: str = ""


class EtcdSnapshotSave(Step[EtcdSnapshotSaveParams, EtcdSnapshotSaveFacts]):
    """Save a snapshot of etcd to this machine. A precaution: due only when a later step is about to change etcd.

    Reads the snapshots of this cluster id that are already here (the youngest is hashed again), Status and
    fsync times. Takes the snapshot from the follower with the fastest disk, from the leader when it is alone.
    Not due while a verified snapshot younger than `max_age` is here.

    Writes one file (0600) on this machine, never under its final name before the SHA-256 at its end was
    checked, then removes older ones of this cluster beyond `keep`. A snapshot holds every Secret in clear.
    The cluster is only read; the reading ends before any defragmentation, which it would delay.

    Refuses when this machine has less free space than 1.2 times the database, and where etcd is reached by etcdctl
    in its pod only: the file would stay there. When it fails, the run stops
    before its first change.
    """

    uses = "etcd.snapshot-save"
    risk = Risk.READ
    precaution = True
    reads_by_hand = ("etcdctl --endpoints={endpoints} endpoint status -w table",)

    def look(self, read: ClusterReader, params: EtcdSnapshotSaveParams) -> EtcdSnapshotSaveFacts:
        folder = Path(params.directory) if params.directory else snapshots_folder(read.name)
        etcd = read.etcd
        statuses = tuple(known_only(etcd.status()).values())
        sources = _sources(etcd)
        fetchable = [one for one in sources if etcd.member(one.name).pod is None]
        source = choose_source(fetchable or sources, lag_allowed=LAG_NOTICED)
        if source is None:
            raise RemoteError(f"no etcd member of {read.name} answers that a snapshot could be taken from")
        cluster_id, now = statuses[0].cluster_id, etcd.utc_now()
        saved = list_snapshots(folder, cluster_id)
        ages = {one.path: (now - one.at).total_seconds() for one in saved}
        fresh = next(
            (one for one in saved if 0 <= ages[one.path] < params.max_age and is_intact(Path(one.path))), None
        )
        name = snapshot_name(cluster_id=cluster_id, member=source.name, revision=source.revision, at=now)
        return EtcdSnapshotSaveFacts(
            fresh_path=fresh.path if fresh else "",
            age_seconds=ages[fresh.path] if fresh else Unknown("there is no young and intact snapshot"),
            source=source,
            path=str((folder / name).absolute()),
            free_bytes=free_bytes(folder),
            in_pod=pod.by_hand if (pod := etcd.member(source.name).pod) else "",
        )

    def plan(
        self, params: EtcdSnapshotSaveParams, facts: EtcdSnapshotSaveFacts, earlier: Sequence[Change]
    ) -> Proposal:
        if facts.fresh_path:
            return Proposal()
        if facts.in_pod:
            return Proposal(held=(_in_pod_only(facts),))
        change = _change(params, facts)
        needed = int(facts.source.size_bytes * FREE_FACTOR)
        if isinstance(facts.free_bytes, Unknown):
            return Proposal(
                held=(
                    Held(
                        what="save a snapshot",
                        why=facts.free_bytes.reason,
                        refused=False,
                        commands=change.commands,
                    ),
                )
            )
        if facts.free_bytes < needed:
            why = (
                f"{Path(facts.path).parent} has {show_bytes(facts.free_bytes)} free; the database of "
                f"{facts.source.name} needs {show_bytes(needed)} ({FREE_FACTOR:g} times its size)"
            )
            return Proposal(
                held=(Held(what="save a snapshot", why=why, refused=True, commands=change.commands),)
            )
        return Proposal(waves=((change,),))

    def apply(self, write: ClusterWriter, change: Change) -> None:
        path = Path(change.selection["path"])
        if not is_intact(path):
            write.etcd.save_snapshot(
                change.selection["member"], path, timeout_seconds=change.selection["timeout_seconds"]
            )
        prune_snapshots(path, keep=change.selection["keep"])

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        path = Path(change.selection["path"])
        if is_intact(path):
            size = path.stat().st_size
            return Outcome(
                result=Result.DONE,
                evidence=f"{path} has {size} bytes and its SHA-256 matches; it holds every Secret in clear (0600)",
                measured={"path": str(path), "size_bytes": size},
            )
        there = "is damaged" if path.exists() else "is not there"
        return Outcome(result=Result.NOT_DONE, evidence=f"{path} {there}")


def _in_pod_only(facts: EtcdSnapshotSaveFacts) -> Held:
    name = Path(facts.path).name
    return Held(
        what="save a snapshot",
        why="etcd is reached by etcdctl in its pod only, which would save it there, on etcd's own disk",
        refused=True,
        commands=(
            f"{facts.in_pod} snapshot save /var/lib/etcd/{name}  # where the disk has room for it",
            f"copy it from that node to {facts.path}: a verified snapshot there is enough",
        ),
    )


def _sources(etcd: EtcdReader) -> list[SnapshotSource]:
    statuses = known_only(etcd.status())
    lags, pages = lags_of(statuses), etcd.metrics()
    found = []
    for name, status in statuses.items():
        page = pages[name]
        histogram = page if isinstance(page, Unknown) else page.histogram(WAL_FSYNC)
        found.append(
            SnapshotSource(
                name=name,
                endpoint=etcd.member(name).client,
                is_leader=status.is_leader,
                is_learner=status.is_learner,
                lag=lags.get(name, 0),
                size_bytes=status.db_size_bytes,
                revision=status.revision,
                fsync_seconds=histogram if isinstance(histogram, Unknown) else histogram.mean,
            )
        )
    return found


def _change(params: EtcdSnapshotSaveParams, facts: EtcdSnapshotSaveFacts) -> Change:
    source = facts.source
    seconds = source.size_bytes / _BYTES_PER_SECOND
    return Change(
        step=EtcdSnapshotSave.uses,
        uses=EtcdSnapshotSave.uses,
        verb=SAVE_VERB,
        object="cluster",
        label=f"of {source.name}",
        reason=f"no verified snapshot younger than {params.max_age:.0f} s is on this machine",
        risk=Risk.READ,
        effects=(Effect.SAVES_LOCALLY,),
        selection={
            "member": source.name,
            "path": facts.path,
            "keep": params.keep,
            "timeout_seconds": max(60.0, 10 * seconds),
        },
        before={"path": facts.path, "exists": False},
        after={"path": facts.path, "exists": True},
        cost=Cost(
            seconds=seconds,
            note=f"{show_bytes(source.size_bytes)} to {facts.path}; every Secret in clear, 0600",
        ),
        commands=(
            f"etcdctl --endpoints={source.endpoint} snapshot save {facts.path}",
            f"etcdutl snapshot status {facts.path}",
        ),
    )
