"""The step etcd.alarm-list: which alarms are raised, by whom, and what they mean."""

from collections.abc import Sequence

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.etcd_questions import has_quorum
from sretool.knowledge import causes
from sretool.knowledge.alarms import RaisedAlarms, alarm_findings
from sretool.model import Alarm, Change, Known, Proposal, Risk, Unknown, known_only
from sretool.step import Step


class EtcdAlarmListParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It has no parameters."""


class EtcdAlarmListFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`types` names the kinds of alarm that are raised: NOSPACE, CORRUPT, UNRECOGNISED."""

    types: Known[tuple[str, ...]]
    raised: RaisedAlarms


class EtcdAlarmList(Step[EtcdAlarmListParams, EtcdAlarmListFacts]):
    """List etcd's alarms and name the member behind each.

    Reads the alarms in every member's Status, which needs no quorum, and asks for the list once: that is a
    raft proposal, and on etcd before 3.5.5 it is left out, because such a member may not start again after
    it (etcd PR 14429). Probes such as /livez and /readyz stay green under NOSPACE; alarms must be asked for.

    Changes nothing and refuses nothing. NOSPACE: etcd refuses writes until space is reclaimed and the alarm
    disarmed (etcd.compact, etcd.defrag, etcd.alarm-disarm). CORRUPT: members' data differ; stop everything.
    An alarm of a member that was removed stays, and keeps its effect, until that exact alarm is disarmed.
    """

    uses = "etcd.alarm-list"
    risk = Risk.READ
    causes = causes.ALARMS
    reads_by_hand = (
        "etcdctl --endpoints={endpoints} endpoint status -w json",
        "etcdctl --endpoints={endpoint} alarm list",
    )

    def look(self, read: ClusterReader, params: EtcdAlarmListParams) -> EtcdAlarmListFacts:
        etcd = read.etcd
        alarms = etcd.alarms()
        members = etcd.member_list()
        statuses = known_only(etcd.status())
        names = {} if isinstance(members, Unknown) else {one.id: one.name for one in members.members}
        names |= {status.member_id: name for name, status in statuses.items()}
        return EtcdAlarmListFacts(
            types=_types(alarms),
            raised=RaisedAlarms(
                alarms=alarms,
                names=tuple(sorted(names.items())),
                names_are_complete=not isinstance(members, Unknown),
                has_quorum=has_quorum(etcd),
                answering=len(statuses),
            ),
        )

    def plan(
        self, params: EtcdAlarmListParams, facts: EtcdAlarmListFacts, earlier: Sequence[Change]
    ) -> Proposal:
        return Proposal(findings=alarm_findings(facts.raised))


def _types(alarms: Known[tuple[Alarm, ...]]) -> Known[tuple[str, ...]]:
    return alarms if isinstance(alarms, Unknown) else tuple(sorted({str(alarm.type) for alarm in alarms}))
