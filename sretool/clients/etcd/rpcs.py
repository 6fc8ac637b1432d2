"""The remote calls that sretool makes to etcd, and which of them only read."""

import msgspec


class Rpc(msgspec.Struct, frozen=True):
    """One method: its path after `/etcdserverpb.`, and the names of its messages."""

    path: str
    request: str
    response: str

    def __str__(self) -> str:
        return self.path.partition("/")[2]


RANGE = Rpc("KV/Range", "RangeRequest", "RangeResponse")
PUT = Rpc("KV/Put", "PutRequest", "HeaderOnly")
DELETE_RANGE = Rpc("KV/DeleteRange", "DeleteRangeRequest", "DeleteRangeResponse")
TXN = Rpc("KV/Txn", "TxnRequest", "TxnResponse")
COMPACT = Rpc("KV/Compact", "CompactionRequest", "HeaderOnly")
WATCH = Rpc("Watch/Watch", "WatchRequest", "WatchResponse")
MEMBER_LIST = Rpc("Cluster/MemberList", "MemberListRequest", "MemberListResponse")
ALARM = Rpc("Maintenance/Alarm", "AlarmRequest", "AlarmResponse")
STATUS = Rpc("Maintenance/Status", "Empty", "StatusResponse")
DEFRAGMENT = Rpc("Maintenance/Defragment", "Empty", "HeaderOnly")
SNAPSHOT = Rpc("Maintenance/Snapshot", "Empty", "SnapshotResponse")
MOVE_LEADER = Rpc("Maintenance/MoveLeader", "MoveLeaderRequest", "HeaderOnly")

READING = frozenset({STATUS, MEMBER_LIST, ALARM, RANGE, SNAPSHOT, WATCH})
WRITING = frozenset({PUT, DELETE_RANGE, TXN, COMPACT, ALARM, DEFRAGMENT, MOVE_LEADER})

ALARM_GET, ALARM_ACTIVATE, ALARM_DEACTIVATE = 0, 1, 2
