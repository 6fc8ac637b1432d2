"""Verdicts on what etcd is asked to do: CPU, expensive reads, writes, watches, the database's size.

Load alone is no cause: a rule speaks when the member suffers as well (slow reads, slow applies, a queue of
proposals) and neither its disk nor its network explains that.
"""

import msgspec

from sretool.knowledge import thresholds
from sretool.knowledge.latency_view import LatencyView, MemberView, reads_row, shown
from sretool.knowledge.latency_windows import is_apply_slow, p99
from sretool.knowledge.space import bytes_text, fragmentation_finding, quota_findings
from sretool.knowledge.verdict_members import maintenance_of
from sretool.model import Evidence, Finding, Severity, Unknown


def judge_load(
    view: LatencyView, follows: tuple[str, ...], *, explained: frozenset[str]
) -> tuple[Finding, ...]:
    """Return `list-storm`, `write-storm`, `watch-leak-etcd`, `cpu-starved` and `member-slow`.

    `explained` are the members whose slowness has a cause already; `follows` is told under the first finding.
    """
    members = [m for m in view.answering if m.name not in explained and not maintenance_of(m) and m.window]
    found = [
        finding
        for member in members
        for finding in (_list_storm(member), _watch_leak(member))
        if finding is not None
    ]
    if view.is_flooded and view.leader in {member.name for member in members}:
        found.append(_write_storm(view))
    blamed = {finding.subject for finding in found}
    busy = [member for member in members if member.name not in blamed]
    found += [one for member in busy if (one := _cpu(member) or _slow_itself(member)) is not None]
    return tuple(
        msgspec.structs.replace(finding, follows=follows) if finding is found[0] else finding
        for finding in found
    )


def judge_database(view: LatencyView) -> tuple[Finding, ...]:
    """Return `db-large`, `quota-differs` and a note on fragmentation."""
    statuses = [
        (member.name, member.sample.status)
        for member in view.members
        if not isinstance(member.sample.status, Unknown)
    ]
    quotas = {member.name: int(member.gauge("server_quota_backend_bytes")) for member in view.members}
    used = {name: status.db_size_bytes / quotas[name] for name, status in statuses if quotas[name] > 0}
    fragmented = fragmentation_finding(statuses)
    return (*quota_findings(used, quotas), *((fragmented,) if fragmented else ()))


def is_suffering(member: MemberView) -> bool:
    """Tell whether the member is slow for its clients, whatever the cause."""
    pending = member.window.lasting("server_proposals_pending") if member.window else 0.0
    return (
        member.serializable.is_slow
        or member.linearizable.is_slow
        or is_apply_slow(member.sample)
        or member.increase("server_slow_apply_total") > 0
        or pending > thresholds.PENDING_PROPOSALS
    )


def _list_storm(member: MemberView) -> Finding | None:
    if not member.serves_large_reads or not is_suffering(member):
        return None
    sent, each = int(member.sent_bytes_per_second), int(member.bytes_per_read)
    return Finding(
        severity=Severity.WARNING,
        verdict="list-storm",
        subject=member.name,
        sentence=f"large reads load {member.name}: {bytes_text(each)} each, {bytes_text(sent)}/s",
        evidence=(
            Evidence(
                what=f"sent to clients by {member.name}",
                value=f"{bytes_text(sent)}/s",
                threshold=f"{bytes_text(thresholds.LIST_BYTES_PER_SECOND)}/s",
                source="etcd_network_client_grpc_sent_bytes_total",
            ),
            _cpu_row(member),
            reads_row(member, linearizable=False),
        ),
        refuted_by="the API servers' LIST rate by resource and user agent stays as usual",
    )


def _write_storm(view: LatencyView) -> Finding:
    leader = next(member for member in view.members if member.name == view.leader)
    return Finding(
        severity=Severity.WARNING,
        verdict="write-storm",
        subject=leader.name,
        sentence=f"more is written than {leader.name} keeps up with: {view.write_rate:.0f} writes a second",
        evidence=(
            Evidence(
                what="writes a second",
                value=f"{view.write_rate:.0f}",
                threshold=f"{thresholds.WRITES_PER_SECOND}",
                source="etcd_mvcc_put_total, _txn_total, _delete_total",
            ),
            _pending_row(leader),
            _cpu_row(leader),
        ),
        refuted_by="a census that shows no resource growing",
    )


def _watch_leak(member: MemberView) -> Finding | None:
    window = member.window
    if window is None:
        return None
    watchers = window.gauges.get("debugging_mvcc_watcher_total", 0.0)
    behind = window.lasting("debugging_mvcc_slow_watcher_total")
    pending = window.lasting("debugging_mvcc_pending_events_total")
    too_many = watchers >= thresholds.WATCHERS and is_suffering(member)
    if not too_many and not (behind and pending):
        return None
    return Finding(
        severity=Severity.WARNING,
        verdict="watch-leak-etcd",
        subject=member.name,
        sentence=f"{watchers:.0f} watches on {member.name}, {behind:.0f} of them behind: its clients read events "
        "more slowly than they happen, or too many watch etcd itself",
        evidence=(
            Evidence(
                what=f"watchers of {member.name}",
                value=f"{watchers:.0f}, {behind:.0f} behind, {pending:.0f} events pending",
                threshold=f"{thresholds.WATCHERS} watchers, or some behind at both ends of the window",
                source="etcd_debugging_mvcc_watcher_total, _slow_watcher_total, _pending_events_total",
            ),
        ),
    )


def _cpu(member: MemberView) -> Finding | None:
    if not member.is_busy or not is_suffering(member):
        return None
    return Finding(
        severity=Severity.WARNING,
        verdict="cpu-starved",
        subject=member.name,
        sentence=f"{member.name} uses all the CPU it may: its disk is fast, its answers are not",
        evidence=(_cpu_row(member), _apply_row(member), reads_row(member, linearizable=False)),
    )


def _slow_itself(member: MemberView) -> Finding | None:
    if not member.serializable.is_slow:
        return None
    return Finding(
        severity=Severity.WARNING,
        verdict="member-slow",
        subject=member.name,
        sentence=f"{member.name} is slow to answer reads that need nobody else, its disk is not slow and it is "
        "not busy: its host lacks CPU or memory, or the path from here is slow",
        evidence=(reads_row(member, linearizable=False), _cpu_row(member), _apply_row(member)),
        refuted_by="reads from the member's own host that are as slow, with CPU and memory to spare there",
    )


def _cpu_row(member: MemberView) -> Evidence:
    cores = member.gauge("go_sched_gomaxprocs_threads")
    used = member.window.rate("process_cpu_seconds_total") if member.window else 0.0
    return Evidence(
        what=f"CPU of {member.name}",
        value=f"{used:.2f} of {cores:.0f} cores" if cores else f"{used:.2f} cores, of how many is unknown",
        threshold=f"{thresholds.CPU_STARVED_SHARE:.0%}",
        source="process_cpu_seconds_total, go_sched_gomaxprocs_threads",
    )


def _apply_row(member: MemberView) -> Evidence:
    return Evidence(
        what=f"apply p99 of {member.name}",
        value=shown(p99(member.window.apply) if member.window else Unknown("its metrics cannot be read")),
        threshold=shown(thresholds.APPLY_SLOW_SECONDS),
        source="etcd_server_apply_duration_seconds",
    )


def _pending_row(member: MemberView) -> Evidence:
    pending = member.window.lasting("server_proposals_pending") if member.window else 0.0
    return Evidence(
        what=f"pending proposals of {member.name}",
        value=f"{pending:.0f} at both ends of the window",
        threshold=f"{thresholds.PENDING_PROPOSALS}",
        source="etcd_server_proposals_pending",
    )
