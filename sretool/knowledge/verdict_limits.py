"""What a sample cannot say, what it shows to be good, and what merely follows from a cause."""

from sretool.knowledge.latency_view import (
    EXPLAINED_SILENCES,
    LatencyView,
    MemberView,
    fsync_row,
    names,
    reads_row,
    shown,
)
from sretool.knowledge.latency_windows import p99
from sretool.knowledge.verdict_load import is_suffering
from sretool.knowledge.verdict_members import is_quorum_lost
from sretool.model import MINIMUM_SAMPLES, Evidence, Finding, Severity, Unknown


def consequences(view: LatencyView) -> tuple[str, ...]:
    """Return what follows from whatever is wrong: slow reads, failed and waiting proposals, leader changes."""
    found = []
    slow = [member for member in view.answering if member.linearizable.is_slow]
    if slow:
        found.append(f"linearizable reads are slow through {names(slow)}")
    local = [member for member in view.answering if member.serializable.is_slow]
    if local:
        found.append(f"serializable reads are slow through {names(local)}")
    waiting = [member for member in view.silent if member.waits_for_disk]
    if waiting:
        found.append(f"requests to {names(waiting)} get no answer in time")
    counted = (
        ("server_proposals_failed_total", "failed proposals"),
        ("server_slow_apply_total", "slow applies"),
        ("server_slow_read_indexes_total", "linearizable reads that timed out"),
        ("server_heartbeat_send_failures_total", "heartbeats sent late"),
    )
    found += [
        f"{total:.0f} {what}"
        for name, what in counted
        if (total := sum(member.increase(name) for member in view.members)) > 0
    ]
    if view.leader_changes:
        found.append(f"leader changes: {view.leader_changes}")
    return tuple(found)


def unread_reason(view: LatencyView) -> str:
    """Return why the causes cannot be told for sure; empty when enough was read."""
    if is_quorum_lost(view):
        return ""
    for member in view.members:
        if member.waits_for_disk:
            continue
        if member.fell_silent:
            return f"{member.name} stopped answering during the window"
        if member.sample.silence and member.sample.silence not in EXPLAINED_SILENCES:
            return f"{member.name} does not answer: {member.sample.silence_reason}"
        if member.answers and isinstance(member.sample.window, Unknown):
            return f"the metrics of {member.name} cannot be read: {member.sample.window.reason}"
    return ""


def blind_spots(view: LatencyView, *, has_cause: bool) -> tuple[Finding, ...]:
    """Return, as `cannot-tell`, what the answer needs and the sample does not hold.

    Without a quorum that is the answer, and nothing more is needed.
    """
    if is_quorum_lost(view):
        return ()
    found = []
    silent = [member for member in view.silent if not (member.fell_silent or member.waits_for_disk)]
    if silent:
        found.append(_blind(f"how fast {names(silent)} is could not be measured: no answer", silent[0]))
    for member in view.answering:
        if isinstance(member.sample.window, Unknown):
            reason = member.sample.window.reason
            sentence = f"the disk and network of {member.name} cannot be judged without its metrics: {reason}"
            found.append(_blind(sentence, member))
        elif isinstance(member.disk_slow, Unknown) and member.disk_suspicious and is_suffering(member):
            found.append(
                _blind(
                    f"{member.name} is slow, and made too few fsyncs to tell whether its disk is the cause",
                    member,
                    fsync_row(member),
                    reads_row(member, linearizable=False),
                )
            )
    if not found and not has_cause:
        found += [
            _blind(
                f"reads through {member.name} are slow, and nothing that was measured explains it",
                member,
                reads_row(member, linearizable=True),
                reads_row(member, linearizable=False),
            )
            for member in view.answering
            if member.linearizable.is_slow or member.serializable.is_slow
        ]
    return tuple(found)


def say_good(view: LatencyView) -> tuple[Finding, ...]:
    """Return what was measured and is good: `not-etcd` where that is everything, else a note on what is not judged.

    An idle etcd makes no fsyncs. That is no fault and nothing is missing for an answer, but its disks have not
    been shown to be good either.
    """
    members = view.answering
    rows = tuple(
        row
        for member in members
        for row in (fsync_row(member), reads_row(member, linearizable=False), _linearizable_row(member))
        if row is not None
    )
    unjudged = [member for member in members if isinstance(member.disk_slow, Unknown)]
    few = [member for member in members if not _reads_are_good(member)]
    untimed = [member for member in few if not member.serializable.total]
    if untimed:
        sentence = (
            f"reads through {names(untimed)} could not be timed: only disks are judged, by their metrics; network, "
            "CPU and what stands before etcd are not"
        )
        return (Finding(severity=Severity.NOTE, sentence=sentence, evidence=rows),)
    if few:
        sentence = (
            f"a few reads through {names(few)} were slow or too few were made: not enough to name a cause"
        )
        return (Finding(severity=Severity.NOTE, sentence=sentence, evidence=rows),)
    if unjudged:
        most = max(_fsyncs(member) for member in unjudged)
        sentence = (
            f"reads are fast through every member; etcd is idle on {names(unjudged)} (at most {most} fsyncs in the "
            f"window, a p99 needs {MINIMUM_SAMPLES}): disk latency is not judged"
        )
        return (Finding(severity=Severity.NOTE, verdict="idle", sentence=sentence, evidence=rows),)
    worst = max(members, key=_fsync, default=None)
    if worst is None:
        return ()
    slowest = max(max(m.linearizable.median, m.serializable.median) for m in members)
    return (
        Finding(
            severity=Severity.OK,
            verdict="not-etcd",
            sentence=f"etcd is fast: WAL fsync p99 is {shown(_fsync(worst))} at most ({worst.name}), reads take "
            f"{shown(slowest)}; what is slow stands before it (API server, webhooks, clients)",
            evidence=rows,
        ),
    )


def _blind(sentence: str, member: MemberView, *rows: Evidence) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        verdict="cannot-tell",
        subject=member.name,
        sentence=sentence,
        evidence=rows,
        blind=True,
    )


def _reads_are_good(member: MemberView) -> bool:
    return member.serializable.is_good and (member.is_learner or member.linearizable.is_good)


def _linearizable_row(member: MemberView) -> Evidence | None:
    return None if member.is_learner else reads_row(member, linearizable=True)


def _fsyncs(member: MemberView) -> int:
    window = member.window
    return int(window.fsync.count) if window and not isinstance(window.fsync, Unknown) else 0


def _fsync(member: MemberView) -> float:
    value = p99(member.window.fsync) if member.window else 0.0
    return 0.0 if isinstance(value, Unknown) else value
