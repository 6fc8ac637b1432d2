"""etcd's alarms: what each means, who raised it, and which one is stale."""

import msgspec

from sretool.model import Alarm, AlarmType, Evidence, Finding, Known, MemberId, Severity, Unknown

_SOURCE = "Status of every member, and one AlarmList"


class RaisedAlarms(msgspec.Struct, frozen=True, kw_only=True):
    """The alarms of one look, and the names of the members by id."""

    alarms: Known[tuple[Alarm, ...]]
    names: tuple[tuple[int, str], ...]
    names_are_complete: bool
    has_quorum: bool
    answering: int

    def name_of(self, alarm: Alarm) -> str:
        """Return who raised `alarm`, as a person would say it."""
        name = dict(self.names).get(alarm.member_id)
        if name:
            return name
        if alarm.member_id == 0:
            return "a member that etcd could not name"
        known = "a removed member" if self.names_are_complete else "a member unknown to us"
        return f"{known} ({MemberId(alarm.member_id)})"

    def is_stale(self, alarm: Alarm) -> bool:
        """Tell whether `alarm` is of a member that is no longer one: only a complete member list can tell."""
        return self.names_are_complete and alarm.member_id != 0 and alarm.member_id not in dict(self.names)


def has_nospace(alarms: Known[tuple[Alarm, ...]]) -> Known[bool]:
    """Tell whether some member raised NOSPACE: etcd refuses every write then."""
    if isinstance(alarms, Unknown):
        return alarms
    return any(alarm.type is AlarmType.NOSPACE for alarm in alarms)


def alarm_findings(raised: RaisedAlarms) -> tuple[Finding, ...]:
    """Return what the alarms mean; a blind finding when they could not be read."""
    if isinstance(raised.alarms, Unknown):
        return (_unread_finding(raised, raised.alarms.reason),)
    found = [
        finding
        for kind in (AlarmType.CORRUPT, AlarmType.NOSPACE, AlarmType.UNRECOGNISED)
        if (finding := _finding(raised, kind))
    ]
    found += [
        Finding(
            severity=Severity.WARNING,
            sentence=f"the alarm {alarm.type} of {raised.name_of(alarm)} is stale: etcd keeps it, and its effect, "
            "until exactly this alarm is disarmed",
            verdict="stale-alarm",
            subject=str(MemberId(alarm.member_id)),
        )
        for alarm in raised.alarms
        if raised.is_stale(alarm)
    ]
    return tuple(found) or (Finding(severity=Severity.OK, sentence="no alarm is raised"),)


def _finding(raised: RaisedAlarms, kind: AlarmType) -> Finding | None:
    alarms = (
        [alarm for alarm in raised.alarms if alarm.type is kind]
        if not isinstance(raised.alarms, Unknown)
        else []
    )
    if not alarms:
        return None
    who = ", ".join(raised.name_of(alarm) for alarm in alarms)
    sentence = {
        AlarmType.NOSPACE: f"etcd refuses every write: {who} ran out of quota (alarm NOSPACE)",
        AlarmType.CORRUPT: f"the data of {who} differ from the other members' (alarm CORRUPT): stop every change, "
        "compare `etcdctl endpoint hashkv` at one revision on all members, and replace the member that differs",
        AlarmType.UNRECOGNISED: f"{who} raised an alarm of a kind that this sretool does not know",
    }[kind]
    return Finding(
        severity=Severity.CRITICAL,
        sentence=sentence,
        verdict=kind.lower() if kind is not AlarmType.UNRECOGNISED else "alarm-unrecognised",
        evidence=tuple(
            Evidence(what=f"alarm of {raised.name_of(alarm)}", value=str(alarm.type), source=_SOURCE)
            for alarm in alarms
        ),
    )


def _unread_finding(raised: RaisedAlarms, reason: str) -> Finding:
    if raised.answering and not raised.has_quorum:
        # The missing quorum is the answer, and etcd.endpoint-status gives it; each member's own view was read.
        return Finding(
            severity=Severity.NOTE,
            sentence=f"{raised.answering} members show no alarm of their own; the list of alarms needs a quorum",
        )
    return Finding(severity=Severity.WARNING, sentence=f"the alarms could not be read: {reason}", blind=True)
