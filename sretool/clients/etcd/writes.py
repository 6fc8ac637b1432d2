"""Everything sretool writes to etcd. Whoever holds no EtcdWrites cannot change a cluster."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sretool.clients.etcd.gates import SendsRequests, WriteGate
from sretool.clients.etcd.reads import alarms_of
from sretool.clients.etcd.rpcs import (
    ALARM,
    ALARM_DEACTIVATE,
    COMPACT,
    DEFRAGMENT,
    DELETE_RANGE,
    MOVE_LEADER,
    PUT,
    TXN,
)
from sretool.errors import RefusedError
from sretool.model import Alarm, AlarmType

_NOSPACE = 1
_LESS, _MOD_REVISION = 2, 2  # of a comparison: what holds, and of which number


class Unwritten(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a transaction: no key from `key` to `last`, both included, was written after `revision`.

    Holds where there are none.
    """

    key: bytes
    last: bytes
    revision: int


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """A put inside a transaction."""

    key: bytes
    value: bytes


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """A deletion inside a transaction; with `range_end` of a whole range."""

    key: bytes
    range_end: bytes = b""


class TxnResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every condition held, at which revision it was decided, and how many keys were deleted."""

    succeeded: bool
    revision: int
    deleted: int


class EtcdWrites:
    """The writing calls to one member, each with its deadline in seconds. Safe to share between threads.

    NoAnswerError here means that the write may have taken effect: look at the cluster, never send it again.
    """

    def __init__(self, connection: SendsRequests) -> None:
        self._gate = WriteGate(connection)

    @property
    def endpoint(self) -> str:
        """How messages name this member."""
        return self._gate.endpoint

    def put(self, key: bytes, value: bytes, *, timeout_seconds: float) -> int:
        """Set `key` and return the revision of that write; NoSpaceError when the quota is exhausted."""
        fields = {"key": key, "value": value}
        return int(self._gate.unary(PUT, fields, timeout_seconds=timeout_seconds).header.revision)

    def delete_range(self, key: bytes, range_end: bytes = b"", *, timeout_seconds: float) -> tuple[int, int]:
        """Delete `key`, or all keys from it up to `range_end`; return how many, and the revision."""
        answer = self._gate.unary(
            DELETE_RANGE, {"key": key, "range_end": range_end}, timeout_seconds=timeout_seconds
        )
        return int(answer.deleted), int(answer.header.revision)

    def txn(
        self,
        compares: Sequence[Unwritten],
        success: Sequence[Put | Delete],
        *,
        timeout_seconds: float,
    ) -> TxnResult:
        """Do `success` if every condition holds, else nothing. At most 128 of each (`--max-txn-ops`).

        Under NOSPACE, etcd before 3.4.20 and 3.5.7 also refuses transactions that only delete.
        """
        fields = {
            "compare": [_condition(one) for one in compares],
            "success": [_operation(one) for one in success],
        }
        answer = self._gate.unary(TXN, fields, timeout_seconds=timeout_seconds)
        deleted = sum(response.response_delete_range.deleted for response in answer.responses)
        return TxnResult(succeeded=answer.succeeded, revision=answer.header.revision, deleted=deleted)

    def compact(self, revision: int, *, physical: bool, timeout_seconds: float) -> None:
        """Forget history up to `revision`. CompactedError when that has been done already.

        `physical` waits until the member that was asked, and only it, has removed the old revisions.
        """
        fields = {"revision": revision, "physical": physical}
        self._gate.unary(COMPACT, fields, timeout_seconds=timeout_seconds)

    def defragment(self, *, timeout_seconds: float) -> None:
        """Rewrite this member's database file; it serves nothing meanwhile.

        etcd goes on after the deadline: NoAnswerError says that the defragmentation is still running.
        """
        self._gate.unary(DEFRAGMENT, {}, timeout_seconds=timeout_seconds)

    def disarm(self, member_id: int, alarm_type: AlarmType, *, timeout_seconds: float) -> tuple[Alarm, ...]:
        """Clear exactly one member's NOSPACE alarm; return what etcd cleared, empty when it was not raised.

        RefusedError for any other alarm, and for member 0, which stands for nobody.
        """
        if alarm_type is not AlarmType.NOSPACE or member_id == 0:
            raise RefusedError(
                f"sretool disarms NOSPACE of one named member only, not {alarm_type} of member {member_id:x}",
                then="a CORRUPT alarm means that members' data differ: compare their hashes first",
            )
        fields = {"action": ALARM_DEACTIVATE, "memberID": member_id, "alarm": _NOSPACE}
        return alarms_of(self._gate.unary(ALARM, fields, timeout_seconds=timeout_seconds))

    def move_leader(self, target_id: int, *, timeout_seconds: float) -> None:
        """Hand leadership to the voting member `target_id`; NotLeaderError unless this member leads."""
        self._gate.unary(MOVE_LEADER, {"targetID": target_id}, timeout_seconds=timeout_seconds)


def _condition(one: Unwritten) -> dict[str, Any]:
    return {
        "key": one.key,
        "range_end": one.last + b"\0",
        "target": _MOD_REVISION,
        "result": _LESS,
        "mod_revision": one.revision + 1,
    }


def _operation(one: Put | Delete) -> dict[str, Any]:
    if isinstance(one, Put):
        return {"request_put": {"key": one.key, "value": one.value}}
    return {"request_delete_range": {"key": one.key, "range_end": one.range_end}}
