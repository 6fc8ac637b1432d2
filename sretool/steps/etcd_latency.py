"""The step etcd.latency: why is etcd slow, or is it not?"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.latency import measure_latency
from sretool.knowledge import causes
from sretool.knowledge.verdicts import diagnose, judge_each
from sretool.model import Change, Known, Proposal, Risk, Unknown
from sretool.model.latency import LatencySample
from sretool.step import Duration, Step

_LONGEST_WINDOW = 600.0


class EtcdLatencyParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to measure."""

    window: Annotated[
        Duration,
        msgspec.Meta(description="how long to measure; p99s need 20 samples, so a quiet etcd needs longer"),
    ] = Duration.parse("10s")

    def __post_init__(self) -> None:
        if not 0 < self.window <= _LONGEST_WINDOW:
            raise ValueError(f"window: {self.window:g}s is not more than nothing and at most 10m")


class EtcdLatencyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and what it means. `causes` are verdict ids, the one that explains most first.

    The lists are unknown while a member of which too little is known could change them. `leader_disk_slow` is
    false on an idle etcd whose few fsyncs and local reads are fast. Seconds are the worst over all members.
    """

    causes: Known[tuple[str, ...]]
    leader_disk_slow: Known[bool]
    slow_disk_members: Known[tuple[str, ...]]
    slow_network_members: Known[tuple[str, ...]]
    fsync_p99_seconds: Known[float]
    commit_p99_seconds: Known[float]
    sample: LatencySample


class EtcdLatency(Step[EtcdLatencyParams, EtcdLatencyFacts]):
    """Find out why etcd is slow, or that it is not.

    Reads, from every member that answers: its metrics at both ends of `window`, and one key again and again
    in between, from the member alone (serializable) and by way of the leader (linearizable). Takes the window
    and half a second; a dead or frozen member adds up to 2.2 s.

    Finds causes and tells what follows from them underneath: `quorum-lost`, `no-leader`, `member-dead` and other
    silences, `maintenance`, `disk-slow-leader`, `-majority` or `-minority`, `network-node`, `network-pair`,
    `list-storm`, `write-storm`, `watch-leak-etcd`, `cpu-starved`, `member-slow`, `leader-churn`, `db-large`,
    `quota-differs`. When everything that was measured is good it says `not-etcd`, with the figures.

    A disk from which no fsync returns makes no sample: it is known by proposals that wait while others apply
    theirs. A window for which the deadline leaves too little time is not begun, and nothing is told of it.

    A p99 from fewer than 20 samples is unknown, not good. An idle etcd makes no fsyncs: its disks are not judged,
    and that is noted. What the answer needs and cannot be read is `cannot-tell`.

    Changes nothing, writes nothing, proposes nothing.

    Sources: etcd's FAQ and alert rules for the thresholds; etcd observes round trips only every 5 to 30 s and
    smoothed, so probes decide about the network.
    """

    uses = "etcd.latency"
    risk = Risk.READ
    causes = causes.LATENCY
    reads_by_hand = (
        "curl -s {metrics}/metrics | grep -E 'wal_fsync|backend_commit|peer_round_trip'  # twice, each member",
        "time etcdctl --endpoints={endpoint} get compact_rev_key --consistency=s  # each member; l asks the leader",
    )

    def look(self, read: ClusterReader, params: EtcdLatencyParams) -> EtcdLatencyFacts:
        sample = measure_latency(read, params.window)
        diagnosis, each = diagnose(sample), judge_each(sample)
        return EtcdLatencyFacts(
            causes=diagnosis.causes,
            leader_disk_slow=diagnosis.leader_disk_slow,
            slow_disk_members=diagnosis.slow_disk_members,
            slow_network_members=diagnosis.slow_network_members,
            fsync_p99_seconds=_worst([member.fsync_p99 for member in each]),
            commit_p99_seconds=_worst([member.commit_p99 for member in each]),
            sample=sample,
        )

    def plan(self, params: EtcdLatencyParams, facts: EtcdLatencyFacts, earlier: Sequence[Change]) -> Proposal:
        return Proposal(findings=diagnose(facts.sample).findings)


def _worst(values: Sequence[Known[float]]) -> Known[float]:
    """Return the largest value; unknown when one is, because that one could be the largest."""
    known = [value for value in values if not isinstance(value, Unknown)]
    unknown = next((value for value in values if isinstance(value, Unknown)), None)
    return unknown if unknown is not None else max(known, default=0.0)
