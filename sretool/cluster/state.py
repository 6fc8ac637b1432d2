"""One look at the whole etcd cluster, as the guards judge it."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sretool.clients.etcd import prefix_end
from sretool.knowledge.guard_leases import LEASES_PREFIX, is_control_plane
from sretool.knowledge.lease_records import parse_lease
from sretool.knowledge.metric_names import COMPACTION_BATCHES, DEFRAG_COUNT, DEFRAG_INFLIGHT, QUOTA
from sretool.knowledge.versions import QUOTA_IN_STATUS, parse_version
from sretool.model import (
    PROCESS_START,
    ControlPlaneLease,
    EndpointStatus,
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

# Compaction sleeps 10 ms between batches and counts each: two scrapes this far apart see it move.
_COMPACTION_LOOK_SECONDS = 0.1
_BATCHES = "batches of compactions"  # kept between looks
_MOST_LEASES = 500  # kube-system holds a handful


def read_etcd_state(read: "ClusterReader", *, watch_compaction: bool = True) -> EtcdState:
    """Read what the guards need. Members that stay silent are in it, with the reason.

    Whether a compaction is under way takes 0.1 s to see; without `watch_compaction` it is unknown.
    """
    etcd = read.etcd
    statuses, pages, silences = etcd.status(), etcd.metrics(), etcd.silences()
    members = tuple(
        MemberState(
            name=member.name,
            peer_url=member.peer,
            status=statuses[member.name],
            silence=silences[member.name][0] if member.name in silences else None,
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
        compaction_inflight=_compaction_inflight(read, etcd, pages)
        if watch_compaction
        else Unknown("not looked at"),
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


def quota_of(status: Known[EndpointStatus], page: Known[MetricsPage]) -> Known[int]:
    """Return a member's quota in bytes: from Status where that is right (3.6.6 on), else from its metrics."""
    if not isinstance(status, Unknown):
        version = parse_version(status.version)
        if status.quota_bytes and version and version >= QUOTA_IN_STATUS:
            return status.quota_bytes
    return _whole(page, QUOTA)


def _compaction_inflight(
    read: "ClusterReader", etcd: "EtcdReader", first: Mapping[str, Known[MetricsPage]]
) -> Known[bool]:
    # Whose metrics were silent a moment ago would only be waited for again.
    readable = [
        name for name in etcd.names if not isinstance(value_of(first[name], COMPACTION_BATCHES), Unknown)
    ]
    if len(readable) == len(etcd.names) and _none_since_the_look_before(etcd, first):
        return False
    if readable:
        read.wait(_COMPACTION_LOOK_SECONDS)
    second = etcd.scrape(readable) if readable else {}
    etcd.between_looks[_BATCHES] = (etcd.now(), _batches(second))
    later = {name: value_of(second[name], COMPACTION_BATCHES) for name in readable}
    if any(
        not isinstance(now, Unknown) and now != value_of(first[name], COMPACTION_BATCHES)
        for name, now in later.items()
    ):
        return True
    unread = [name for name in etcd.names if isinstance(later.get(name, Unknown("")), Unknown)]
    return Unknown(f"the metrics of {', '.join(unread)} cannot be read") if unread else False


def _none_since_the_look_before(etcd: "EtcdReader", pages: Mapping[str, Known[MetricsPage]]) -> bool:
    """Tell whether no member, each still the same process, has counted a batch since an earlier look: that says
    as much as watching for as long from now on."""
    seen: tuple[float, dict[str, tuple[float, float]]] | None = etcd.between_looks.get(_BATCHES)
    now = _batches(pages)
    if seen is None or len(now) < len(pages):
        return False
    at, before = seen
    # Twice: `pages` were read somewhat before now.
    return etcd.now() - at >= 2 * _COMPACTION_LOOK_SECONDS and now == before


def _batches(pages: Mapping[str, Known[MetricsPage]]) -> dict[str, tuple[float, float]]:
    """Return by member, where its metrics tell, when its process began and how many batches it has compacted."""
    found = {}
    for name, page in pages.items():
        start, batches = value_of(page, PROCESS_START), value_of(page, COMPACTION_BATCHES)
        if not isinstance(start, Unknown) and not isinstance(batches, Unknown):
            found[name] = (start, batches)
    return found


def _whole(page: Known[MetricsPage], name: str) -> Known[int]:
    value = value_of(page, name)
    return value if isinstance(value, Unknown) else int(value)
