"""Everything sretool reads from one etcd member. There is no method here that writes."""

import time
from typing import Any

from sretool.clients.etcd.gates import ReadGate, SendsRequests
from sretool.clients.etcd.rpcs import ALARM, ALARM_GET, MEMBER_LIST, RANGE, SNAPSHOT, STATUS, WATCH
from sretool.clients.etcd.snapshot import SnapshotStream
from sretool.errors import CompactedError, NoAnswerError
from sretool.model import (
    Alarm,
    AlarmType,
    EndpointStatus,
    KeyPage,
    KeyValue,
    Member,
    MemberId,
    MemberList,
)

_ALARM_TYPES = {1: AlarmType.NOSPACE, 2: AlarmType.CORRUPT}


def prefix_end(prefix: bytes) -> bytes:
    """Return the `range_end` that selects every key beginning with `prefix`; all keys for an empty one."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"


class EtcdReads:
    """The reading calls to one member, each with its deadline in seconds. Safe to share between threads.

    Every method raises UnreachableError (TlsError), NoAnswerError or RejectedError, naming the endpoint.
    """

    def __init__(self, connection: SendsRequests) -> None:
        self._gate = ReadGate(connection)

    @property
    def endpoint(self) -> str:
        """How messages name this member."""
        return self._gate.endpoint

    def status(self, *, timeout_seconds: float) -> EndpointStatus:
        """Return what the member says of itself. Needs no quorum; blocks while that member defragments."""
        answer = self._gate.unary(STATUS, {}, timeout_seconds=timeout_seconds)
        return EndpointStatus(
            cluster_id=answer.header.cluster_id,
            member_id=MemberId(answer.header.member_id),
            revision=answer.header.revision,
            raft_term=answer.raftTerm,
            version=answer.version,
            db_size_bytes=answer.dbSize,
            db_size_in_use_bytes=answer.dbSizeInUse,
            leader=MemberId(answer.leader),
            raft_index=answer.raftIndex,
            raft_applied_index=answer.raftAppliedIndex,
            is_learner=answer.isLearner,
            errors=tuple(answer.errors),
            storage_version=answer.storageVersion,
            quota_bytes=answer.dbSizeQuota,
        )

    def member_list(self, *, linearizable: bool, timeout_seconds: float) -> MemberList:
        """Return the members. Not linearizable: from this member alone, so it may be stale, without quorum.

        etcd 3.4 does not know the flag and always answers from this member alone.
        """
        answer = self._gate.unary(
            MEMBER_LIST, {"linearizable": linearizable}, timeout_seconds=timeout_seconds
        )
        members = tuple(
            Member(
                id=MemberId(member.ID),
                name=member.name,
                peer_urls=tuple(member.peerURLs),
                client_urls=tuple(member.clientURLs),
                is_learner=member.isLearner,
            )
            for member in answer.members
        )
        return MemberList(members=members, stale=not linearizable)

    def alarms(self, *, timeout_seconds: float) -> tuple[Alarm, ...]:
        """Return the raised alarms, sorted. Costs a raft proposal and needs quorum: ask once a look."""
        answer = self._gate.unary(ALARM, {"action": ALARM_GET}, timeout_seconds=timeout_seconds)
        return alarms_of(answer)

    def range_page(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        limit: int,
        timeout_seconds: float,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
        serializable: bool = False,
    ) -> KeyPage:
        """Return at most `limit` keys (0: all) from `key` up to `range_end` at `revision` (0: the newest).

        The page's `revision` is the one it was read at: pass it on to read the next page of the same state.
        CompactedError when that revision is gone. Serializable reads need no quorum and may be stale.
        """
        fields = {
            "key": key,
            "range_end": range_end,
            "limit": limit,
            "revision": revision,
            "keys_only": keys_only,
            "count_only": count_only,
            "serializable": serializable,
        }
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        return KeyPage(
            keys=tuple(_key_value(kv) for kv in answer.kvs),
            more=answer.more,
            count=answer.count,
            revision=revision or answer.header.revision,
        )

    def key_names(
        self, key: bytes, range_end: bytes, *, limit: int, timeout_seconds: float, revision: int = 0
    ) -> tuple[list[bytes], bool, int]:
        """Return at most `limit` key names as `range_page` does, whether there are more, and the revision.

        Serializable, and no value of ours is built for each key: half the time of a page of KeyValues.
        """
        fields = {
            "key": key,
            "range_end": range_end,
            "limit": limit,
            "revision": revision,
            "keys_only": True,
            "serializable": True,
        }
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        return [kv.key for kv in answer.kvs], answer.more, revision or answer.header.revision

    def count(self, prefix: bytes, *, timeout_seconds: float, serializable: bool = False) -> tuple[int, int]:
        """Return how many keys begin with `prefix`, and the revision at which they were counted."""
        page = self.range_page(
            prefix or b"\0",
            prefix_end(prefix),
            limit=0,
            timeout_seconds=timeout_seconds,
            count_only=True,
            serializable=serializable,
        )
        return page.count, page.revision

    def snapshot_chunks(self, *, timeout_seconds: float, stall_seconds: float = 30.0) -> SnapshotStream:
        """Return the database file as a stream of chunks, the last 32 bytes being its SHA-256.

        NoAnswerError when no chunk comes for `stall_seconds`, or the whole takes over `timeout_seconds`.
        """
        answers = self._gate.stream(SNAPSHOT, {}, timeout_seconds=timeout_seconds)
        return SnapshotStream(answers, endpoint=self.endpoint, stall_seconds=stall_seconds)

    def compact_revision_by_watch(self, *, timeout_seconds: float) -> int | None:
        """Return the revision up to which this member has compacted, None when it never has.

        Status does not tell it. A watch from revision 1 is cancelled with an answer that does. On history
        that was never compacted etcd would read all of it for such a watch, so a read of one missing key
        at revision 1 goes first: it fails exactly when the watch is cheap.
        """
        ends = time.monotonic() + timeout_seconds
        try:
            self.range_page(b"\0", limit=1, revision=1, serializable=True, timeout_seconds=timeout_seconds)
        except CompactedError:
            return self._cancelled_watch(max(0.001, ends - time.monotonic()))
        return None

    def _cancelled_watch(self, timeout_seconds: float) -> int:
        create = {"create_request": {"key": b"\0", "start_revision": 1}}
        answers = self._gate.stream(WATCH, create, timeout_seconds=timeout_seconds)
        try:
            for answer in answers:
                if answer.compact_revision:
                    return int(answer.compact_revision)
        finally:
            answers.cancel()
        raise NoAnswerError(
            f"etcd {self.endpoint}: the watch for the compact revision ended without one",
            endpoint=self.endpoint,
        )


def alarms_of(answer: Any) -> tuple[Alarm, ...]:
    """Return the alarms in an AlarmResponse, sorted by member."""
    return tuple(
        sorted(
            Alarm(
                member_id=MemberId(alarm.memberID),
                type=_ALARM_TYPES.get(alarm.alarm, AlarmType.UNRECOGNISED),
            )
            for alarm in answer.alarms
        )
    )


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(
        key=kv.key,
        value=kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )
