"""The messages of etcd's gRPC API that sretool sends and reads, built at import in a private descriptor pool.

On the wire only field numbers and types count, so this is our own table and our own package name: nothing
enters the default pool, where another etcd library may have registered `etcdserverpb`, and no generated
code ties sretool to one protobuf release. Numbers: etcd `api/etcdserverpb/rpc.proto`, `api/mvccpb/kv.proto`.
Enums are declared int32, which is the same on the wire.
"""

import re
from typing import Any

from sretool.clients.etcd.later import left_for_later

# The messages' implementation in Python, which the one in C does not use, takes 9 ms.
with left_for_later("google.protobuf.internal.python_message"):
    from google.protobuf import descriptor_pool, message_factory

_PACKAGE = "sretool_etcd"

# One line a message: `name: number type field, ...`; `*` repeats, `|` puts the field into the oneof.
_TABLE = """
Empty:
Header: 1 uint64 cluster_id, 2 uint64 member_id, 3 int64 revision, 4 uint64 raft_term
HeaderOnly: 1 Header header
KeyValue: 1 bytes key, 2 int64 create_revision, 3 int64 mod_revision, 4 int64 version, \
5 bytes value, 6 int64 lease

RangeRequest: 1 bytes key, 2 bytes range_end, 3 int64 limit, 4 int64 revision, 7 bool serializable, \
8 bool keys_only, 9 bool count_only, 10 int64 min_mod_revision, 11 int64 max_mod_revision
RangeResponse: 1 Header header, 2 *KeyValue kvs, 3 bool more, 4 int64 count
PutRequest: 1 bytes key, 2 bytes value, 3 int64 lease
DeleteRangeRequest: 1 bytes key, 2 bytes range_end
DeleteRangeResponse: 1 Header header, 2 int64 deleted
Compare: 1 int32 result, 2 int32 target, 3 bytes key, 6 |int64 mod_revision, 64 bytes range_end
RequestOp: 2 |PutRequest request_put, 3 |DeleteRangeRequest request_delete_range
ResponseOp: 2 |HeaderOnly response_put, 3 |DeleteRangeResponse response_delete_range
TxnRequest: 1 *Compare compare, 2 *RequestOp success
TxnResponse: 1 Header header, 2 bool succeeded, 3 *ResponseOp responses
CompactionRequest: 1 int64 revision, 2 bool physical

WatchCreateRequest: 1 bytes key, 3 int64 start_revision
WatchRequest: 1 |WatchCreateRequest create_request
WatchResponse: 1 Header header, 3 bool created, 4 bool canceled, 5 int64 compact_revision, \
6 string cancel_reason

Member: 1 uint64 ID, 2 string name, 3 *string peerURLs, 4 *string clientURLs, 5 bool isLearner
MemberListRequest: 1 bool linearizable
MemberListResponse: 1 Header header, 2 *Member members

AlarmRequest: 1 int32 action, 2 uint64 memberID, 3 int32 alarm
AlarmMember: 1 uint64 memberID, 2 int32 alarm
AlarmResponse: 1 Header header, 2 *AlarmMember alarms
StatusResponse: 1 Header header, 2 string version, 3 int64 dbSize, 4 uint64 leader, 5 uint64 raftIndex, \
6 uint64 raftTerm, 7 uint64 raftAppliedIndex, 8 *string errors, 9 int64 dbSizeInUse, 10 bool isLearner, \
11 string storageVersion, 12 int64 dbSizeQuota
SnapshotResponse: 1 Header header, 2 uint64 remaining_bytes, 3 bytes blob, 4 string version
MoveLeaderRequest: 1 uint64 targetID
"""

_FIELD = re.compile(r"(\d+) ([*|]?)(\w+) (\w+)")

# Numbers of google/protobuf/descriptor.proto: its own classes would be loaded for this table alone, in 3 ms.
_OPTIONAL, _REPEATED = 1, 3
_MESSAGE = 11
_SCALARS = {"bool": 8, "bytes": 12, "int32": 5, "int64": 3, "string": 9, "uint64": 4}


def _varint(number: int) -> bytes:
    head = bytearray()
    while number > 0x7F:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*head, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _field_descriptor(number: str, mark: str, kind: str, name: str) -> bytes:
    encoded = _text(1, name) + _number(3, int(number)) + _number(4, _REPEATED if mark == "*" else _OPTIONAL)
    encoded += _number(5, _SCALARS.get(kind, _MESSAGE))
    if kind not in _SCALARS:
        encoded += _text(6, f".{_PACKAGE}.{kind}")
    if mark == "|":
        encoded += _number(9, 0)
    return encoded + _text(10, name)


def _message_descriptor(name: str, fields: str) -> bytes:
    found = _FIELD.findall(fields)
    oneof = _bytes(8, _text(1, "one")) if any(mark == "|" for _, mark, _, _ in found) else b""
    return _text(1, name) + b"".join(_bytes(2, _field_descriptor(*field)) for field in found) + oneof


def build_classes(lines: str) -> dict[str, Any]:
    """Return the message classes of a table such as the one above, in a pool of their own."""
    table = {name: fields for name, _, fields in (line.partition(":") for line in lines.splitlines()) if name}
    file = _text(1, f"{_PACKAGE}.proto") + _text(2, _PACKAGE)
    file += b"".join(_bytes(4, _message_descriptor(name, fields)) for name, fields in table.items())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file + _text(12, "proto3"))
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in table
    }


CLASSES = build_classes(_TABLE)
"""Message classes by name. They are `Any` to the type checker: this is the wire."""
