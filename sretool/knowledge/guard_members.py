"""Guards that judge single members: what is in flight on them, how far behind they are, their disks."""

from sretool.knowledge.guard_context import GuardAnswer, GuardContext, passed, refuse, unread, wait
from sretool.knowledge.hazards import panics_when_full
from sretool.knowledge.quorum import LAG_CRITICAL, LAG_NOTICED, answering, count_votes, lag_of
from sretool.knowledge.words import show_bytes
from sretool.model import EndpointStatus, Known, MemberId, MemberState, Silence, Unknown

DISK_FACTOR = 1.2  # a defragmentation writes what is in use into a new file beside the old one


def nothing_in_flight(context: GuardContext) -> GuardAnswer:
    """No defragmentation and no compaction may run anywhere: two stalled members are an outage for somebody."""
    rule = "defrag-inflight"
    for member in context.state.members:
        if not isinstance(member.defrag_inflight, Unknown) and member.defrag_inflight > 0:
            return wait(rule, f"{member.name} is being defragmented")
    if context.state.compaction_inflight is True:
        return wait(rule, "a compaction is under way")
    if unread_member := _unread_anywhere(context, rule, "defrag_inflight"):
        return unread_member
    compaction = context.state.compaction_inflight
    # With a member lost, its part in a compaction stays unknown; what could not be read of others counts.
    if isinstance(compaction, Unknown) and all(member.silence is None for member in context.state.members):
        was_read = not isinstance(context.start.compaction_inflight, Unknown)
        return unread(
            rule, f"whether a compaction is under way is unknown: {compaction.reason}", was_read=was_read
        )
    return passed(rule, "no defragmentation and no compaction in flight")


def nobody_catching_up(context: GuardContext) -> GuardAnswer:
    """No member may be applying a snapshot, and a learner must have caught up.

    A defragmentation during applySnapshot corrupted data before 3.4.38, 3.5.23 and 3.6.5.
    """
    rule = "catching-up"
    state = context.state
    for member in state.members:
        if not isinstance(member.snapshot_apply_inflight, Unknown) and member.snapshot_apply_inflight > 0:
            return wait(rule, f"{member.name} is applying a snapshot from the leader")
    listed = () if isinstance(state.member_list, Unknown) else state.member_list.members
    by_id = {status.member_id: (member, status) for member, status in answering(state)}
    for learner in (member for member in listed if member.is_learner):
        if learner.id not in by_id:
            name = learner.name or MemberId(learner.id)
            reason = f"the learner {name} does not answer: how far it is behind is unknown"
            return refuse(rule, reason, is_unknown=True)
        lag = lag_of(state, by_id[learner.id][1])
        if lag > LAG_NOTICED:
            return wait(
                rule, f"the learner {learner.name} is {lag} raft entries behind (limit {LAG_NOTICED})"
            )
    return _unread_anywhere(context, rule, "snapshot_apply_inflight") or passed(rule, "nobody is catching up")


def raft_lag(context: GuardContext) -> GuardAnswer:
    """Every voter that answers is at most 100 raft entries behind; more is waited for.

    More than 5000 is refused, unless the member was closer when the run began: then it fell behind while it
    was stalled, and catches up.
    """
    rule = "raft-lag"
    lags = {
        member.name: lag_of(context.state, status)
        for member, status in answering(context.state)
        if not status.is_learner
    }
    if not lags:
        return refuse(rule, "no voter answers", is_unknown=True)
    name, lag = max(lags.items(), key=lambda one: one[1])
    if lag <= LAG_NOTICED:
        return passed(rule, f"at most {lag} raft entries behind (limit {LAG_NOTICED})")
    began = {member.name: lag_of(context.start, status) for member, status in answering(context.start)}
    reason = f"{name} is {lag} raft entries behind (limit {LAG_NOTICED})"
    if lag > LAG_CRITICAL and began.get(name, lag) > LAG_CRITICAL:
        return refuse(
            rule, f"{reason}, and was when the run began: more than {LAG_CRITICAL} is not waited for"
        )
    return wait(rule, reason)


def disk_free(context: GuardContext) -> GuardAnswer:
    """The member's file system has room for a copy: 1.2 times what is in use, and at least the file's size.

    The member is the change's object, or the one that it names as «stalls» because it prepares that.
    Too little is always refused. Unknown is refused unless a person accepts it, and always on versions that
    end when the disk is full (etcd#18810).
    """
    rule = "disk-free"
    peer_url = str(context.change.selection.get("stalls", context.change.object))
    member = next((m for m in context.state.members if m.peer_url == peer_url), None)
    if member is None or isinstance(member.status, Unknown):
        name = member.name if member else peer_url
        return unread(
            rule, f"the sizes of {name} are unknown: it does not answer", was_read=_answered(context, member)
        )
    needed = needed_bytes(member.status)
    shown = f"a defragmentation of {member.name} needs {show_bytes(needed)} free on its file system"
    if isinstance(member.disk, Unknown):
        reason = f"{shown}, and how much is free is unknown ({member.disk.reason})"
        if panics_when_full(member.status.version):
            return refuse(rule, f"{reason}; etcd {member.status.version} ends when the disk is full")
        if context.is_accepted("disk-free"):
            return passed(rule, f"{reason}: accepted with --accept disk-free")
        return refuse(rule, reason, "disk-free")
    if member.disk.free_bytes < needed:
        return refuse(rule, f"{shown}, {show_bytes(member.disk.free_bytes)} are ({member.disk.source})")
    return passed(rule, f"{shown}, {show_bytes(member.disk.free_bytes)} are ({member.disk.source})")


def target_is_healthy(context: GuardContext) -> GuardAnswer:
    """Leadership goes to a healthy voter that is up to date, and to nobody else."""
    rule = "move-target"
    target = str(context.change.selection.get("target", ""))
    name = str(context.change.selection.get("target_member", target)) or "nobody"
    votes = count_votes(context.state)
    found = next(((m, s) for m, s in answering(context.state) if str(MemberId(s.member_id)) == target), None)
    if isinstance(votes, Unknown) or found is None:
        return refuse(rule, f"the target {name} does not answer, or is no voter")
    member, status = found
    if member.name in votes.returning:
        return wait(rule, f"the target {name} is no healthy voter yet: {votes}")
    if member.name not in votes.healthy:
        return refuse(rule, f"the target {name} is no healthy voter")
    lag = lag_of(context.state, status)
    if lag > LAG_NOTICED:
        return wait(rule, f"the target {name} is {lag} raft entries behind (limit {LAG_NOTICED})")
    return passed(rule, f"the target {name} is a healthy voter, {lag} raft entries behind")


def needed_bytes(status: EndpointStatus) -> int:
    """Return how many bytes a defragmentation of this member may need beside its file."""
    return max(int(DISK_FACTOR * status.db_size_in_use_bytes), status.db_size_bytes)


def _unread_anywhere(context: GuardContext, rule: str, field: str) -> GuardAnswer | None:
    """Return an answer when a member's metric `field` is unknown; nothing runs on a dead member."""
    for member in context.state.members:
        value: Known[int] = getattr(member, field)
        if not isinstance(value, Unknown) or member.silence is Silence.DEAD:
            continue
        accept = "" if member.silence is None else "margin"  # who accepts the lost voter accepts its silence
        if accept and context.is_accepted(accept):
            continue
        return unread(
            rule,
            f"what {member.name} is doing is unknown: {value.reason}",
            was_read=not isinstance(getattr(context.at_start(member), field), Unknown),
            accept=accept,
        )
    return None


def _answered(context: GuardContext, member: MemberState | None) -> bool:
    return member is not None and not isinstance(context.at_start(member).status, Unknown)
