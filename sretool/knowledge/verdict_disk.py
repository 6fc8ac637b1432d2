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
        sentence = f"{_disks(slow)}: every commit waits for {'it' if len(slow) == 1 else 'one of them'}"
        return (_finding("disk-slow-majority", sentence, slow, follows), *_notes(view))
    led = tuple(member for member in slow if member.name == view.leader)
    rest = tuple(member for member in slow if member.name != view.leader)
    found = []
    if led:
        sentence = f"{_disks(led, leads=True)}: every commit and linearizable read waits for it"
        found.append(_finding("disk-slow-leader", sentence, led, follows))
    if rest:
        without = "it, its" if len(rest) == 1 else "them, their"
        sentence = f"{_disks(rest)}: commits go on without {without} own clients wait"
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


def _disks(members: tuple[MemberView, ...], *, leads: bool = False) -> str:
    hangs = all(member.disk_hangs for member in members)
    who = f"{'the leader ' if leads else ''}{names(members)}"
    if len(members) == 1:
        return f"the disk of {who} {'does not return from fsync' if hangs else 'is slow'}"
    return f"the disks of {who} {'do not return from fsync' if hangs else 'are slow'}"


def _finding(
    verdict: str, sentence: str, members: tuple[MemberView, ...], follows: tuple[str, ...]
) -> Finding:
    worst = max(_fsync_seconds(member) for member in members)
    hangs = any(member.disk_hangs for member in members)
    hurts = verdict != "disk-slow-minority" or hangs or worst >= thresholds.FSYNC_CRITICAL_SECONDS
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
                *((_waiting_row(member),) if member.disk_hangs else ()),
                _commit_row(member),
                *(
                    reads_row(member, linearizable=kind)
                    for kind in (False, True)
                    if not member.sample.silence
                ),
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
        and _fsync_seconds(member) > thresholds.FSYNC_NOTE_SECONDS
        and above(member.window.fsync, thresholds.FSYNC_NOTE_SECONDS) >= thresholds.MEDIAN_SAMPLES
    )


def _fsync_seconds(member: MemberView) -> float:
    """Return the p99, the mean of too few samples for one, 0 without any."""
    fsync = member.window.fsync if member.window else Unknown("its metrics cannot be read")
    known = [] if isinstance(fsync, Unknown) else [fsync.quantile(0.99), fsync.mean]
    return next((value for value in known if not isinstance(value, Unknown)), 0.0)


def _waiting_row(member: MemberView) -> Evidence:
    window = member.window
    pending = window.lasting("server_proposals_pending") if window else 0.0
    failed = member.increase("server_proposals_failed_total")
    return Evidence(
        what=f"proposals of {member.name}",
        value=f"none applied in the window, {failed:.0f} failed, {pending:.0f} pending at both ends",
        threshold="some applied, where others apply or its own wait",
        source="etcd_server_proposals_applied_total, _failed_total, _pending",
    )


def _commit_row(member: MemberView) -> Evidence:
    commit = member.window.commit if member.window else Unknown("its metrics cannot be read")
    return Evidence(
        what=f"backend commit p99 of {member.name}",
        value=shown(p99(commit)),
        threshold=f"slow: over {shown(thresholds.COMMIT_SLOW_SECONDS)}",
        source="etcd_disk_backend_commit_duration_seconds",
    )
