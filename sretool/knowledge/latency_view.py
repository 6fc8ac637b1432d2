"""A latency sample, judged member by member once: what every verdict rule looks at."""

from collections.abc import Iterable

import msgspec

from sretool.knowledge import thresholds
from sretool.knowledge.latency_windows import (
    Reads,
    is_disk_hung,
    is_disk_slow,
    is_disk_suspicious,
    p99,
    reads_of,
)
from sretool.knowledge.quorum import STILL_VOTING, quorum_of
from sretool.knowledge.words import listed, show_seconds
from sretool.model import Evidence, Known, Silence, Unknown
from sretool.model.latency import LatencySample, MemberSample, MemberWindow

# A silent member that is known to be in this state is named and done with; of any other nothing is known.
EXPLAINED_SILENCES = frozenset({Silence.DEAD, Silence.FROZEN, Silence.DEFRAGMENTING})


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """One member: its sample, and what is judged of it alone."""

    sample: MemberSample
    serializable: Reads
    linearizable: Reads
    disk_slow: Known[bool]
    disk_suspicious: bool
    disk_hangs: bool

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def window(self) -> MemberWindow | None:
        return None if isinstance(self.sample.window, Unknown) else self.sample.window

    @property
    def answers(self) -> bool:
        """It answered Status, and went on answering what it can answer alone."""
        return self.sample.silence is None and not self.fell_silent

    @property
    def fell_silent(self) -> bool:
        """It answered Status, and then left a read unanswered that needs nobody else."""
        return self.sample.silence is None and self.serializable.failed > 0

    @property
    def waits_for_disk(self) -> bool:
        """It leaves requests unanswered, and its metrics, which answer, say why: its disk is slow."""
        slow_alone = self.fell_silent or self.sample.silence is Silence.SLOW
        return slow_alone and self.disk_slow is True

    @property
    def takes_part(self) -> bool:
        """It votes, as far as can be seen: it answered Status, or tells of itself that it knows a leader."""
        silence = self.sample.silence
        return silence is None or silence in STILL_VOTING or self.gauge("server_has_leader") == 1

    @property
    def is_learner(self) -> bool:
        return not isinstance(self.sample.status, Unknown) and self.sample.status.is_learner

    @property
    def cpu_share(self) -> float:
        """The share of its cores that it used; 0 where it does not tell how many it may use (before 3.6)."""
        cores = self.gauge("go_sched_gomaxprocs_threads")
        return self.window.rate("process_cpu_seconds_total") / cores if self.window and cores else 0.0

    @property
    def is_busy(self) -> bool:
        return self.cpu_share >= thresholds.CPU_STARVED_SHARE

    @property
    def sent_bytes_per_second(self) -> float:
        return self.window.rate("network_client_grpc_sent_bytes_total") if self.window else 0.0

    @property
    def bytes_per_read(self) -> float:
        reads = self.window.rate("mvcc_range_total") if self.window else 0.0
        return self.sent_bytes_per_second / reads if reads else 0.0

    @property
    def serves_large_reads(self) -> bool:
        """It sends much, in large answers, and no snapshot is being read from it."""
        return (
            self.sent_bytes_per_second >= thresholds.LIST_BYTES_PER_SECOND
            and self.bytes_per_read >= thresholds.LIST_BYTES_PER_READ
            and self.gauge("snapshot_streams") <= 0
        )

    def increase(self, name: str) -> float:
        return self.window.increases.get(name, 0.0) if self.window else 0.0

    def gauge(self, name: str) -> float:
        return self.window.gauges.get(name, 0.0) if self.window else 0.0


class LatencyView(msgspec.Struct, frozen=True, kw_only=True):
    """All members, and who led them: at the begin of the window, and at its end (empty: nobody known)."""

    members: tuple[MemberView, ...]
    first_leader: str
    leader: str

    @property
    def answering(self) -> tuple[MemberView, ...]:
        return tuple(member for member in self.members if member.answers)

    @property
    def silent(self) -> tuple[MemberView, ...]:
        return tuple(member for member in self.members if not member.answers)

    @property
    def voters(self) -> int:
        return sum(1 for member in self.members if not member.is_learner)

    @property
    def quorum(self) -> int:
        return quorum_of(self.voters)

    @property
    def lost_voters(self) -> tuple[MemberView, ...]:
        """Voters that take no part in raft, as far as can be seen; one that is only slow to answer does."""
        return tuple(member for member in self.members if not member.is_learner and not member.takes_part)

    @property
    def leader_changes(self) -> int:
        """The most leader changes that a member saw during the window."""
        name = "server_leader_changes_seen_total"
        return int(max((member.increase(name) for member in self.members), default=0))

    @property
    def write_rate(self) -> float:
        """Writes a second, as the leader counts them."""
        leader = self.find(self.leader)
        names = ("mvcc_put_total", "mvcc_txn_total", "mvcc_delete_total")
        return sum(leader.window.rate(name) for name in names) if leader and leader.window else 0.0

    @property
    def is_flooded(self) -> bool:
        """Many writes queue at both ends of the window, and none fails as some would if packets were lost."""
        leader = self.find(self.leader)
        return (
            leader is not None
            and leader.window is not None
            and self.write_rate >= thresholds.WRITES_PER_SECOND
            and leader.window.lasting("server_proposals_pending") > thresholds.PENDING_PROPOSALS
            and not any(member.increase("server_proposals_failed_total") for member in self.members)
        )

    def find(self, name: str) -> MemberView | None:
        return next((member for member in self.members if member.name == name), None)


def view_of(sample: LatencySample) -> LatencyView:
    """Return `sample`, judged.

    A leader whose disk hangs does not hear that another was elected, and calls itself leader still.
    """
    members = tuple(_view_of(member, sample) for member in sample.members)
    claims = [
        (member.status.raft_term, member.name)
        for member in sample.members
        if not isinstance(member.status, Unknown) and member.status.is_leader
    ]
    first = max(claims, key=lambda claim: claim[0], default=(0, ""))[1]
    in_doubt_last = sorted(members, key=lambda member: member.disk_hangs)
    last = next((member.name for member in in_doubt_last if member.gauge("server_is_leader") == 1), "")
    measured = any(member.window for member in members)
    return LatencyView(members=members, first_leader=first, leader=last if measured and last else first)


def _view_of(member: MemberSample, sample: LatencySample) -> MemberView:
    others = [other for other in sample.members if other is not member]
    hangs = is_disk_hung(member, others)
    return MemberView(
        sample=member,
        serializable=reads_of(member.serializable),
        linearizable=reads_of(member.linearizable),
        disk_slow=True if hangs else is_disk_slow(member),
        disk_suspicious=is_disk_suspicious(member, others),
        disk_hangs=hangs,
    )


def names(members: Iterable[MemberView]) -> str:
    """Return the members' names as a list within a sentence."""
    return listed([member.name for member in members])


def shown(seconds: Known[float]) -> str:
    """Return a duration as people say it, the reason where it is unknown."""
    return f"unknown ({seconds.reason})" if isinstance(seconds, Unknown) else show_seconds(seconds)


def reads_row(member: MemberView, *, linearizable: bool) -> Evidence:
    """Return a member's probes as a row of evidence."""
    reads = member.linearizable if linearizable else member.serializable
    kind = "linearizable" if linearizable else "serializable"
    failed = f", {reads.failed} of them without an answer" if reads.failed else ""
    return Evidence(
        what=f"{kind} reads through {member.name}",
        value=f"{reads.slow} of {reads.total} slow{failed}; median {shown(reads.median)}, "
        f"longest {shown(reads.longest)}",
        threshold=f"slow: over {shown(thresholds.READ_SLOW_SECONDS)}",
        source="probes",
    )


def fsync_row(member: MemberView) -> Evidence:
    """Return a member's WAL fsync as a row of evidence."""
    window = member.window
    fsync = window.fsync if window else Unknown("its metrics cannot be read")
    value = p99(fsync)
    text = f"{shown(value)} of {fsync.count:g}" if not isinstance(fsync, Unknown) else shown(fsync)
    if isinstance(value, Unknown) and not isinstance(fsync, Unknown):
        text = f"unknown: {fsync.count:g} samples, mean {shown(fsync.mean)}" if fsync.count else "no fsync"
    return Evidence(
        what=f"WAL fsync p99 of {member.name}",
        value=text,
        threshold=f"slow: over {shown(thresholds.FSYNC_SLOW_SECONDS)}; good: under "
        f"{shown(thresholds.FSYNC_NOTE_SECONDS)}",
        source="etcd_disk_wal_fsync_duration_seconds",
    )
