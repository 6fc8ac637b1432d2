"""The step etcd.alarm-disarm: let etcd take writes again, once there is space, and prove that it does."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.census import take_census
from sretool.cluster.etcd_questions import alarms_of_errors
from sretool.cluster.etcd_reader import EtcdReader
from sretool.errors import RemoteError
from sretool.knowledge import causes
from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.census import Census
from sretool.knowledge.disarming import PROOF_KEY, DisarmView, NoSpaceAlarm, disarm_proposal, growth_of
from sretool.knowledge.quota_size import quota_of
from sretool.knowledge.space import MemberSpace, is_any_at, use_text
from sretool.model import (
    Alarm,
    AlarmType,
    Change,
    Known,
    MemberId,
    Outcome,
    Proposal,
    Result,
    Risk,
    Unknown,
    known_only,
)
from sretool.step import Duration, Percent, Step

CENSUS_SECONDS = 1.0  # for the names, and as much again for values: only when the disarming is refused
SHOWN_SECONDS = 2.0  # a follower may be a moment behind the list
LOOK_SECONDS = 0.25


class EtcdAlarmDisarmParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an alarm may be disarmed, and how long the proof may take."""

    below: Annotated[
        Percent, msgspec.Meta(description="disarm only while every member takes less of its quota than this")
    ] = Percent.parse("90%")
    prove_within: Annotated[
        Duration, msgspec.Meta(description="every member's revision must advance within this time afterwards")
    ] = Duration.parse("30s")


class EtcdAlarmDisarmFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The alarms and the space. `above` tells whether a member has too little space."""

    above: Known[bool]
    view: DisarmView


class EtcdAlarmDisarm(Step[EtcdAlarmDisarmParams, EtcdAlarmDisarmFacts]):
    """Disarm NOSPACE, one member's alarm at a time, and prove that etcd takes writes.

    Reads the alarms, every member's size and quota, and, when a member has too little space, a census of at
    most two seconds. Plans one disarming for each (member, NOSPACE) and, last, a proof: on Kubernetes' etcd
    sretool writes nothing and waits until every member's revision advances by others' writes; elsewhere a
    throw-away key is written and deleted. Where an earlier step of the run can still free the space, the
    changes are conditional and the sizes are read again just before.

    Refuses where etcd is reached by etcdctl in its pod only, whose `alarm disarm` knows no single alarm, and while
    a member takes 90 % of its quota or more: etcd would raise the alarm with the next writes.
    The refusal shows the use by prefix, the growth and the commands to go on by hand. Never disarms CORRUPT,
    nor anything while CORRUPT is raised. Held while a member's size or the alarms cannot be read. The stale
    NOSPACE of a removed member is disarmed by its exact id.

    After it writes resume all at once. `etcdctl alarm disarm` would disarm every alarm, CORRUPT too.

    Sources: etcd-defrag's threshold of 0.9, etcd client/v3/maintenance.go, etcdserver/api/v3alarm.
    """

    uses = "etcd.alarm-disarm"
    risk = Risk.DISRUPTIVE
    causes = causes.DISARM
    reads_by_hand = (
        "etcdctl --endpoints={endpoint} alarm list",
        "etcdctl --endpoints={endpoints} endpoint status -w table",
    )

    def look(self, read: ClusterReader, params: EtcdAlarmDisarmParams) -> EtcdAlarmDisarmFacts:
        etcd = read.etcd
        spaces = _spaces(etcd)
        alarms = etcd.alarms()
        above = is_any_at(spaces, params.below)
        raised = () if isinstance(alarms, Unknown) else alarms
        use: Known[Census] = Unknown("read only when a member has too little space")
        if above is True and has_nospace(raised):
            use = _use(etcd)
        view = DisarmView(
            alarms=alarms,
            nospace=_named(etcd, raised),
            spaces=spaces,
            through=(through := _through(etcd)),
            revisions=tuple((name, one.revision) for name, one in known_only(etcd.status()).items()),
            is_kubernetes=etcd.is_kubernetes(),
            use=use,
            growth=growth_of(tuple(known_only(etcd.metrics()).values()), now=etcd.utc_now().timestamp()),
            by_etcdctl=pod.by_hand if through and (pod := etcd.member(through).pod) else "",
        )
        return EtcdAlarmDisarmFacts(above=above, view=view)

    def plan(
        self, params: EtcdAlarmDisarmParams, facts: EtcdAlarmDisarmFacts, earlier: Sequence[Change]
    ) -> Proposal:
        return disarm_proposal(
            facts.view,
            above=facts.above,
            below=float(params.below),
            prove_within=float(params.prove_within),  # plans hold plain values only
            earlier=earlier,
            uses=self.uses,
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        through = change.selection["through"]
        if change.verb == "disarm":
            member_id = MemberId.parse(change.selection["member_id"])
            write.etcd.disarm(Alarm(member_id, AlarmType.NOSPACE), through=through)
        elif not change.selection["kubernetes"]:
            write.etcd.prove_write(PROOF_KEY, through=through)

    def lane(self, change: Change) -> str:
        return change.verb  # one alarm at a time

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        if change.verb == "disarm":
            return _observe_disarmed(read.etcd, MemberId.parse(change.selection["member_id"]))
        return _observe_writes(read.etcd, change)


def _spaces(etcd: EtcdReader) -> tuple[MemberSpace, ...]:
    """Return the space of every member; the inventory may still name one that was removed."""
    statuses, pages, listed = etcd.status(), etcd.metrics(), etcd.member_list()
    removed: set[str] = set()
    if not isinstance(listed, Unknown) and not listed.stale:
        there = {url for member in listed.members for url in member.peer_urls}
        removed = {member.name for member in etcd.members if member.peer not in there}
    return tuple(
        MemberSpace(
            name=member.name,
            endpoint=member.client,
            size_bytes=status if isinstance(status, Unknown) else status.db_size_bytes,
            quota_bytes=quota_of(status, pages[member.name]),
        )
        for member in etcd.members
        if member.name not in removed or not isinstance(statuses[member.name], Unknown)
        for status in (statuses[member.name],)
    )


def _named(etcd: EtcdReader, alarms: Sequence[Alarm]) -> tuple[NoSpaceAlarm, ...]:
    """Return NOSPACE of every member: those that raised it, those that could, those that were removed."""
    raised = {alarm.member_id for alarm in alarms if alarm.type is AlarmType.NOSPACE}
    listed = etcd.member_list()
    names = {status.member_id: name for name, status in known_only(etcd.status()).items()}
    if isinstance(listed, Unknown):
        return tuple(
            NoSpaceAlarm(member_id=one, name=names.get(one, ""), peer_url="", is_raised=True)
            for one in sorted(raised)
        )
    members = tuple(
        NoSpaceAlarm(
            member_id=member.id,
            name=names.get(member.id) or member.name,
            peer_url=member.peer_urls[0],
            is_raised=member.id in raised,
        )
        for member in listed.members
    )
    # Without a quorum the list may be old: whose alarm this is cannot be told then.
    strangers = raised - {member.id for member in listed.members}
    return members + tuple(
        NoSpaceAlarm(member_id=one, name="", peer_url="", is_raised=True, is_stale=not listed.stale)
        for one in sorted(strangers)
    )


def _use(etcd: EtcdReader) -> Known[Census]:
    try:
        return take_census(etcd, sampled=True, within_seconds=CENSUS_SECONDS)
    except RemoteError as error:
        return Unknown(error.message)


def _through(etcd: EtcdReader) -> str:
    """Return the leader when it answers, else a voter; empty when no member does. A member that is reached in
    its pod comes last: etcdctl does not disarm exactly."""
    voters = {name: one for name, one in known_only(etcd.status()).items() if not one.is_learner}
    in_pod = {name for name in voters if etcd.member(name).pod is not None}
    return min(voters, key=lambda name: (name in in_pod, not voters[name].is_leader, name), default="")


def _observe_disarmed(etcd: EtcdReader, member_id: MemberId) -> Outcome:
    ends = etcd.now() + SHOWN_SECONDS
    while True:
        statuses = known_only(etcd.status_now()).values()
        shown = {alarm for status in statuses for alarm in alarms_of_errors(status.errors)}
        is_shown = any(one.member_id == member_id and one.type is AlarmType.NOSPACE for one in shown)
        if not statuses:
            return Outcome(result=Result.CANNOT_TELL, evidence="no member answers")
        if not is_shown:
            return _listed(etcd, member_id)
        if etcd.now() >= ends:
            return Outcome(
                result=Result.NOT_DONE,
                evidence=f"NOSPACE of {member_id} is raised{_again(etcd)}",
            )
        etcd.wait(LOOK_SECONDS)


def _listed(etcd: EtcdReader, member_id: MemberId) -> Outcome:
    alarms = etcd.alarms()
    if isinstance(alarms, Unknown):
        return Outcome(result=Result.CANNOT_TELL, evidence=f"the alarms could not be listed: {alarms.reason}")
    if any(one.member_id == member_id and one.type is AlarmType.NOSPACE for one in alarms):
        return Outcome(result=Result.NOT_DONE, evidence=f"NOSPACE of {member_id} is listed{_again(etcd)}")
    return Outcome(result=Result.DONE, evidence=f"NOSPACE of {member_id} is no longer listed")


def _again(etcd: EtcdReader) -> str:
    spaces = _spaces(etcd)
    refilled = is_any_at(spaces, 0.99) is True
    return f"; {'refilled: ' if refilled else ''}the members' use of their quota is {use_text(spaces)}"


def _observe_writes(etcd: EtcdReader, change: Change) -> Outcome:
    before: Mapping[str, int] = change.before["revisions"]
    within = float(change.selection["within_seconds"])
    began = etcd.now()
    while True:
        now = {name: one for name, one in etcd.revisions().items() if name in before}
        still = [name for name, one in now.items() if isinstance(one, Unknown) or one <= before[name]]
        elapsed = etcd.now() - began
        if not still or elapsed >= within:
            break
        etcd.wait(LOOK_SECONDS)
    alarms = etcd.alarms()
    if isinstance(alarms, Unknown):
        return Outcome(result=Result.CANNOT_TELL, evidence=f"the alarms could not be listed: {alarms.reason}")
    if has_nospace(alarms):
        return Outcome(
            result=Result.NOT_DONE if still else Result.PARTLY,
            evidence=f"refilled: NOSPACE is raised again, the members' use of their quota is "
            f"{use_text(_spaces(etcd))}",
        )
    if still:
        who = (
            "nobody wrote to Kubernetes' etcd" if change.selection["kubernetes"] else "no write came through"
        )
        return Outcome(
            result=Result.NOT_DONE,
            evidence=f"{who} in {elapsed:.0f} s: the revision of {', '.join(still)} did not advance",
        )
    return _without_leftover(etcd, change, elapsed)


def _without_leftover(etcd: EtcdReader, change: Change, elapsed: float) -> Outcome:
    if not change.selection["kubernetes"]:
        try:
            left = etcd.keys.value(PROOF_KEY, linearizable=True)
        except RemoteError as error:
            return Outcome(result=Result.CANNOT_TELL, evidence=error.message)
        if left is not None:
            return Outcome(result=Result.PARTLY, evidence=f"the throw-away key {PROOF_KEY.decode()} is left")
    return Outcome(
        result=Result.DONE,
        evidence=f"every member's revision advanced within {elapsed:.1f} s, and no NOSPACE is raised",
        measured={"seconds": round(elapsed, 3)},
    )
