"""May etcd be touched now? The guards' answer to a change that stalls a member, whichever it is."""

import msgspec

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster, ClusterEntry
from sretool.cluster.state import read_etcd_state
from sretool.engine.lock import find_holder
from sretool.engine.runs import locks_folder
from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.guard_cluster import is_closed
from sretool.knowledge.guards import GuardAnswer, GuardContext, judge
from sretool.knowledge.quorum import Votes, answering, count_votes
from sretool.knowledge.words import first_of
from sretool.model import Change, Effect, EtcdState, Risk

_SECONDS = 10.0
_DISK_RULE = "disk-free"  # a defragmentation needs room for a second file; a restart does not
_NOSPACE = "alarm NOSPACE is raised and etcd refuses every write until it is disarmed"
_TELLING = ("quorum", "defrag-inflight", "raft-lag")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: a clause, and the exit code."""

    sentence: str
    exit_code: int


def judge_etcd(entry: ClusterEntry) -> Verdict:
    """Return whether one member may be stalled now. RemoteError when no member answers."""
    clock = SystemClock()
    with Cluster(entry, clock) as opened:
        read = opened.reader(Deadline(clock, _SECONDS))
        identity = opened.identity(read)
        state = read_etcd_state(read)
    holder = find_holder(locks_folder(), identity)
    if holder is not None:
        at_work = f"run {holder.run_id} is at work on it (pid {holder.pid} on {holder.host}, {holder.user})"
        return Verdict(sentence=f"not now: {at_work}", exit_code=4)
    return judge_state(state)


def judge_state(state: EtcdState) -> Verdict:
    """Return what the guards say of stalling one member of this etcd.

    What is known to speak against it is a «no»; where only facts are missing, or no leader is there to tell them,
    nobody can tell.
    """
    answers = _answers(state)
    against = [one for one in answers if one.verdict != "pass" and one.rule != _DISK_RULE]
    if not is_closed(state) and (headless := _headless(state)):
        return Verdict(sentence=f"cannot tell: {headless}", exit_code=8)
    known = [one for one in against if not one.is_unknown]
    if against:
        no = "cannot tell" if not known else "no" if known[0].verdict == "refuse" else "not now"
        told = [
            f"{one.rule}: {one.reason.partition(' (--accept')[0]}" for one in known or against
        ]  # nobody is asked here
        return Verdict(sentence=f"{no}: {first_of(told, most=1)}", exit_code=4 if known else 8)
    reasons = [one.reason for one in answers if one.rule in _TELLING]
    full = has_nospace(state.alarms) is True
    yes = "may be touched" + (f", but {_NOSPACE}" if full else "")
    return Verdict(sentence=f"{yes}: {'; '.join(reasons)}", exit_code=0)


def _headless(state: EtcdState) -> str:
    """Return why nobody speaks for the cluster: no voter answers, or none knows a leader; empty when one does."""
    voters = [status for _, status in answering(state) if not status.is_learner]
    if not voters:
        silent = ", ".join(f"{one.name} is {one.silence}" for one in state.members if one.silence)
        return "no voting member answers" + (f" ({silent})" if silent else "")
    if any(status.leader for status in voters):
        return ""
    votes = count_votes(state)
    return "no leader" + (f": {votes}" if isinstance(votes, Votes) else "")


def _answers(state: EtcdState) -> tuple[GuardAnswer, ...]:
    change = Change(
        step="safe",
        uses="etcd",
        verb="stall",
        object=state.members[0].peer_url,
        label="one member",
        reason="asked whether it may be",
        risk=Risk.DISRUPTIVE,
        effects=(Effect.STALLS_MEMBER,),
    )
    return judge(GuardContext(state=state, start=state, change=change, moves=0, unattended=True))
