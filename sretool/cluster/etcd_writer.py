"""etcd, written: each method is one effect. Only the executor of an approved plan holds a writer."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from sretool.clients.etcd import Delete, Unwritten
from sretool.clock import Deadline
from sretool.cluster.etcd_questions import PROBE_KEY
from sretool.cluster.snapshots import save_snapshot
from sretool.errors import RemoteError
from sretool.knowledge.stored_events import StoredPage
from sretool.model import Alarm

if TYPE_CHECKING:
    from sretool.cluster.connections import EtcdConnections

WRITE_SECONDS = 5.0
PROBE_SECONDS = 2.0
_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.004


class EtcdWriter:
    """Every write that a step may make on etcd. Nothing here retries: an unclear answer is observed.

    Raises RemoteError: `NoAnswerError` means the write may have happened, every other kind that it did not.
    """

    def __init__(self, connections: "EtcdConnections", *, deadline: Deadline) -> None:
        self._connections = connections
        self._deadline = deadline

    def compact(self, revision: int, *, through: str, timeout_seconds: float) -> None:
        """Discard history before `revision`, physically on the member `through` before it answers.

        The other members work on it in their own time: their metrics say when they are done.
        """
        self._connections.writes(through).compact(
            revision, physical=True, timeout_seconds=self._deadline.cap(timeout_seconds)
        )

    def defragment(self, name: str, *, timeout_seconds: float) -> None:
        """Rewrite `name`'s database file. The member goes on after a timeout: NoAnswerError is no failure."""
        self._connections.writes(name).defragment(timeout_seconds=self._deadline.cap(timeout_seconds))

    def move_leader(self, target_id: int, *, leader: str) -> None:
        """Move leadership to the voter `target_id`; only the member `leader` can be asked.

        Returns with etcd's answer, or as soon as every member names the target: etcd itself looks whether it has
        happened once a tick, every 100 ms.
        """
        move = self._connections.writes(leader).move_leader
        asked = self._connections.pool.submit(
            move, target_id, timeout_seconds=self._deadline.cap(WRITE_SECONDS)
        )
        if not self._is_followed(target_id, asked):
            asked.result()

    def disarm(self, alarm: Alarm, *, through: str) -> None:
        """Disarm exactly this (member, type)."""
        self._connections.writes(through).disarm(
            alarm.member_id, alarm.type, timeout_seconds=self._deadline.cap(WRITE_SECONDS)
        )

    def prove_write(self, key: bytes, *, through: str) -> None:
        """Write a throw-away key and delete it again. Never on an etcd that Kubernetes uses."""
        writes = self._connections.writes(through)
        writes.put(key, b"sretool", timeout_seconds=self._deadline.cap(WRITE_SECONDS))
        writes.delete_range(key, timeout_seconds=self._deadline.cap(WRITE_SECONDS))

    def stored_events(self, start: bytes, end: bytes, *, root: bytes, limit: int, through: str) -> StoredPage:
        """Return a page of events as they are now, for their export: what is about to be deleted."""
        return self._connections.stored_events(through).page(
            start,
            end,
            root=root,
            limit=limit,
            linearizable=True,
            timeout_seconds=self._deadline.cap(WRITE_SECONDS),
        )

    def delete_unchanged(
        self, runs: Sequence[tuple[bytes, bytes]], *, revision: int, through: str
    ) -> int | None:
        """Delete in one transaction every key of `runs`, from its first to its last, if none of them was written
        after `revision`, at which they were read; else nothing.

        At most 128 runs. Return how many were deleted, None when one of them was written again.
        """
        result = self._connections.writes(through).txn(
            [Unwritten(key=first, last=last, revision=revision) for first, last in runs],
            [Delete(key=first, range_end=last + b"\0") for first, last in runs],
            timeout_seconds=self._deadline.cap(WRITE_SECONDS),
        )
        return result.deleted if result.succeeded else None

    def read_one_key(self, *, through: str) -> None:
        """Read one small key through consensus, as other clients do: for what our writes cost them."""
        self._connections.reads(through).range_page(
            PROBE_KEY, limit=1, timeout_seconds=self._deadline.cap(PROBE_SECONDS)
        )

    def save_snapshot(self, name: str, path: Path, *, timeout_seconds: float) -> None:
        """Save a snapshot of `name` to the local file `path` (0600), its hash checked; see `save_snapshot`."""
        reads = self._connections.reads(name)
        seconds = self._deadline.cap(timeout_seconds)
        with reads.snapshot_chunks(timeout_seconds=seconds) as chunks:  # its end closes the server's read too
            save_snapshot(chunks, path, member=name)

    def _is_followed(self, leader_id: int, asked: Future[None]) -> bool:
        """Return True once every member says that this one leads; False when `asked` is answered before that, or
        where looking takes longer than waiting for it."""
        if self._connections.patience > 1:
            return False

        def leader_of(name: str) -> int:
            return self._connections.reads(name).status(timeout_seconds=_TICK_SECONDS).leader

        try:
            while not wait([asked], timeout=_LOOK_SECONDS).done:
                if set(self._connections.pool.map(leader_of, self._connections.names)) == {leader_id}:
                    return True
        except RemoteError:
            pass
        return False
