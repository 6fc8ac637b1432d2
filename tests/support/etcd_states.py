"""States of etcd as values: three healthy members, and whatever a test changes about them."""

import msgspec

from sretool.knowledge.guards import GuardContext
from sretool.model import (
    Change,
    DiskSpace,
    Effect,
    EndpointStatus,
    EtcdState,
    Member,
    MemberList,
    MemberState,
    Risk,
    Silence,
    Unknown,
)

MIB = 1 << 20
NO_METRICS = Unknown("connection refused")


def url(number):
    return f"https://10.0.0.{number}:2380"


def status(number, **changed):
    values = {
        "cluster_id": 0xC,
        "member_id": number,
        "revision": 1000,
        "raft_term": 2,
        "version": "3.6.8",
        "db_size_bytes": 600 * MIB,
        "db_size_in_use_bytes": 100 * MIB,
        "leader": 1,
        "raft_index": 5000,
        "raft_applied_index": 5000,
        "quota_bytes": 2048 * MIB,
    }
    return EndpointStatus(**values | changed)


def member(number, **changed):
    """Return member `n<number>`; what belongs to its status may be named directly."""
    of_status = {name: changed.pop(name) for name in list(changed) if name in EndpointStatus.__struct_fields__
                 and name not in MemberState.__struct_fields__}  # fmt: skip
    values = {
        "name": f"n{number}",
        "peer_url": url(number),
        "status": status(number, **of_status),
        "quota_bytes": 2048 * MIB,
        "defrag_inflight": 0,
        "snapshot_apply_inflight": 0,
        "process_start_seconds": 100.0,
        "defrag_count": 0,
        "disk": DiskSpace(free_bytes=10_000 * MIB, source="statvfs /data"),
    }
    return MemberState(**values | changed)


def silent(number, silence=Silence.DEAD):
    """Return a member that does not answer; only a slow or defragmenting one still has metrics."""
    blind = silence not in (Silence.SLOW, Silence.DEFRAGMENTING)
    gone = dict.fromkeys(
        ("defrag_inflight", "snapshot_apply_inflight", "process_start_seconds", "defrag_count"), NO_METRICS
    )
    busy = {"defrag_inflight": 1} if silence is Silence.DEFRAGMENTING else {}
    return member(number, status=Unknown("no answer in 1.2 s"), silence=silence, **(gone if blind else busy))


def listed(*numbers, learners=(), stale=False):
    return MemberList(
        members=tuple(
            Member(
                id=number,
                name=f"n{number}",
                peer_urls=(url(number),),
                client_urls=(),
                is_learner=number in learners,
            )
            for number in numbers
        ),
        stale=stale,
    )


def state(*members, **changed):
    """Return a cluster of `members` (three healthy ones when none are given)."""
    members = members or (member(1), member(2), member(3))
    values = {
        "member_list": listed(*(int(one.name[1:]) for one in members)),
        "alarms": (),
        "compaction_inflight": False,
        "is_kubernetes": True,
    }
    return EtcdState(members=members, **values | changed)


def change(*effects, number=2, **changed):
    """Return a change that has `effects`, of member `n<number>`."""
    values = {
        "step": "etcd.defrag",
        "uses": "etcd.defrag",
        "verb": "defragment",
        "object": url(number),
        "label": f"n{number}",
        "reason": "a test",
        "risk": Risk.DISRUPTIVE,
        "effects": effects or (Effect.STALLS_MEMBER,),
    }
    return Change(**values | changed)


def context(now=None, *, start=None, **changed):
    now = now or state()
    values = {
        "state": now,
        "start": start or now,
        "change": change(),
        "moves": 0,
        "unattended": True,
    }
    return GuardContext(**values | changed)


def replaced(value, **changed):
    return msgspec.structs.replace(value, **changed)
