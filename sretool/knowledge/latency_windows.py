"""Judges one member's window: is its disk slow, are its reads slow? Every answer may be «unknown»."""

import statistics
from collections.abc import Sequence

import msgspec

from sretool.knowledge import thresholds
from sretool.model import MINIMUM_SAMPLES, Histogram, Known, Unknown
from sretool.model.latency import MemberSample, MemberWindow, Probe

# A member that is at one of these applies nothing either, and its disk is not to blame.
_STALLS = (
    "disk_defrag_inflight",
    "server_snapshot_apply_in_progress_total",
    "network_snapshot_receive_inflights_total",
)


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """The probes of one kind through one member; `median` is of all, a failed one counting its time."""

    total: int
    slow: int
    failed: int
    median: float
    longest: float

    @property
    def is_slow(self) -> bool:
        """A fifth of the reads, and two at least, took over 0.1 s or failed."""
        return (
            self.slow >= thresholds.READS_SLOW_AT_LEAST
            and self.slow >= thresholds.READS_SLOW_SHARE * self.total
        )

    @property
    def is_good(self) -> bool:
        """Enough reads, and not slow: what lies between is neither."""
        return self.total >= thresholds.READS_ENOUGH and not self.is_slow and not self.failed


def reads_of(probes: Sequence[Probe]) -> Reads:
    """Return what `probes` say together."""
    seconds = [probe.seconds for probe in probes]
    return Reads(
        total=len(probes),
        slow=sum(1 for probe in probes if probe.failure or probe.seconds > thresholds.READ_SLOW_SECONDS),
        failed=sum(1 for probe in probes if probe.failure),
        median=statistics.median(seconds) if seconds else 0.0,
        longest=max(seconds, default=0.0),
    )


def p99(counted: Known[Histogram]) -> Known[float]:
    """Return a window's p99 in seconds; unknown below `MINIMUM_SAMPLES` samples."""
    return counted if isinstance(counted, Unknown) else counted.quantile(0.99)


def above(counted: Histogram, seconds: float) -> int:
    """Return how many samples certainly took longer than `seconds`."""
    within = [count for bound, count in zip(counted.bounds, counted.counts, strict=True) if bound >= seconds]
    return int(counted.count - within[0]) if within else 0


def is_disk_slow(member: MemberSample) -> Known[bool]:
    """Tell whether the member's disk is slow.

    With enough samples: p99 of WAL fsync above 64 ms, and three fsyncs at least beyond it (one is a hiccup), or
    p99 of backend commit above 250 ms while nothing is compacted. A slow disk makes few samples, so with less:
    a median above 64 ms is slow, or half of the window spent in them. Few fast samples are not «good» but unknown.
    """
    if isinstance(member.window, Unknown):
        return member.window
    fsync, commit = member.window.fsync, member.window.commit
    if isinstance(fsync, Unknown):
        return fsync
    if _is_slow(fsync, thresholds.FSYNC_SLOW_SECONDS):
        return True
    if (
        not isinstance(commit, Unknown)
        and _is_slow(commit, thresholds.COMMIT_SLOW_SECONDS)
        and not is_compacting(member)
    ):
        return True
    if fsync.count < MINIMUM_SAMPLES:
        if fsync.sum >= thresholds.FSYNC_BUSY_SHARE * member.window.seconds:
            return True
        return Unknown(f"{fsync.count:g} fsyncs in {member.window.seconds:.0f} s are too few for a p99")
    return False


def is_disk_hung(member: MemberSample, others: Sequence[MemberSample]) -> bool:
    """Tell whether not one fsync returned although the member had proposals of its own to write, or `others`
    applied what it did not."""
    window = member.window
    if isinstance(window, Unknown) or not _has_no_fsync(member, window):
        return False
    leads = window.lasting("server_is_leader") > 0
    proposals = window.lasting("server_proposals_pending") or window.increases.get(
        "server_proposals_failed_total", 0.0
    )
    return bool(leads and proposals) or _missed(others) >= thresholds.COMMITS_MISSED


def is_disk_suspicious(member: MemberSample, others: Sequence[MemberSample] = ()) -> bool:
    """Tell whether the disk cannot be excluded either: the fsyncs, too few to judge it by, took long, or none
    returned while `others` applied something, or while a leader answered no read that needs raft."""
    window = member.window
    if isinstance(window, Unknown) or isinstance(window.fsync, Unknown):
        return False
    fsync = window.fsync
    if not fsync.count:
        mute = window.lasting("server_is_leader") > 0 and bool(member.linearizable)
        return _has_no_fsync(member, window) and (mute or _missed(others) > 0)
    return fsync.count < MINIMUM_SAMPLES and above(fsync, thresholds.FSYNC_SLOW_SECONDS) * 2 >= fsync.count


def is_apply_slow(member: MemberSample) -> bool:
    """Tell whether applying takes so long (p99 above 100 ms) that linearizable reads wait for it."""
    if isinstance(member.window, Unknown):
        return False
    slowest = p99(member.window.apply)
    return not isinstance(slowest, Unknown) and slowest > thresholds.APPLY_SLOW_SECONDS


def is_compacting(member: MemberSample) -> bool:
    """Tell whether a compaction deleted batches during the window."""
    pauses = "debugging_mvcc_db_compaction_pause_duration_milliseconds_count"
    return not isinstance(member.window, Unknown) and member.window.increases.get(pauses, 0) > 0


def _has_no_fsync(member: MemberSample, window: MemberWindow) -> bool:
    """Tell whether raft may be waiting for an fsync: nothing written, applied or read through it.

    It does not tick meanwhile, so the member goes on knowing the leader that it knew. One that is cut off
    forgets its leader; one that loses packets answers now and then; one that receives a snapshot says so.
    """
    return (
        not isinstance(window.fsync, Unknown)
        and not window.fsync.count
        and not window.increases.get("server_proposals_applied_total")
        and window.lasting("server_has_leader") > 0
        and all(probe.failure for probe in member.linearizable)
        and not any(window.gauges.get(name) or window.first_gauges.get(name) for name in _STALLS)
    )


def _missed(others: Sequence[MemberSample]) -> float:
    """Return the most that one of `others` applied."""
    windows = [other.window for other in others]
    return max(
        (
            window.increases.get("server_proposals_applied_total", 0.0)
            for window in windows
            if not isinstance(window, Unknown)
        ),
        default=0.0,
    )


def _is_slow(counted: Histogram, seconds: float) -> bool:
    if counted.count >= MINIMUM_SAMPLES:
        slowest = counted.quantile(0.99)
        return not isinstance(slowest, Unknown) and slowest > seconds and above(counted, seconds) >= 3
    median = counted.quantile(0.5, minimum_samples=thresholds.MEDIAN_SAMPLES)
    return not isinstance(median, Unknown) and median > seconds
