"""One look at the whole etcd cluster, as the guards judge it."""

import datetime
from typing import TYPE_CHECKING

import msgspec

from sretool.clients.etcd import prefix_end
from sretool.cluster.compaction import compaction_inflight
from sretool.knowledge.guard_leases import LEASES_PREFIX, is_control_plane
from sretool.knowledge.lease_records import parse_lease
from sretool.knowledge.metric_names import DEFRAG_COUNT, DEFRAG_INFLIGHT
from sretool.knowledge.quota_size import quota_of
from sretool.model import (
    PROCESS_START,
    ControlPlaneLease,
    EtcdState,
    KeyValue,
    Known,
    MemberState,
    MetricsPage,
    Unknown,
    value_of,
)

if TYPE_CHECKING:
    from sretool.cluster.cluster import ClusterReader
    from sretool.cluster.etcd_reader import EtcdReader

NOT_LOOKED_AT = Unknown("not looked at")
_MOST_LEASES = 500  # kube-system holds a handful


def read_etcd_state(read: "ClusterReader") -> EtcdState:
    """Return what the guards need, read once a look. Members that stay silent are in it, with the reason.

    Whether a compaction is under way may take 0.1 s to see; see `compaction_inflight`.
    """
    return read.etcd.remember(
        "state",
        lambda: msgspec.structs.replace(
            read_state_but_compactions(read), compaction_inflight=compaction_inflight(read.etcd)
        ),
    )


def read_state_but_compactions(read: "ClusterReader") -> EtcdState:
    """Return the same at once: whether a compaction is under way is unknown."""
    return read.etcd.remember("state but compactions", lambda: _read_state(read))


def _read_state(read: "ClusterReader") -> EtcdState:
    etcd = read.etcd
    statuses, pages, silences = etcd.status(), etcd.metrics(), etcd.silences()
    unserved = etcd.unserved()
    members = tuple(
        MemberState(
            name=member.name,
            peer_url=member.peer,
            status=statuses[member.name],
            silence=silences[member.name][0] if member.name in silences else None,
            unserved=unserved.get(member.name, ""),
            quota_bytes=quota_of(statuses[member.name], pages[member.name]),
            defrag_inflight=_whole(pages[member.name], DEFRAG_INFLIGHT),
            snapshot_apply_inflight=_whole(
                pages[member.name], "etcd_server_snapshot_apply_in_progress_total"
            ),
            process_start_seconds=value_of(pages[member.name], PROCESS_START),
            defrag_count=_whole(pages[member.name], DEFRAG_COUNT),
            disk=etcd.disk(member.name),
        )
        for member in etcd.members
    )
    return EtcdState(
        members=members,
        member_list=etcd.member_list(),
        alarms=etcd.alarms(),
        compaction_inflight=NOT_LOOKED_AT,
        is_kubernetes=etcd.is_kubernetes(),
        leases=read_leases(etcd),
    )


def read_leases(etcd: "EtcdReader") -> Known[tuple[ControlPlaneLease, ...]]:
    """Return the control plane's leases, read in etcd, which answers when the API server does not.

    From the leader's view (linearizable): an old revision would hide a renewal, or show it twice.
    """
    is_kubernetes = etcd.is_kubernetes()
    if is_kubernetes is not True:
        return is_kubernetes if isinstance(is_kubernetes, Unknown) else ()
    page = etcd.ask_any(
        lambda reads, seconds: reads.range_page(
            LEASES_PREFIX, prefix_end(LEASES_PREFIX), limit=_MOST_LEASES, timeout_seconds=seconds
        )
    )
    if isinstance(page, Unknown):
        return page
    now = etcd.utc_now()
    return tuple(
        _lease(name, key, now)
        for key in page.keys
        if is_control_plane(name := key.key.removeprefix(LEASES_PREFIX).decode(errors="replace"))
    )


def _lease(name: str, key: KeyValue, now: datetime.datetime) -> ControlPlaneLease:
    record = parse_lease(key.value)
    renewed = record.renewed_at if record else None
    return ControlPlaneLease(
        name=name,
        mod_revision=key.mod_revision,
        age_seconds=Unknown(f"the lease {name} does not say when it was renewed")
        if renewed is None
        else max(0.0, (now - renewed).total_seconds()),
        holder=record.holder if record else "",
    )


def _whole(page: Known[MetricsPage], name: str) -> Known[int]:
    value = value_of(page, name)
    return value if isinstance(value, Unknown) else int(value)
