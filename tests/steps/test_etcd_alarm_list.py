"""What etcd.alarm-list says about alarms."""

import pytest

from sretool.knowledge.alarms import RaisedAlarms, alarm_findings
from sretool.model import Alarm, AlarmType, Severity, Unknown

NOSPACE, CORRUPT, OTHER = AlarmType.NOSPACE, AlarmType.CORRUPT, AlarmType.UNRECOGNISED
NAMES = ((1, "m1"), (2, "m2"))


def raised(*alarms, **changed):
    usual = {"alarms": alarms, "names": NAMES, "names_are_complete": True, "has_quorum": True, "answering": 3}
    return RaisedAlarms(**(usual | changed))


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        (raised(), [""], ("no alarm is raised",)),
        (raised(Alarm(1, NOSPACE), Alarm(2, NOSPACE)), ["nospace"], ("m1, m2", "refuses every write")),
        (raised(Alarm(2, CORRUPT)), ["corrupt"], ("m2", "stop every change", "hashkv")),
        (raised(Alarm(0, CORRUPT)), ["corrupt"], ("a member that etcd could not name",)),
        (raised(Alarm(0xAB, NOSPACE)), ["nospace", "stale-alarm"], ("a removed member (ab)",)),
        (
            raised(Alarm(0xAB, NOSPACE), names_are_complete=False),
            ["nospace"],
            ("a member unknown to us (ab)",),
        ),
        (raised(Alarm(1, OTHER)), ["alarm-unrecognised"], ("m1", "does not know")),
        (raised(Alarm(1, NOSPACE), Alarm(1, CORRUPT)), ["corrupt", "nospace"], ()),
    ],
)
def test_every_alarm_is_named_with_its_member(given, expected, words):
    found = alarm_findings(given)
    assert [one.verdict for one in found] == expected
    for word in words:
        assert word in found[0].sentence


def test_alarms_that_could_not_be_read_are_no_good_news():
    (finding,) = alarm_findings(raised(alarms=Unknown("timed out")))
    assert finding.blind and "timed out" in finding.sentence


def test_without_a_leader_the_missing_list_is_not_what_is_wrong():
    (finding,) = alarm_findings(raised(alarms=Unknown("etcd has no leader"), has_quorum=False, answering=1))
    assert (finding.blind, finding.severity) == (False, Severity.NOTE)
