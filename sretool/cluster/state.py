"""One look at the whole etcd cluster, as the guards judge it."""

from collections.abc import Mapping

from sretool.cluster.cluster import ClusterReader
from sretool.cluster.etcd_reader import EtcdReader
from sretool.knowledge.metric_names import COMPACTION_BATCHES, DEFRAG_COUNT, DEFRAG_INFLIGHT, QUOTA
from sretool.knowledge.versions import QUOTA_IN_STATUS, parse_version
from sretool.model import (
    PROCESS_START,
    EndpointStatus,
    EtcdState,
    Known,
    MemberState,
    MetricsPage,
    Unknown,
    value_of,
)

# Compaction sleeps 10 ms between batches and counts each: two scrapes this far apart see it move.
_COMPACTION_LOOK_SECONDS = 0.1


def read_etcd_state(read: ClusterReader, *, watch_compaction: bool = True) -> EtcdState:
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
    )


def quota_of(status: Known[EndpointStatus], page: Known[MetricsPage]) -> Known[int]:
    """Return a member's quota in bytes: from Status where that is right (3.6.6 on), else from its metrics."""
    if not isinstance(status, Unknown):
        version = parse_version(status.version)
        if status.quota_bytes and version and version >= QUOTA_IN_STATUS:
            return status.quota_bytes
    return _whole(page, QUOTA)


def _compaction_inflight(
    read: ClusterReader, etcd: EtcdReader, first: Mapping[str, Known[MetricsPage]]
) -> Known[bool]:
    # Whose metrics were silent a moment ago would only be waited for again.
    readable = [
        name for name in etcd.names if not isinstance(value_of(first[name], COMPACTION_BATCHES), Unknown)
    ]
    if readable:
        read.wait(_COMPACTION_LOOK_SECONDS)
    second = etcd.scrape(readable) if readable else {}
    later = {name: value_of(second[name], COMPACTION_BATCHES) for name in readable}
    if any(
        not isinstance(now, Unknown) and now != value_of(first[name], COMPACTION_BATCHES)
        for name, now in later.items()
    ):
        return True
    unread = [name for name in etcd.names if isinstance(later.get(name, Unknown("")), Unknown)]
    return Unknown(f"the metrics of {', '.join(unread)} cannot be read") if unread else False


def _whole(page: Known[MetricsPage], name: str) -> Known[int]:
    value = value_of(page, name)
    return value if isinstance(value, Unknown) else int(value)
