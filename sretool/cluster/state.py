"""One look at the whole etcd cluster, as the guards judge it."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from sretool.clients.etcd import prefix_end
from sretool.knowledge.guard_leases import LEASES_PREFIX, is_control_plane
from sretool.knowledge.lease_records import parse_lease
from sretool.knowledge.metric_names import COMPACTION_BATCHES, DEFRAG_COUNT, DEFRAG_INFLIGHT
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

# Compaction sleeps 10 ms between batches and counts each: two scrapes this far apart see it move.
_COMPACTION_LOOK_SECONDS = 0.1
_BATCHES = "batches of compactions"  # kept between looks
_MOST_LEASES = 500  # kube-system holds a handful


def read_etcd_state(read: "ClusterReader") -> EtcdState:
    """Return what the guards need, read once a look. Members that stay silent are in it, with the reason.

    Whether a compaction is under way takes 0.1 s to see, counted from when the metrics were read.
    """
    return read.etcd.remember(
        "state",
        lambda: msgspec.structs.replace(
            read_state_but_compactions(read), compaction_inflight=_compaction_inflight(read, read.etcd)
        ),
    )


def read_state_but_compactions(read: "ClusterReader") -> EtcdState:
    """Return the same at once: whether a compaction is under way is unknown."""
    return read.etcd.remember("state but compactions", lambda: _read_state(read))


def _read_state(read: "ClusterReader") -> EtcdState:
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
        compaction_inflight=Unknown("not looked at"),
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


def _compaction_inflight(read: "ClusterReader", etcd: "EtcdReader") -> Known[bool]:
    first = etcd.metrics()
    # Whose metrics were silent a moment ago would only be waited for again.
    readable = [
        name for name in etcd.names if not isinstance(value_of(first[name], COMPACTION_BATCHES), Unknown)
    ]
    watched_from = _no_batch_since(etcd, first)
    if len(readable) == len(etcd.names) and etcd.metrics_at[0] - watched_from >= _COMPACTION_LOOK_SECONDS:
        return False
    if readable:
        read.wait(max(0.0, watched_from + _COMPACTION_LOOK_SECONDS - etcd.now()))
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


def _no_batch_since(etcd: "EtcdReader", pages: Mapping[str, Known[MetricsPage]]) -> float:
    """Return since when no member, each still the same process, has counted a batch: since an earlier look, which
    says as much as watching from now on, or only since `pages` were read."""
    seen: tuple[float, dict[str, tuple[float, float]]] | None = etcd.between_looks.get(_BATCHES)
    if seen is not None:
        at, before = seen
        if before == _batches(pages) and len(before) == len(pages):
            return at
    return etcd.metrics_at[1]


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
