"""Guards that judge the cluster as a whole: alarms, versions, members, quorum, leader."""

from sretool.knowledge.guard_context import GuardAnswer, GuardContext, passed, refuse, unread, wait
from sretool.knowledge.hazards import find_hazards
from sretool.knowledge.membership import find_differences
from sretool.knowledge.quorum import Votes, count_votes, raft_term
from sretool.model import AlarmType, EtcdState, Known, MemberId, MemberState, Unknown


def no_corruption(context: GuardContext) -> GuardAnswer:
    """CORRUPT, of any member or of nobody in particular, and alarms of unknown kind forbid every change."""
    alarms = context.state.alarms
    if isinstance(alarms, Unknown):
        return unread(
            "corrupt",
            f"whether CORRUPT is raised is unknown: {alarms.reason}",
            was_read=not isinstance(context.start.alarms, Unknown),
        )
    bad = [alarm for alarm in alarms if alarm.type is not AlarmType.NOSPACE]
    if not bad:
        return passed("corrupt", "no alarm CORRUPT")
    told = ", ".join(
        f"{alarm.type} of {f'member {MemberId(alarm.member_id)}' if alarm.member_id else 'a member unknown'}"
        for alarm in bad
    )
    return refuse(
        "corrupt", f"alarm {told}: while members' data may differ nothing is changed; compare their hashes"
    )


def no_hazard(context: GuardContext) -> GuardAnswer:
    """A version with a known bug that this change could meet forbids it.

    A silent member is judged by what it said when the run began; one that never spoke is left to the
    quorum's rule: it runs nothing that the change could meet.
    """
    versions = {
        member.name: version
        for member in context.state.members
        if (version := _version(member, context.at_start(member))) is not None
    }
    if not versions:
        return refuse("version-hazard", "no member tells its version", is_unknown=True)
    hazards = find_hazards(versions, context.change.effects)
    refusals = [f"{hazard.text} [{hazard.source}]" for hazard in hazards if hazard.verdict == "refuse"]
    if refusals:
        return refuse("version-hazard", "; ".join(refusals))
    warned = [hazard.text for hazard in hazards]
    return passed("version-hazard", "; ".join(warned) or "no known hazard of the members' versions")


def same_members(context: GuardContext) -> GuardAnswer:
    """An inventory that differs from the member list blocks every change."""
    differences = find_differences(context.state)
    if isinstance(differences, Unknown):
        return unread(
            "inventory",
            f"the inventory cannot be compared with the member list: {differences.reason}",
            was_read=not isinstance(find_differences(context.start), Unknown),
        )
    if differences:
        return refuse("inventory", "; ".join(differences))
    return passed("inventory", "the inventory matches the member list")


def is_closed(state: EtcdState) -> bool:
    """Tell whether it is seen that nothing in the cluster may be changed, neither by sretool nor by hand."""
    alarms, differences = state.alarms, find_differences(state)
    if not isinstance(alarms, Unknown) and any(alarm.type is not AlarmType.NOSPACE for alarm in alarms):
        return True
    return not isinstance(differences, Unknown) and bool(differences)


def has_quorum(context: GuardContext) -> GuardAnswer:
    """What helps needs a quorum and no more: margin, lag and churn do not forbid it."""
    votes = count_votes(context.state)
    if isinstance(votes, Unknown):
        return _no_list(context, votes)
    if votes.spare >= 0:
        return passed("quorum", str(votes))
    return (wait if votes.spare_soon >= 0 else refuse)("quorum", str(votes))


def voter_to_spare(context: GuardContext) -> GuardAnswer:
    """What stalls or stops a member needs one healthy voter more than the quorum."""
    votes = count_votes(context.state)
    if isinstance(votes, Unknown):
        return _no_list(context, votes)
    if votes.voters == 1:
        return _only_member(context, votes)
    if votes.spare >= 1:
        return passed("quorum", str(votes))
    reason = f"{votes}: a member is stalled only while one more could fail"
    if votes.spare_soon >= 1:
        return wait("quorum", reason)
    if votes.spare < 0:
        return refuse("quorum", reason)
    if context.is_accepted("margin"):
        return passed("quorum", f"{votes}: accepted with --accept margin")
    return refuse("quorum", reason, "margin")


def leader_unchanged(context: GuardContext) -> GuardAnswer:
    """An election since the run began that was not ours means that the cluster is not at rest."""
    before, now = raft_term(context.start), raft_term(context.state)
    if isinstance(before, Unknown):
        reason = f"the raft term at the start is unknown: {before.reason}"
        return refuse("leader-changed", reason, is_unknown=True)
    if isinstance(now, Unknown):
        return wait("leader-changed", f"the raft term is unknown: {now.reason}", is_unknown=True)
    if now - before > context.moves:
        return refuse(
            "leader-changed",
            f"the raft term rose from {before} to {now} since the run began, and this run moved leadership "
            f"{context.moves} times: others changed the leader",
        )
    return passed("leader-changed", f"raft term {now}, no leader change but ours")


def _only_member(context: GuardContext, votes: Votes) -> GuardAnswer:
    if votes.spare < 0:
        return (wait if votes.spare_soon >= 0 else refuse)("quorum", str(votes))
    if context.unattended and not context.in_window:
        return refuse(
            "quorum",
            "the cluster has one member: its stall is an outage, which needs a person at a terminal, or a "
            "maintenance window (`sretool runbook … --window`)",
        )
    return passed("quorum", "the cluster has one member: its stall is an outage")


def _no_list(context: GuardContext, votes: Unknown) -> GuardAnswer:
    return unread(
        "quorum",
        f"who votes is unknown: {votes.reason}",
        was_read=not isinstance(count_votes(context.start), Unknown),
    )


def _version(member: MemberState, at_start: MemberState) -> Known[str] | None:
    for seen in (member, at_start):
        if not isinstance(seen.status, Unknown):
            return seen.status.version
    return None
