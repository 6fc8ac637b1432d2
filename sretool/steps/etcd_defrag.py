"""The step etcd.defrag: give free pages of the database files back, one member at a time, the leader last."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.latency import latest_latency
from sretool.cluster.state import read_etcd_state, read_state_but_compactions
from sretool.knowledge import leadership
from sretool.knowledge.defrag_plan import defrag_proposal, leaders_turn
from sretool.knowledge.defrag_progress import judge_progress
from sretool.knowledge.defrag_view import DEFRAG_VERB, DefragMember, DefragView
from sretool.knowledge.defragmentation import SpaceRules
from sretool.knowledge.metric_names import COMPACTION_LAST, DEFRAG_SECONDS
from sretool.knowledge.verdicts import judge_each
from sretool.model import Change, Known, MemberId, Outcome, Proposal, Risk, Unknown, value_of
from sretool.step import Duration, Percent, Quantity, Step

_WINDOW_SECONDS = 0.25  # five probes a member and a few slow fsyncs; the p99 since etcd started counts too
_FRESH_SECONDS = 60.0  # how old what was measured may be when leadership moves by it


class EtcdDefragParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a member is due, and how long its defragmentation may take."""

    reclaim_floor: Annotated[
        Quantity,
        msgspec.Meta(description="due when at least this can be given back; not applied under NOSPACE"),
    ] = Quantity.parse("200Mi")
    fragmentation: Annotated[
        Percent, msgspec.Meta(description="due when this share of a file of 100 MB or more is free pages")
    ] = Percent.parse("45%")
    pressure: Annotated[
        Percent,
        msgspec.Meta(description="due when this share of the quota is used and pressure_floor is free"),
    ] = Percent.parse("80%")
    pressure_floor: Annotated[
        Quantity, msgspec.Meta(description="the least that must be free pages for pressure to count")
    ] = Quantity.parse("32Mi")
    deadline: Annotated[
        Duration,
        msgspec.Meta(description="how long to wait for one member's answer; 0s: 30 s per GB, 60 s at least"),
    ] = Duration.parse("0s")


class EtcdDefragFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes, quotas and what is in flight of every member, by which the plan is made."""

    view: DefragView


class EtcdDefrag(Step[EtcdDefragParams, EtcdDefragFacts]):
    """Give free pages of etcd's database files back to the file system, one member at a time, the leader last.

    Reads Status and metrics of every member, the alarms, the member list and free disk space; when the leader
    is due, also disk and network speed for a moment, again when that is a minute old. Rewrites the database file
    of each member that is due, which blocks that member's reads and writes (not its votes) for 5 to 10 ms per MB
    of live data; the plan shows the predicted stall per member.

    Due is a member with `reclaim_floor` to give back, or with `fragmentation` of a file of 100 MB or more, or
    with `pressure` of the quota used and `pressure_floor` to give back; never because of its quota alone. Under
    NOSPACE every member with 5 % of free pages or more is due, and after a compaction every member: what etcd
    reports as in use is stale until the next write, so the plan is an upper bound then. Just before each member
    everything is read and decided again.

    Followers first, the smallest database first. Learners never. Leadership is moved to a voter that needs no
    further defragmentation, with no slow disk or network and the lowest lag, before the old leader is
    defragmented; with no such voter the step stops before the leader. A single member is defragmented in
    place: its stall is an outage of etcd.

    A defragmentation that was not answered in time goes on in the server: nothing else is begun while
    `etcd_disk_defrag_inflight` is not 0 anywhere. Done is: counted once more by the same process. One that gave
    nothing back is not repeated. Without metrics no defragmentation is planned.

    Refused while no voter is to spare, a member lags or catches up, a defragmentation or compaction runs
    anywhere, leadership changed by others, or the member's file system lacks room for a second copy; and on
    3.5.0 to 3.5.5 and before 3.4.22.

    Sources: etcd server/storage/backend, cluster-etcd-operator's defrag controller (45 %, 100 MB),
    cozystack/etcd-operator docs/etcd-defrag.md (200Mi, 32Mi), etcd PR 14685, etcd#18810, etcd#21740.
    """

    uses = "etcd.defrag"
    risk = Risk.DISRUPTIVE
    reads_by_hand = (
        "etcdctl --endpoints={endpoints} endpoint status -w table",
        "curl -s {metrics}/metrics | grep -E 'defrag_inflight|mvcc_db_total_size'  # each member",
    )

    def look(self, read: ClusterReader, params: EtcdDefragParams) -> EtcdDefragFacts:
        state = read_state_but_compactions(read)
        pages = read.etcd.metrics()
        view = DefragView(
            state=state,
            members=tuple(
                DefragMember(
                    state=member,
                    endpoint=read.etcd.member(member.name).client,
                    past_seconds=value_of(pages[member.name], DEFRAG_SECONDS),
                    compacted=_is_positive(value_of(pages[member.name], COMPACTION_LAST)),
                )
                for member in state.members
            ),
            latency=Unknown("disks and networks are measured when the leader is due"),
        )
        turn = leaders_turn(view, _rules(params))
        if turn != "never":
            age = _FRESH_SECONDS if turn == "next" else math.inf
            sample = latest_latency(read, _WINDOW_SECONDS, not_older_seconds=age)
            view = msgspec.structs.replace(view, latency=judge_each(sample))
        # Last: whether a compaction is under way shows when some time has passed.
        return EtcdDefragFacts(view=msgspec.structs.replace(view, state=read_etcd_state(read)))

    def plan(self, params: EtcdDefragParams, facts: EtcdDefragFacts, earlier: Sequence[Change]) -> Proposal:
        return defrag_proposal(
            facts.view, _rules(params), deadline_seconds=params.deadline, earlier=earlier, uses=self.uses
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        if change.verb == DEFRAG_VERB:
            write.etcd.defragment(
                change.selection["member"], timeout_seconds=change.selection["deadline_seconds"]
            )
        else:
            write.etcd.move_leader(
                MemberId.parse(change.selection["target"]), leader=change.selection["leader"]
            )

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        if change.verb == leadership.MOVE_VERB:
            return leadership.judge_move(change, read.etcd.status_now())
        member = change.selection["member"]
        return judge_progress(change, read.etcd.scrape((member,))[member])


def _rules(params: EtcdDefragParams) -> SpaceRules:
    return SpaceRules(
        reclaim_floor=params.reclaim_floor,
        fragmentation=params.fragmentation,
        pressure=params.pressure,
        pressure_floor=params.pressure_floor,
    )


def _is_positive(value: Known[float]) -> Known[bool]:
    return value if isinstance(value, Unknown) else value > 0
