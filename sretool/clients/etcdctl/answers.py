"""What etcdctl prints with `--write-out=json`, as values whose fields are called as in etcd's messages.

etcdctl prints Go's own JSON of the gRPC messages: keys and values in base64, zeros left out.
"""

from typing import Any

import msgspec

from sretool.clients.etcd.rpcs import ALARM, MEMBER_LIST, RANGE, STATUS, WATCH, Rpc


class Header(msgspec.Struct, frozen=True):
    """Who answered, and at which revision."""

    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


class StatusAnswer(msgspec.Struct, frozen=True):
    """`endpoint status`, of one endpoint."""

    header: Header
    version: str = ""
    dbSize: int = 0  # noqa: N815 - etcd's name, here and below
    dbSizeInUse: int = 0  # noqa: N815
    dbSizeQuota: int = 0  # noqa: N815
    leader: int = 0
    raftIndex: int = 0  # noqa: N815
    raftAppliedIndex: int = 0  # noqa: N815
    raftTerm: int = 0  # noqa: N815
    errors: tuple[str, ...] = ()
    isLearner: bool = False  # noqa: N815
    storageVersion: str = ""  # noqa: N815


class _Endpoint(msgspec.Struct, frozen=True):
    status: StatusAnswer = msgspec.field(name="Status")


class ListedMember(msgspec.Struct, frozen=True):
    """One member of `member list`."""

    ID: int = 0
    name: str = ""
    peerURLs: tuple[str, ...] = ()  # noqa: N815
    clientURLs: tuple[str, ...] = ()  # noqa: N815
    isLearner: bool = False  # noqa: N815


class MemberListAnswer(msgspec.Struct, frozen=True):
    """`member list`."""

    members: tuple[ListedMember, ...] = ()


class ListedAlarm(msgspec.Struct, frozen=True):
    """One alarm of `alarm list`; `alarm` is the type's number."""

    memberID: int = 0  # noqa: N815
    alarm: int = 0


class AlarmAnswer(msgspec.Struct, frozen=True):
    """`alarm list`."""

    alarms: tuple[ListedAlarm, ...] = ()


class ReadKey(msgspec.Struct, frozen=True):
    """One key of `get`."""

    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class RangeAnswer(msgspec.Struct, frozen=True):
    """`get`."""

    header: Header
    kvs: tuple[ReadKey, ...] = ()
    more: bool = False
    count: int = 0


class WatchAnswer(msgspec.Struct, frozen=True):
    """A `watch` that was cancelled."""

    compact_revision: int = msgspec.field(name="CompactRevision", default=0)


_KINDS: dict[Rpc, Any] = {
    STATUS: tuple[_Endpoint],
    MEMBER_LIST: MemberListAnswer,
    ALARM: AlarmAnswer,
    RANGE: RangeAnswer,
    WATCH: WatchAnswer,
}


def parse_answer(rpc: Rpc, printed: bytes) -> Any:
    """Return what etcdctl printed for `rpc`, None where it prints a sentence (`defrag`, `compact`, `move-leader`).

    msgspec.MsgspecError when it is something else.
    """
    if rpc not in _KINDS:
        return None
    answer = msgspec.json.decode(printed, type=_KINDS[rpc])
    return answer[0].status if rpc == STATUS else answer


def from_behind(answer: RangeAnswer, start: bytes, *, limit: int, is_single: bool) -> RangeAnswer:
    """Return `answer` without the key `start` and, where one key was asked for, without any but the next one.

    It was read from `start`, with room for one key more, because the key right behind it, `start` + NUL, cannot
    be an argument.
    """
    kept = tuple(kv for kv in answer.kvs if kv.key != start)
    if is_single:
        kept = tuple(kv for kv in kept if kv.key == start + b"\0")
        return msgspec.structs.replace(answer, kvs=kept, more=False, count=len(kept))
    count = answer.count - len(answer.kvs) + len(kept)
    more = answer.more or bool(limit and len(kept) > limit)
    return msgspec.structs.replace(answer, kvs=kept[:limit] if limit else kept, more=more, count=count)
