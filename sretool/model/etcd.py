"""Values of etcd that clients, readers and knowledge share. Sizes are bytes, durations seconds."""

import enum
from collections.abc import Mapping

import msgspec

from sretool.model.known import Known


class MemberId(int):
    """An etcd member id: an unsigned 64-bit number, printed in hex as etcdctl does (not zero-padded)."""

    def __str__(self) -> str:
        return f"{int(self):x}"

    @classmethod
    def parse(cls, text: str) -> "MemberId":
        """Return the id that `text` (hex) names; ValueError when it is not hex."""
        return cls(int(text, 16))


class AlarmType(enum.StrEnum):
    """etcd's alarm kinds; `UNRECOGNISED` stands for a number this version of sretool does not know."""

    NOSPACE = "NOSPACE"
    CORRUPT = "CORRUPT"
    UNRECOGNISED = "UNRECOGNISED"


class Alarm(msgspec.Struct, frozen=True, order=True):
    """One alarm. `member_id` 0 with CORRUPT means the server could not tell who is corrupt."""

    member_id: int
    type: AlarmType


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the cluster lists it; an empty name means it was added and has never started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool = False


class MemberList(msgspec.Struct, frozen=True, kw_only=True):
    """The member list; `stale` when it came from one member without quorum."""

    members: tuple[Member, ...]
    stale: bool = False


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What one member says of itself (Maintenance.Status).

    `leader` is 0 when it knows none. `quota_bytes` is 0 where the server does not report it
    (before 3.6; wrong before 3.6.6). `errors` is this member's own view of the alarms and of the leader.
    """

    cluster_id: int
    member_id: int
    revision: int
    raft_term: int
    version: str
    db_size_bytes: int
    db_size_in_use_bytes: int
    leader: int
    raft_index: int
    raft_applied_index: int
    is_learner: bool = False
    errors: tuple[str, ...] = ()
    storage_version: str = ""
    quota_bytes: int = 0

    @property
    def is_leader(self) -> bool:
        return self.leader == self.member_id != 0


class KeyValue(msgspec.Struct, frozen=True, kw_only=True):
    """One key; `value` is empty where only keys were asked for."""

    key: bytes
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a range read. `count` is of the whole range, `revision` the revision it was read at."""

    keys: tuple[KeyValue, ...]
    more: bool
    count: int
    revision: int


class DiskSpace(msgspec.Struct, frozen=True, kw_only=True):
    """The file system that holds a member's data directory; `source` says how it was read."""

    free_bytes: int
    source: str


class Silence(enum.StrEnum):
    """Why a member does not answer Status, as far as TCP and its metrics listener tell."""

    DEAD = "dead"  # TCP refused
    FROZEN = "frozen"  # TCP accepts (the kernel does), nothing behind it answers
    DEFRAGMENTING = "defragmenting"  # metrics answer, and say so
    UNREACHABLE = "unreachable"  # no TCP connection, no refusal
    TLS = "tls"  # it answers, but the handshake fails
    SLOW = "slow"  # metrics answer, Status does not


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """All that guards and verdicts need of one member at one look.

    Numbers from metrics are unknown when its metrics listener could not be read. `unserved` is why a voter that
    answers Status answered no read through consensus; empty when it did.
    """

    name: str
    peer_url: str
    status: Known[EndpointStatus]
    silence: Silence | None = None
    unserved: str = ""
    quota_bytes: Known[int]
    defrag_inflight: Known[int]
    snapshot_apply_inflight: Known[int]
    process_start_seconds: Known[float]
    defrag_count: Known[int]
    disk: Known[DiskSpace]


class ControlPlaneLease(msgspec.Struct, frozen=True, kw_only=True):
    """A Lease of the control plane as etcd holds it; its mod revision moves with every renewal."""

    name: str
    mod_revision: int
    age_seconds: Known[float]
    holder: str = ""


class EtcdState(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the whole etcd cluster, members in inventory order.

    `leases` are those of the control plane in kube-system, none where etcd holds no Kubernetes.
    """

    members: tuple[MemberState, ...]
    member_list: Known[MemberList]
    alarms: Known[tuple[Alarm, ...]]
    compaction_inflight: Known[bool]
    is_kubernetes: Known[bool]
    leases: Known[tuple[ControlPlaneLease, ...]] = ()

    def by_name(self) -> Mapping[str, MemberState]:
        return {member.name: member for member in self.members}


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster this is: the etcd cluster id and the sorted member ids, in hex as etcdctl prints them.

    `kubernetes_uid` is that of the namespace kube-system, empty while the API server cannot be asked.
    """

    etcd_cluster_id: str = ""
    etcd_member_ids: tuple[str, ...] = ()
    kubernetes_uid: str = ""
