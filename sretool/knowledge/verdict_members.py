"""Verdicts on whether the members are there: quorum, leader, silence, maintenance."""

from sretool.knowledge.latency_view import EXPLAINED_SILENCES, LatencyView, MemberView, names
from sretool.knowledge.latency_windows import is_compacting
from sretool.knowledge.words import listed
from sretool.model import Evidence, Finding, Severity, Silence, Unknown

_SAYS = {
    Silence.DEAD: "is dead: its port refuses connections",
    Silence.FROZEN: "is frozen: its port accepts connections, and nothing behind it answers",
    Silence.DEFRAGMENTING: "defragments: it answers nothing else until that ends",
    Silence.UNREACHABLE: "cannot be reached from here",
    Silence.TLS: "answers, but the TLS handshake fails",
    Silence.SLOW: "does not answer, although its process runs",
}


def judge_members(view: LatencyView, follows: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the verdicts `quorum-lost`, `no-leader`, `member-…` and `maintenance`.

    `follows` is what is told under a member's silence when nothing else explains it.
    """
    lost = _quorum_lost(view)
    unexplained = [member for member in view.silent if not member.waits_for_disk]
    return (
        *((lost,) if lost else _no_leader(view)),
        *(_silence(one, follows, blind=lost is None) for one in unexplained if one.sample.silence),
        *(_fell_silent(member) for member in unexplained if member.fell_silent),
        *(_maintenance(member) for member in view.members if maintenance_of(member)),
        *_compaction(view),
    )


def is_quorum_lost(view: LatencyView) -> bool:
    """Tell whether too few voters are left, as far as can be seen: a read that needs a quorum disproves it."""
    answered = any(member.linearizable.total > member.linearizable.failed for member in view.members)
    return view.voters - len(view.lost_voters) < view.quorum and not answered


def maintenance_of(member: MemberView) -> str:
    """Return what the member is busy with that stalls it; empty when nothing does."""
    if member.sample.silence is Silence.DEFRAGMENTING or member.gauge("disk_defrag_inflight") > 0:
        return "a defragmentation"
    if member.gauge("server_snapshot_apply_in_progress_total") > 0:
        return "applying a snapshot from the leader"
    if member.gauge("network_snapshot_receive_inflights_total") > 0:
        return "receiving a snapshot from the leader"
    return ""


def _quorum_lost(view: LatencyView) -> Finding | None:
    if not is_quorum_lost(view):
        return None
    lost = view.lost_voters
    return Finding(
        severity=Severity.CRITICAL,
        verdict="quorum-lost",
        sentence=f"no quorum: {view.voters - len(lost)} of {view.voters} voters answer, {view.quorum} are needed; "
        f"{names(lost)} {'does' if len(lost) == 1 else 'do'} not",
        evidence=tuple(
            Evidence(what=member.name, value=member.sample.silence_reason, source="TCP and metrics")
            for member in lost
        ),
        follows=("no write and no linearizable read is answered", "there is no leader"),
    )


def _no_leader(view: LatencyView) -> tuple[Finding, ...]:
    asked = [member for member in view.answering if not member.is_learner]
    seen = [member.window for member in asked if member.window]
    led = any(
        window.gauges.get("server_has_leader") or window.first_gauges.get("server_has_leader")
        for window in seen
    )
    answered = any(member.linearizable.total > member.linearizable.failed for member in asked)
    if not seen or led or answered:
        return ()
    return (
        Finding(
            severity=Severity.CRITICAL,
            verdict="no-leader",
            sentence=f"no leader during the whole window, although {names(asked)} answer: "
            "the members do not reach each other",
            evidence=tuple(
                Evidence(what=f"leader known to {member.name}", value="none", source="etcd_server_has_leader")
                for member in asked
            ),
            follows=("no write and no linearizable read is answered",),
        ),
    )


def _silence(member: MemberView, follows: tuple[str, ...], *, blind: bool) -> Finding:
    silence = member.sample.silence or Silence.UNREACHABLE
    reason = member.sample.status.reason if isinstance(member.sample.status, Unknown) else ""
    return Finding(
        severity=Severity.WARNING,
        verdict=f"member-{silence.value}",
        subject=member.name,
        sentence=f"{member.name} {_SAYS[silence]}",
        evidence=(
            Evidence(what="Status", value=reason, threshold="an answer in 1.2 s", source="gRPC"),
            Evidence(what="its ports", value=member.sample.silence_reason, source="TCP and metrics"),
        ),
        follows=follows if blind else (),
        blind=blind and silence not in EXPLAINED_SILENCES,
    )


def _fell_silent(member: MemberView) -> Finding:
    failure = next(probe.failure for probe in member.sample.serializable if probe.failure)
    return Finding(
        severity=Severity.WARNING,
        verdict="cannot-tell",
        subject=member.name,
        sentence=f"{member.name} stopped answering during the window: look again",
        evidence=(Evidence(what="serializable read", value=failure, source="probes"),),
        blind=True,
    )


def _maintenance(member: MemberView) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        verdict="maintenance",
        subject=member.name,
        sentence=f"{member.name} is busy with {maintenance_of(member)}: wait for its end",
        evidence=(
            Evidence(
                what=maintenance_of(member),
                value="in flight",
                source="etcd_disk_defrag_inflight, etcd_server_snapshot_apply_in_progress_total, "
                "etcd_network_snapshot_receive_inflights_total",
            ),
        ),
    )


def _compaction(view: LatencyView) -> tuple[Finding, ...]:
    busy = [member.name for member in view.members if is_compacting(member.sample)]
    if not busy:
        return ()
    return (
        Finding(
            severity=Severity.NOTE,
            verdict="maintenance",
            sentence=f"a compaction ran on {listed(busy)} during the window; a Kubernetes etcd has one every 5 min",
        ),
    )
