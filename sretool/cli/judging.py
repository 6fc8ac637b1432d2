"""May etcd be touched now? The guards' answer to a change that stalls a member, whichever it is."""

import msgspec

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster, ClusterEntry
from sretool.cluster.state import read_etcd_state
from sretool.engine.lock import find_holder
from sretool.engine.runs import locks_folder
from sretool.knowledge.guards import GuardAnswer, GuardContext, judge
from sretool.knowledge.words import first_of
from sretool.model import Change, Effect, EtcdState, Risk

_SECONDS = 10.0
_DISK_RULE = "disk-free"  # a defragmentation needs room for a second file; a restart does not
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
    against = [one for one in _answers(state) if one.verdict != "pass" and one.rule != _DISK_RULE]
    if against:
        no = "no" if against[0].verdict == "refuse" else "not now"
        told = [
            f"{one.rule}: {one.reason.partition(' (--accept')[0]}" for one in against
        ]  # nobody is asked here
        return Verdict(sentence=f"{no}: {first_of(told, most=1)}", exit_code=4)
    reasons = [one.reason for one in _answers(state) if one.rule in _TELLING]
    return Verdict(sentence=f"may be touched: {'; '.join(reasons)}", exit_code=0)


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
