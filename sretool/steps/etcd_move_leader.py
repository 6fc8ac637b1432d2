"""The step etcd.move-leader: take leadership off a member whose disk is slow."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.latency import measure_latency
from sretool.cluster.state import read_etcd_state
from sretool.knowledge import leadership
from sretool.knowledge.latency_view import shown
from sretool.knowledge.metric_names import WAL_FSYNC
from sretool.knowledge.quorum import count_votes, find_leader
from sretool.knowledge.thresholds import FSYNC_SLOW_SECONDS
from sretool.knowledge.verdicts import judge_each
from sretool.model import (
    Change,
    EtcdState,
    Held,
    Known,
    MemberId,
    MemberState,
    Outcome,
    Proposal,
    Risk,
    Unknown,
)
from sretool.model.latency import MemberLatency, MemberSample
from sretool.step import Duration, Step

TIMES_FASTER = 5.0
"""An election has its price: the new leader's disk must be clearly better, not just better."""
_BOUND = "a voter whose WAL fsync p99 is at most a fifth of the leader's"


class EtcdMoveLeaderParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the disks are watched."""

    window: Annotated[
        Duration,
        msgspec.Meta(description="how long fsyncs are counted; one window of this length is measured a look"),
    ] = Duration.parse("10s")


class EtcdMoveLeaderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who leads, how slow its disk is, and who could lead instead. `leader` is empty when none answers.

    In `latency` the leader's fsync p99 is what it is at least, everybody else's what it is at most.
    """

    leader: str
    leader_disk_slow: Known[bool]
    endpoint: str
    state: EtcdState
    latency: tuple[MemberLatency, ...]


class EtcdMoveLeader(Step[EtcdMoveLeaderParams, EtcdMoveLeaderFacts]):
    """Move leadership from a leader with a slow disk to a voter with a clearly faster one.

    Reads Status and metrics of every member over `window`, and the member list. Every commit waits for the
    leader's WAL fsync (a slow follower is outvoted), so moving leadership cures what a slow leader causes; the
    disk itself stays slow.

    Due while the leader's disk is slow. The target is a healthy voter without slow disk or network whose WAL
    fsync p99 is at most a fifth of the leader's; among several the one with the lowest raft lag. A slow leader
    leaves its followers few fsyncs: with too few for a p99, the slowest in the window and the p99 since etcd
    started both count. Held when no voter is that much faster, or nobody can tell.

    Leadership is moved once a run. Across runs the factor of five keeps it from coming back: the disks'
    speeds would have to change places by a factor of 25. etcd tells nobody how long a leader has led, so
    no minutes are counted.

    The old leader is asked, and waits for the target up to one election timeout; who leads is then read from
    what a quorum of voters names. Cost: an election, in whose milliseconds etcd drops writes on their way from
    other members, whose clients hear of that after 7 s; and leases start anew with the new leader, so Kubernetes
    events live up to one TTL longer. Refused without a quorum, or while the target lags.

    Sources: etcd Maintenance.MoveLeader, etcd#8975, kubernetes#65497.
    """

    uses = "etcd.move-leader"
    risk = Risk.DISRUPTIVE
    reads_by_hand = ("etcdctl --endpoints={endpoints} endpoint status -w table",)

    def look(self, read: ClusterReader, params: EtcdMoveLeaderParams) -> EtcdMoveLeaderFacts:
        state = read_etcd_state(read)
        sample = measure_latency(read, params.window)
        leader = find_leader(state)
        latency = tuple(
            msgspec.structs.replace(
                one, fsync_p99=_fsync(read, member, is_leader=member.name == _name(leader))
            )
            for one, member in zip(judge_each(sample), sample.members, strict=True)
        )
        slow: Known[bool] = Unknown("no leader answers")
        if leader:
            slow = next(one.disk_slow for one in latency if one.name == leader.name)
        return EtcdMoveLeaderFacts(
            leader=_name(leader),
            leader_disk_slow=slow,
            endpoint=read.etcd.member(leader.name).client if leader else "",
            state=state,
            latency=latency,
        )

    def plan(
        self, params: EtcdMoveLeaderParams, facts: EtcdMoveLeaderFacts, earlier: Sequence[Change]
    ) -> Proposal:
        if any(change.made and change.verb == leadership.MOVE_VERB for change in earlier):
            return Proposal()
        votes = count_votes(facts.state)
        if isinstance(votes, Unknown):
            return _held(f"who votes is unknown: {votes.reason}")
        if isinstance(facts.leader_disk_slow, Unknown):
            return _held(f"whether the leader's disk is slow is unknown: {facts.leader_disk_slow.reason}")
        if not facts.leader_disk_slow:
            return Proposal()
        leader = next(member for member in facts.state.members if member.name == facts.leader)
        if isinstance(leader.status, Unknown):
            return _held(f"{leader.name} does not answer")
        fsync = _at_least(facts)
        candidates = leadership.find_candidates(facts.state, votes, undefragmented=(), latency=facts.latency)
        target = leadership.choose_target(candidates, fsync_at_most=fsync / TIMES_FASTER)
        if isinstance(target, Unknown):
            commands = (f"etcdctl --endpoints={facts.endpoint} move-leader ID-OF-A-VOTER",)
            return _held(
                f"{leader.name} leads with a slow disk, and {target.reason}", refused=True, commands=commands
            )
        move = leadership.move_change(
            self.uses,
            leader=(leader.name, facts.endpoint, leader.status),
            target=target,
            voters=votes.voters,
            to=_BOUND,
            reason=f"the disk of {leader.name} is slow (fsync p99 at least {shown(fsync)}), that of "
            f"{target.name} is at least {TIMES_FASTER:g} times faster ({shown(target.fsync_p99)})",
        )
        return Proposal(waves=((move,),))

    def apply(self, write: ClusterWriter, change: Change) -> None:
        write.etcd.move_leader(MemberId.parse(change.selection["target"]), leader=change.selection["leader"])

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        return leadership.judge_move(change, read.etcd.status_now())


def _fsync(read: ClusterReader, member: MemberSample, *, is_leader: bool) -> Known[float]:
    window = member.window if isinstance(member.window, Unknown) else member.window.fsync
    if is_leader:
        return leadership.fsync_at_least(window)
    page = read.etcd.metrics()[member.name]
    lifetime = page if isinstance(page, Unknown) else page.histogram(WAL_FSYNC)
    return leadership.fsync_at_most(window, lifetime)


def _name(leader: MemberState | None) -> str:
    return leader.name if leader else ""


def _at_least(facts: EtcdMoveLeaderFacts) -> float:
    """Return what the leader's fsync p99 is at least; with no sample, the least that makes a disk slow."""
    p99 = next(one.fsync_p99 for one in facts.latency if one.name == facts.leader)
    return FSYNC_SLOW_SECONDS if isinstance(p99, Unknown) else p99


def _held(why: str, *, refused: bool = False, commands: tuple[str, ...] = ()) -> Proposal:
    return Proposal(held=(Held(what="move-leader", why=why, refused=refused, commands=commands),))
