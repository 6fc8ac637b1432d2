"""Which members are defragmented in which order, where leadership goes before the last, and what is said."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sretool.knowledge import leadership
from sretool.knowledge.defrag_view import DEFRAG_VERB, DefragMember, DefragView, space_findings, space_of
from sretool.knowledge.defragmentation import Due, SpaceRules, judge_space
from sretool.knowledge.quorum import Votes, answering, count_votes
from sretool.knowledge.stalls import defrag_deadline, predict_stall
from sretool.knowledge.words import show_bytes
from sretool.model import (
    Change,
    Cost,
    Effect,
    EndpointStatus,
    Finding,
    Held,
    MemberState,
    Proposal,
    Risk,
    Severity,
    Silence,
    Unknown,
)

MOVE_BOUND = "a voter that needs no further defragmentation"


class _DueMember(msgspec.Struct, frozen=True):
    """A voter that is to be defragmented."""

    member: DefragMember
    status: EndpointStatus
    due: Due

    @property
    def name(self) -> str:
        return self.member.state.name


def leaders_turn(view: DefragView, rules: SpaceRules) -> Literal["never", "later", "next"]:
    """Tell when the leader may have to be defragmented, and leadership to go elsewhere: after followers that are
    due, or next."""
    votes = count_votes(view.state)
    nospace = view.nospace
    if isinstance(votes, Unknown) or isinstance(nospace, Unknown) or votes.voters == 1:
        return "never"
    due = {
        space.status.member_id: isinstance(judge_space(space, rules, nospace=nospace), Due)
        for member in view.members
        if (space := space_of(member, nospace=nospace, earlier=()))
    }
    if not due.pop(votes.leader, False) and not nospace:
        return "never"
    return "later" if any(due.values()) else "next"


def defrag_proposal(
    view: DefragView, rules: SpaceRules, *, deadline_seconds: float, earlier: Sequence[Change], uses: str
) -> Proposal:
    """Return the waves: followers, smallest database first, then a move of leadership, the old leader last.

    `deadline_seconds` 0 stands for one computed from each file's size. Members that this run has
    defragmented are not due again, whatever their sizes say.
    """
    nospace, votes = view.nospace, count_votes(view.state)
    if isinstance(nospace, Unknown):
        return _held_all(f"whether NOSPACE is raised is unknown: {nospace.reason}")
    if isinstance(votes, Unknown):
        return _held_all(f"who votes is unknown: {votes.reason}")
    made = {change.object for change in earlier if change.made and change.verb == DEFRAG_VERB}
    due, held = _find_due(view, rules, nospace=nospace, earlier=earlier, made=made)
    versions = {one.name: one.status.version for one in due}
    findings = space_findings(view, rules, versions=versions, nospace=nospace, earlier=earlier)
    if not (due or held or findings):
        return Proposal(findings=_nothing_to_gain(view))
    if due and not votes.leader:
        return Proposal(findings=findings, held=(*held, *(_no_leader(one) for one in due)))
    followers = [one for one in due if one.status.member_id != votes.leader]
    followers.sort(key=lambda one: (one.status.db_size_bytes, one.name))
    waves = [(_change(one, deadline_seconds, uses=uses),) for one in followers]
    for leader in (one for one in due if one.status.member_id == votes.leader):
        undefragmented = [one.what.removeprefix(f"{DEFRAG_VERB} ") for one in held]
        way = _leadership(view, votes, leader, undefragmented=undefragmented, earlier=earlier, uses=uses)
        if isinstance(way, Held):
            held.append(way)
            continue
        waves += [(move,) for move in way]
        waves.append((_change(leader, deadline_seconds, uses=uses, alone=votes.voters == 1),))
    return Proposal(waves=tuple(waves), findings=findings, held=tuple(held))


def _nothing_to_gain(view: DefragView) -> tuple[Finding, ...]:
    free = [
        (status.db_size_bytes - status.db_size_in_use_bytes, member.name)
        for member, status in answering(view.state)
    ]
    if not free:
        return ()
    most, name = max(free)
    sentence = f"no member has enough to give back: {name} the most, {show_bytes(most)}"
    return (Finding(severity=Severity.OK, sentence=sentence),)


def _find_due(
    view: DefragView, rules: SpaceRules, *, nospace: bool, earlier: Sequence[Change], made: set[str]
) -> tuple[list[_DueMember], list[Held]]:
    due: list[_DueMember] = []
    held: list[Held] = []
    for member in view.members:
        state = member.state
        if state.peer_url in made or state.silence is Silence.DEAD:
            continue
        space = space_of(member, nospace=nospace, earlier=earlier)
        if space is None:
            held.append(_unknown(member, f"{state.name} does not answer: its sizes are unknown"))
            continue
        if space.status.is_learner:  # etcd does not defragment learners (etcd#21740)
            continue
        judged = judge_space(space, rules, nospace=nospace)
        if isinstance(judged, Unknown):
            held.append(_unknown(member, judged.reason))
        elif judged and (blind := _unobservable(state)):
            held.append(_unknown(member, blind))
        elif judged:
            due.append(_DueMember(member, space.status, judged))
    return due, held


def _leadership(
    view: DefragView,
    votes: Votes,
    leader: _DueMember,
    *,
    undefragmented: Sequence[str],
    earlier: Sequence[Change],
    uses: str,
) -> Held | tuple[Change, ...]:
    """Return the move that has to come before the leader's defragmentation: none for a single member."""
    if votes.voters == 1:
        return ()
    endpoint = leader.member.endpoint
    by_hand = (f"etcdctl --endpoints={endpoint} move-leader ID-OF-A-VOTER",)
    what = f"{DEFRAG_VERB} {leader.name}"
    if any(change.made and change.uses == uses and change.verb == leadership.MOVE_VERB for change in earlier):
        why = f"{leader.name} leads although this run moved leadership away: the cluster is not at rest"
        return Held(what=what, why=why, refused=True, commands=by_hand)
    candidates = leadership.find_candidates(
        view.state, votes, undefragmented=undefragmented, latency=view.latency
    )
    target = leadership.choose_target(candidates)
    if isinstance(target, Unknown):
        return Held(what=what, why=f"it leads, and {target.reason}", refused=True, commands=by_hand)
    move = leadership.move_change(
        uses,
        leader=(leader.name, endpoint, leader.status),
        target=target,
        voters=votes.voters,
        to=MOVE_BOUND,
        reason=f"{leader.name} is to be defragmented and may not lead meanwhile; {target.name} needs no "
        "further defragmentation",
    )
    # The move serves the stall that follows: where that is refused, leadership has no reason to move.
    return (
        msgspec.structs.replace(
            move,
            effects=(Effect.MOVES_LEADERSHIP, Effect.STALLS_MEMBER),
            selection={**move.selection, "stalls": leader.member.state.peer_url},
        ),
    )


def _change(one: _DueMember, deadline_seconds: float, *, uses: str, alone: bool = False) -> Change:
    state, status = one.member.state, one.status
    stall = predict_stall(
        live_bytes=status.db_size_in_use_bytes,
        past_seconds=one.member.past_seconds,
        past_count=state.defrag_count,
    )
    deadline = float(deadline_seconds) or defrag_deadline(status.db_size_bytes)
    note = f"gives back up to {show_bytes(one.due.reclaim_bytes)}; its API server stalls with it"
    if alone:
        note = f"the only member: while it stalls, etcd is down; {note}"
    return Change(
        step=uses,
        uses=uses,
        verb=DEFRAG_VERB,
        object=state.peer_url,
        label=state.name,
        reason=one.due.reason,
        risk=Risk.DISRUPTIVE,
        effects=(Effect.STALLS_MEMBER,),
        selection={"member": state.name, "deadline_seconds": deadline},
        before={
            "defrag_count": state.defrag_count,
            "defrag_seconds": None
            if isinstance(one.member.past_seconds, Unknown)
            else one.member.past_seconds,
            "process_start_seconds": state.process_start_seconds,
            "db_size_bytes": status.db_size_bytes,
        },
        cost=Cost(seconds=stall, stalls={state.name: stall}, note=note),
        commands=(f"etcdctl --endpoints={one.member.endpoint} --command-timeout={deadline:.0f}s defrag",),
    )


def _unobservable(state: MemberState) -> str:
    """Return why nobody could tell whether a defragmentation has ended, empty when its metrics are there."""
    for value in (state.defrag_count, state.process_start_seconds, state.defrag_inflight):
        if isinstance(value, Unknown):
            return f"without metrics nobody can tell when a defragmentation has ended: {value.reason}"
    return ""


def _unknown(member: DefragMember, why: str) -> Held:
    return Held(what=f"{DEFRAG_VERB} {member.state.name}", why=why, refused=False)


def _no_leader(one: _DueMember) -> Held:
    return _unknown(one.member, "no leader is known, and the leader has to be the last")


def _held_all(why: str) -> Proposal:
    return Proposal(held=(Held(what=DEFRAG_VERB, why=why, refused=False),))
