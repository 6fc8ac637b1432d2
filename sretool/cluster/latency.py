"""Measures a latency window: two scrapes of every member, and probes through all of them in between."""

from collections.abc import Iterable, Mapping

from sretool.cluster.cluster import ClusterReader
from sretool.cluster.etcd_reader import EtcdReader
from sretool.errors import NotPermittedError, RemoteError
from sretool.model import Known, MetricsPage, Silence, Unknown, increase, known_only, window
from sretool.model.latency import LatencySample, MemberSample, MemberWindow, Probe

_PROBE_SECONDS = 1.2
_PROBES = 15  # a window has room for so many of one kind through a member that answers at once
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
_LATEST = "latest latency window"
_OVERTIME_SECONDS = 0.3  # what a probe that began at the end may still take

_FSYNC = "disk_wal_fsync_duration_seconds"
_COMMIT = "disk_backend_commit_duration_seconds"
_APPLY = "server_apply_duration_seconds"
_RTT = "network_peer_round_trip_time_seconds"

_COUNTERS = (
    "server_leader_changes_seen_total",
    "server_proposals_failed_total",
    "server_proposals_applied_total",
    "server_slow_apply_total",
    "server_slow_read_indexes_total",
    "server_heartbeat_send_failures_total",
    "mvcc_put_total",
    "mvcc_txn_total",
    "mvcc_delete_total",
    "mvcc_range_total",
    "network_client_grpc_sent_bytes_total",
    "debugging_mvcc_db_compaction_pause_duration_milliseconds_count",
    "process_cpu_seconds_total",
)
_GAUGES = (
    "server_has_leader",
    "server_is_leader",
    "server_proposals_pending",
    "server_snapshot_apply_in_progress_total",
    "network_snapshot_receive_inflights_total",
    "server_quota_backend_bytes",
    "disk_defrag_inflight",
    "debugging_mvcc_watcher_total",
    "debugging_mvcc_slow_watcher_total",
    "debugging_mvcc_pending_events_total",
    "go_sched_gomaxprocs_threads",
)
# The counters that tell how many snapshots are being read: begun, and no longer.
_STREAMS_BEGUN, _STREAMS_ENDED = "grpc_server_started_total", "grpc_server_handled_total"
_SNAPSHOTS = "snapshot_streams"


def measure_latency(read: ClusterReader, window_seconds: float) -> LatencySample:
    """Return one window of `window_seconds` over all members, measured once a look.

    Takes the window and at most 0.5 s; a member that does not answer Status is not asked again, so it costs
    what finding out about it costs. Reads only, and raises only InterruptedRunError, and NotPermittedError where
    reading a key is not allowed. A window for which the deadline leaves too little time is not begun.
    """
    return read.etcd.remember(f"latency {window_seconds:g}", lambda: _measure(read, window_seconds))


def latest_latency(read: ClusterReader, window_seconds: float, *, not_older_seconds: float) -> LatencySample:
    """Return the run's last window, whatever its length, unless it is too old or a member that answers now is
    missing from it; then a new one of `window_seconds`."""
    known: tuple[float, LatencySample] | None = read.etcd.between_looks.get(_LATEST)
    if known is not None:
        at, sample = known
        measured = {one.name for one in sample.members if not isinstance(one.window, Unknown)}
        if read.etcd.now() - at <= not_older_seconds and measured.issuperset(read.etcd.answering()):
            return sample
    return measure_latency(read, window_seconds)


def _measure(read: ClusterReader, window_seconds: float) -> LatencySample:
    etcd = read.etcd
    if etcd.seconds_left() < window_seconds:
        return _not_begun(etcd, window_seconds)
    statuses, silences, peers = etcd.status(), etcd.silences(), _peers_by_id(etcd)
    # The metrics of a member that is dead, frozen or out of reach do not answer either.
    told = {Silence.DEFRAGMENTING, Silence.SLOW, Silence.TLS}
    scraped = [name for name in etcd.names if name not in silences or silences[name][0] in told]
    began = etcd.now()
    first = etcd.scrape(scraped) if scraped else {}
    probes = _probe(read, ends=began + window_seconds, pause=_pause(window_seconds))
    if scraped:
        read.wait(max(0.0, began + window_seconds - etcd.now()))
    seconds = etcd.now() - began
    second = etcd.scrape(scraped) if scraped else {}
    sample = LatencySample(
        window_seconds=window_seconds,
        cut_short="" if etcd.seconds_left() else "the deadline of the run or step passed during the window",
        members=tuple(
            MemberSample(
                name=name,
                status=statuses[name],
                window=_window(name, first, second, seconds=seconds, peers=peers),
                silence=silences[name][0] if name in silences else None,
                silence_reason=silences[name][1] if name in silences else "",
                serializable=probes.get((name, False), ()),
                linearizable=probes.get((name, True), ()),
            )
            for name in etcd.names
        ),
    )
    if not sample.cut_short:
        etcd.between_looks[_LATEST] = (etcd.now(), sample)
    return sample


def _not_begun(etcd: EtcdReader, window_seconds: float) -> LatencySample:
    """Return a sample of nothing: asked in what is left, healthy members would look silent."""
    left = etcd.seconds_left()
    reason = f"the deadline of the run or step leaves {left:.1f} s, the window takes {window_seconds:g} s"
    unread = Unknown(reason)
    members = tuple(MemberSample(name=name, status=unread, window=unread) for name in etcd.names)
    return LatencySample(window_seconds=window_seconds, cut_short=reason, members=members)


def _pause(window_seconds: float) -> float:
    return min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, window_seconds / _PROBES))


def _probe(read: ClusterReader, *, ends: float, pause: float) -> Mapping[tuple[str, bool], tuple[Probe, ...]]:
    """Probe each member that answers, both ways, side by side, until the window ends."""
    kinds = [
        (name, linearizable)
        for name, status in known_only(read.etcd.status()).items()
        if read.etcd.member(name).pod is None  # starting etcdctl there takes longer than what is to be timed
        for linearizable in (False, True)
        if not (linearizable and status.is_learner)  # a learner serves no linearizable read
    ]
    silent: set[str] = set()

    def run(kind: tuple[str, bool]) -> tuple[Probe, ...]:
        name, linearizable = kind
        probes: list[Probe] = []
        while name not in silent and (left := ends - read.etcd.now()) > 0:
            probe = _probe_once(read.etcd, name, linearizable=linearizable, left=left)
            probes.append(probe)
            if probe.failure and not linearizable:
                silent.add(name)  # it needs nobody else for this read: asking again would only wait again
            read.wait(max(0.0, min(pause, ends - read.etcd.now())))
        return tuple(probes)

    return dict(zip(kinds, read.etcd.side_by_side(kinds, run), strict=True))


def _probe_once(etcd: EtcdReader, name: str, *, linearizable: bool, left: float) -> Probe:
    began = etcd.now()
    seconds = min(_PROBE_SECONDS, left + _OVERTIME_SECONDS)
    try:
        return Probe(etcd.time_read(name, linearizable=linearizable, timeout_seconds=seconds))
    except NotPermittedError:  # a healthy member said no: nothing can be learned of its speed
        raise
    except RemoteError as error:
        return Probe(etcd.now() - began, error.message)


def _window(
    name: str,
    first: Mapping[str, Known[MetricsPage]],
    second: Mapping[str, Known[MetricsPage]],
    *,
    seconds: float,
    peers: Mapping[str, str],
) -> Known[MemberWindow]:
    unread = Unknown(f"the metrics of {name} were not asked for: it does not answer")
    before, after = first.get(name, unread), second.get(name, unread)
    if isinstance(before, Unknown):
        return before
    if isinstance(after, Unknown):
        return after
    restarted = increase(after, before, "etcd_server_leader_changes_seen_total")
    if isinstance(restarted, Unknown):
        return restarted
    return MemberWindow(
        seconds=seconds,
        fsync=window(after, before, f"etcd_{_FSYNC}"),
        commit=window(after, before, f"etcd_{_COMMIT}"),
        apply=window(after, before, f"etcd_{_APPLY}"),
        rtt={
            peers[to]: grown
            for to in after.label_values(f"etcd_{_RTT}_count", "To")
            if to in peers and not isinstance(grown := window(after, before, f"etcd_{_RTT}", To=to), Unknown)
        },
        increases=dict(_known((name, increase(after, before, _full(name))) for name in _COUNTERS)),
        gauges=_gauges(after),
        first_gauges=_gauges(before),
    )


def _gauges(page: MetricsPage) -> dict[str, float]:
    found = dict(_known((name, page.sum(_full(name))) for name in _GAUGES))
    begun = page.sum(_STREAMS_BEGUN, grpc_method="Snapshot")
    ended = page.sum(_STREAMS_ENDED, grpc_method="Snapshot")
    if not isinstance(begun, Unknown) and not isinstance(ended, Unknown):
        found[_SNAPSHOTS] = begun - ended
    return found


def _known(pairs: Iterable[tuple[str, Known[float]]]) -> Iterable[tuple[str, float]]:
    return ((name, value) for name, value in pairs if not isinstance(value, Unknown))


def _full(name: str) -> str:
    return name if name.startswith(("go_", "process_")) else f"etcd_{name}"


def _peers_by_id(etcd: EtcdReader) -> Mapping[str, str]:
    """Return the names of the members that answer by their id in hex, as metrics print it."""
    return {f"{status.member_id:x}": name for name, status in known_only(etcd.status()).items()}
