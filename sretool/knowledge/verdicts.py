"""The latency verdicts: which causes explain a sample, ranked, with what follows from each under it."""

import msgspec

from sretool.knowledge.latency_view import LatencyView, MemberView, view_of
from sretool.knowledge.latency_windows import p99
from sretool.knowledge.thresholds import RTT_SLOW_SECONDS
from sretool.knowledge.verdict_disk import holds_up_everyone, judge_disks, slow_disks
from sretool.knowledge.verdict_limits import blind_spots, consequences, say_good, unread_reason
from sretool.knowledge.verdict_load import judge_database, judge_load
from sretool.knowledge.verdict_members import is_quorum_lost, judge_members
from sretool.knowledge.verdict_network import SlowPaths, find_slow_paths, judge_network, round_trip
from sretool.model import Finding, Known, Severity, Unknown
from sretool.model.latency import LatencySample, MemberLatency, MemberSample


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What a sample says. `causes` are verdict ids, the first explains most; consequences are not among them.

    The tuples are unknown while a member of which too little is known could change them.
    """

    findings: tuple[Finding, ...]
    causes: Known[tuple[str, ...]]
    leader_disk_slow: Known[bool]
    slow_disk_members: Known[tuple[str, ...]]
    slow_network_members: Known[tuple[str, ...]]


def diagnose(sample: LatencySample) -> Diagnosis:
    """Return the causes that explain `sample`, and no others.

    Rules look at causes in the order in which one explains the other: a missing quorum or member, maintenance,
    disks, network, load. What an earlier one explains is told as its consequence.
    """
    if sample.cut_short:
        return _cut_short(sample)
    view = view_of(sample)
    paths = SlowPaths() if is_quorum_lost(view) else find_slow_paths(view)
    follows = consequences(view)
    elsewhere = bool(slow_disks(view) or paths.members)
    found = (
        *judge_members(view, () if elsewhere else follows),
        *judge_disks(view, follows),
        *judge_network(view, paths, () if slow_disks(view) else follows),
        *judge_load(view, () if elsewhere else follows, explained=_explained(view, paths)),
    )
    found += _churn(view, found)
    blind = blind_spots(view, has_cause=any(finding.is_cause for finding in found))
    found += judge_database(view)
    causes = tuple(dict.fromkeys(finding.verdict for finding in found if finding.is_cause))
    unread = unread_reason(view)
    nothing_wrong = not causes and not any(finding.blind for finding in (*found, *blind))
    return Diagnosis(
        findings=(*found, *blind, *(say_good(view) if nothing_wrong else ())),
        causes=Unknown(unread) if unread else causes,
        leader_disk_slow=_leader_disk_slow(view),
        slow_disk_members=Unknown(unread) if unread else tuple(one.name for one in slow_disks(view)),
        slow_network_members=Unknown(unread) if unread else paths.members,
    )


def judge_each(sample: LatencySample) -> tuple[MemberLatency, ...]:
    """Return how fast each member is, in the sample's order: for choosing one."""
    if sample.cut_short:
        sample = _without_windows(sample)
    view = view_of(sample)
    slow = find_slow_paths(view).members
    return tuple(
        MemberLatency(
            name=member.name,
            fsync_p99=p99(member.window.fsync) if member.window else _unread(member),
            commit_p99=p99(member.window.commit) if member.window else _unread(member),
            round_trips={
                other.name: round_trip(view, member.name, other.name)
                for other in view.members
                if other.name != member.name
            },
            disk_slow=member.disk_slow,
            network_slow=_network_slow(view, member, slow),
        )
        for member in view.members
    )


def _cut_short(sample: LatencySample) -> Diagnosis:
    unread = Unknown(sample.cut_short)
    finding = Finding(
        severity=Severity.WARNING,
        verdict="cannot-tell",
        sentence=f"{sample.cut_short}: nothing was learned; give it a longer deadline or a shorter window",
        blind=True,
    )
    return Diagnosis(
        findings=(finding,),
        causes=unread,
        leader_disk_slow=unread,
        slow_disk_members=unread,
        slow_network_members=unread,
    )


def _without_windows(sample: LatencySample) -> LatencySample:
    unread = Unknown(sample.cut_short)
    members = tuple(MemberSample(name=one.name, status=unread, window=unread) for one in sample.members)
    return msgspec.structs.replace(sample, members=members)


def _explained(view: LatencyView, paths: SlowPaths) -> frozenset[str]:
    """Return the members whose slowness follows from a cause that was found already."""
    nodes = {node.name for node in paths.nodes}
    everyone = (
        holds_up_everyone(view)
        or bool(nodes & {view.leader, view.first_leader})
        or (bool(view.silent) and view.leader_changes > 0)
    )
    return frozenset(
        member.name
        for member in view.members
        if everyone or member.name in paths.members or member.disk_slow is True or member.disk_suspicious
    )


def _churn(view: LatencyView, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return `leader-churn` as a cause of its own only where nothing that was found explains it."""
    if not view.leader_changes or any(finding.is_cause for finding in found):
        return ()
    return (
        Finding(
            severity=Severity.WARNING,
            verdict="leader-churn",
            sentence=f"the leader changed {view.leader_changes} times in the window, and neither disk nor network "
            "explains it",
            follows=consequences(view),
        ),
    )


def _leader_disk_slow(view: LatencyView) -> Known[bool]:
    """Tell whether the leader's disk is slow.

    An idle leader makes too few fsyncs for a p99. Its disk is not called slow where those few were fast and its
    local reads are: they wait for the disk as soon as anything is written.
    """
    leader = view.find(view.leader)
    if leader is None:
        return Unknown("no leader is known")
    if not isinstance(leader.disk_slow, Unknown) or leader.window is None:
        return leader.disk_slow
    is_fast = leader.serializable.total and not leader.serializable.is_slow
    return False if is_fast and not leader.disk_suspicious else leader.disk_slow


def _unread(member: MemberView) -> Unknown:
    window = member.sample.window
    return window if isinstance(window, Unknown) else Unknown("its metrics cannot be read")


def _network_slow(view: LatencyView, member: MemberView, slow: tuple[str, ...]) -> Known[bool]:
    if member.name in slow:
        return True
    if not member.answers:
        return Unknown(f"{member.name} does not answer")
    if member.linearizable.is_slow:
        return Unknown(f"reads through {member.name} are slow for another reason, which hides its network")
    if not member.linearizable.is_good:
        return Unknown(f"too few good reads through {member.name} to judge its network by")
    others = [one.name for one in view.answering if one is not member and one.name not in slow]
    round_trips = [round_trip(view, member.name, other) for other in others]
    observed = [seconds for seconds in round_trips if not isinstance(seconds, Unknown)]
    return bool(observed) and min(observed) > RTT_SLOW_SECONDS
