"""Verdicts on the members' disks: whose is slow, and whether every commit waits for it."""

from sretool.knowledge import thresholds
from sretool.knowledge.latency_view import LatencyView, MemberView, fsync_row, names, reads_row, shown
from sretool.knowledge.latency_windows import above, p99
from sretool.model import Evidence, Finding, Severity, Unknown


def judge_disks(view: LatencyView, follows: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return `disk-slow-majority`, `disk-slow-leader`, `disk-slow-minority`, or a note on a disk near the edge.

    A commit needs a quorum of fsyncs: when fewer fast disks than that are left every commit waits for a slow
    one, and moving the leader cures nothing. Otherwise only the leader's own disk holds up commits.
    """
    slow = slow_disks(view)
    if view.voters - len(slow) < view.quorum and slow:
        sentence = f"the disks of {names(slow)} are slow: every commit waits for one of them"
        return (_finding("disk-slow-majority", sentence, slow, follows), *_notes(view))
    led = tuple(member for member in slow if member.name == view.leader)
    rest = tuple(member for member in slow if member.name != view.leader)
    found = []
    if led:
        sentence = (
            f"the disk of the leader {names(led)} is slow: every commit and linearizable read waits for it"
        )
        found.append(_finding("disk-slow-leader", sentence, led, follows))
    if rest:
        sentence = f"the disk of {names(rest)} is slow: commits go on without it, its own clients wait"
        found.append(_finding("disk-slow-minority", sentence, rest, () if led else follows))
    return (*found, *_notes(view))


def slow_disks(view: LatencyView) -> tuple[MemberView, ...]:
    """Return the voters whose disks are slow."""
    return tuple(member for member in view.members if member.disk_slow is True and not member.is_learner)


def holds_up_everyone(view: LatencyView) -> bool:
    """Tell whether every linearizable read and commit waits for a slow disk."""
    slow = slow_disks(view)
    leads = {view.leader, view.first_leader}
    return bool(slow) and (
        view.voters - len(slow) < view.quorum or any(member.name in leads for member in slow)
    )


def _finding(
    verdict: str, sentence: str, members: tuple[MemberView, ...], follows: tuple[str, ...]
) -> Finding:
    worst = max(_p99_or_zero(member) for member in members)
    hurts = verdict != "disk-slow-minority" or worst >= thresholds.FSYNC_CRITICAL_SECONDS
    return Finding(
        severity=Severity.CRITICAL if hurts else Severity.WARNING,
        verdict=verdict,
        subject=", ".join(member.name for member in members),
        sentence=sentence,
        evidence=tuple(
            row
            for member in members
            for row in (
                fsync_row(member),
                _commit_row(member),
                reads_row(member, linearizable=False),
                reads_row(member, linearizable=True),
            )
        ),
        follows=follows,
        refuted_by="a p99 under 10 ms on the same member while as much is written",
    )


def _notes(view: LatencyView) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            severity=Severity.NOTE,
            subject=member.name,
            sentence=f"the disk of {member.name} is not slow, but slower than etcd wants it",
            evidence=(fsync_row(member),),
        )
        for member in view.answering
        if member.disk_slow is False
        and member.window
        and not isinstance(member.window.fsync, Unknown)
        and _p99_or_zero(member) > thresholds.FSYNC_NOTE_SECONDS
        and above(member.window.fsync, thresholds.FSYNC_NOTE_SECONDS) >= thresholds.MEDIAN_SAMPLES
    )


def _p99_or_zero(member: MemberView) -> float:
    value = p99(member.window.fsync) if member.window else 0.0
    return 0.0 if isinstance(value, Unknown) else value


def _commit_row(member: MemberView) -> Evidence:
    commit = member.window.commit if member.window else Unknown("its metrics cannot be read")
    return Evidence(
        what=f"backend commit p99 of {member.name}",
        value=shown(p99(commit)),
        threshold=f"slow: over {shown(thresholds.COMMIT_SLOW_SECONDS)}",
        source="etcd_disk_backend_commit_duration_seconds",
    )
