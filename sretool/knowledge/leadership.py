"""To whom leadership may go, the change that moves it, and whether it has moved."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sretool.knowledge.quorum import Votes, answering, lag_of, quorum_of
from sretool.knowledge.thresholds import MEDIAN_SAMPLES
from sretool.knowledge.words import show_seconds
from sretool.model import (
    Change,
    Cost,
    Effect,
    EndpointStatus,
    EtcdState,
    Histogram,
    Known,
    MemberId,
    Outcome,
    Result,
    Risk,
    Unknown,
    known_only,
)
from sretool.model.latency import MemberLatency

MOVE_VERB = "move-leader"
MOVE_SECONDS = 1.0  # etcd waits for the target up to one election timeout
FEW_SAMPLES = 5  # ours: fewer fsyncs in a window say nothing
_NOTE = (
    "an election of some milliseconds; a write that is on its way through another member in them is dropped, and "
    "its client hears of that after 7 s (etcd#8975); leases start anew with a new leader, so Kubernetes events "
    "live up to one TTL longer (kubernetes#65497)"
)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A voter that might lead. `needs_defragmentation`: its own is still to come, and would stall a leader."""

    name: str
    member_id: int
    is_healthy: bool
    lag: int
    needs_defragmentation: bool
    disk_slow: Known[bool]
    network_slow: Known[bool]
    fsync_p99: Known[float]

    def objection(self, *, fsync_at_most: float) -> str:
        """Return why it may not lead, empty when it may. What is unknown of its speed is no objection, except
        where a faster disk is the very purpose of the move."""
        checks = (
            (not self.is_healthy, "is no healthy voter"),
            (self.needs_defragmentation, "still needs a defragmentation itself"),
            (self.disk_slow is True, "has a slow disk"),
            (self.network_slow is True, "has a slow network"),
        )
        said = next((words for holds, words in checks if holds), "")
        if said or fsync_at_most == float("inf"):
            return said
        if isinstance(self.fsync_p99, Unknown):
            return f"has an unknown fsync p99 ({self.fsync_p99.reason})"
        if self.fsync_p99 > fsync_at_most:
            return f"has an fsync p99 of {show_seconds(self.fsync_p99)}, over {show_seconds(fsync_at_most)}"
        return ""


def find_candidates(
    state: EtcdState, votes: Votes, *, undefragmented: Iterable[str], latency: Known[Sequence[MemberLatency]]
) -> tuple[Candidate, ...]:
    """Return every answering voter but the leader, with all that matters for leading."""
    speeds = {} if isinstance(latency, Unknown) else {member.name: member for member in latency}
    unmeasured = Unknown(latency.reason if isinstance(latency, Unknown) else "not measured")
    left = set(undefragmented)
    return tuple(
        Candidate(
            name=member.name,
            member_id=status.member_id,
            is_healthy=member.name in votes.healthy,
            lag=lag_of(state, status),
            needs_defragmentation=member.name in left,
            disk_slow=speed.disk_slow if (speed := speeds.get(member.name)) else unmeasured,
            network_slow=speed.network_slow if speed else unmeasured,
            fsync_p99=speed.fsync_p99 if speed else unmeasured,
        )
        for member, status in answering(state)
        if not status.is_learner and status.member_id != votes.leader
    )


def choose_target(
    candidates: Sequence[Candidate], *, fsync_at_most: float = float("inf")
) -> Known[Candidate]:
    """Return who is to lead: no objection, what is known to be fast first, then the lowest lag.

    Unknown, with each voter's objection, when nobody may.
    """
    objections = {one.name: one.objection(fsync_at_most=fsync_at_most) for one in candidates}
    suitable = [one for one in candidates if not objections[one.name]]
    if not suitable:
        said = "; ".join(f"{name} {why}" for name, why in objections.items()) or "no other voter answers"
        return Unknown(f"no voter can take leadership: {said}")
    return min(suitable, key=lambda one: (_unmeasured(one), one.lag, one.name))


def fsync_at_most(window: Known[Histogram], lifetime: Known[Histogram]) -> Known[float]:
    """Return what a candidate's WAL fsync p99 is at most, in seconds: the window's where it has the samples.

    A leader with a slow disk slows everybody's writes, so its followers make few samples just when leadership
    must move. Then the slowest of the few counts, and the p99 since etcd started, whichever is larger.
    """
    if isinstance(window, Unknown):
        return window
    p99 = window.quantile(0.99)
    if not isinstance(p99, Unknown):
        return p99
    slowest = window.quantile(1.0, minimum_samples=FEW_SAMPLES)
    usual = lifetime if isinstance(lifetime, Unknown) else lifetime.quantile(0.99)
    if isinstance(slowest, Unknown):
        return slowest
    return usual if isinstance(usual, Unknown) else max(slowest, usual)


def fsync_at_least(window: Known[Histogram]) -> Known[float]:
    """Return what a slow leader's WAL fsync p99 is at least: the p99, or the median of too few samples."""
    if isinstance(window, Unknown):
        return window
    p99 = window.quantile(0.99)
    return window.quantile(0.5, minimum_samples=MEDIAN_SAMPLES) if isinstance(p99, Unknown) else p99


def move_change(
    uses: str,
    *,
    leader: tuple[str, str, EndpointStatus],
    target: Candidate,
    voters: int,
    to: str,
    reason: str,
) -> Change:
    """Return the change that moves leadership from `leader` (name, endpoint, status) to `target`.

    Approved is what `to` says of the target; who that is is chosen again just before the move.
    """
    name, endpoint, status = leader
    target_id = str(MemberId(target.member_id))
    return Change(
        step=uses,
        uses=uses,
        verb=MOVE_VERB,
        object="leadership",
        label=f"{name} → {target.name}",
        reason=reason,
        risk=Risk.DISRUPTIVE,
        effects=(Effect.MOVES_LEADERSHIP,),
        selection={"leader": name, "target": target_id, "target_member": target.name},
        before={"leader": str(MemberId(status.member_id)), "term": status.raft_term, "voters": voters},
        after={"leader": target_id},
        bounds={"to": to},
        cost=Cost(seconds=MOVE_SECONDS, note=_NOTE),
        commands=(f"etcdctl --endpoints={endpoint} move-leader {target_id}",),
    )


def judge_move(change: Change, statuses: Mapping[str, Known[EndpointStatus]]) -> Outcome:
    """Return whether leadership has left the old leader, by what a quorum of voters names as theirs."""
    known = known_only(statuses)
    voters = [status for status in known.values() if not status.is_learner]
    quorum = quorum_of(int(change.before["voters"]))
    if len(voters) < quorum:
        return Outcome(
            result=Result.CANNOT_TELL,
            evidence=f"{len(voters)} voters answer, too few to tell who leads (quorum {quorum})",
        )
    named = Counter(status.leader for status in voters)
    leader, count = named.most_common(1)[0]
    if not leader or count < quorum:
        return Outcome(result=Result.STILL_GOING, evidence="no leader that a quorum of voters names")
    name = next((name for name, status in known.items() if status.member_id == leader), str(MemberId(leader)))
    if str(MemberId(leader)) == change.before["leader"]:
        return Outcome(result=Result.NOT_DONE, evidence=f"{name} still leads")
    term = max(status.raft_term for status in voters)
    as_planned = str(MemberId(leader)) == change.selection["target"]
    return Outcome(
        result=Result.DONE,
        evidence=f"{name} leads since raft term {term}"
        + ("" if as_planned else f", not {change.selection['target_member']}: leadership left all the same"),
        measured={"leader": name, "term": term, "elections": term - int(change.before["term"])},
    )


def _unmeasured(one: Candidate) -> int:
    return isinstance(one.disk_slow, Unknown) + isinstance(one.network_slow, Unknown)
