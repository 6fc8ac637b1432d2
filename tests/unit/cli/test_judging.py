"""`safe etcd`: a «no» is what is known to speak against it, and what could not be read is «cannot tell»."""

import pytest

from sretool.cli.judging import judge_state
from sretool.model import Alarm, AlarmType, Silence, Unknown
from tests.support.etcd_states import listed, member, silent, state

TIMED_OUT = Unknown("request timed out")
UNREAD = {"alarms": TIMED_OUT, "member_list": TIMED_OUT}
LEADERLESS = [member(number, leader=0) for number in (1, 2, 3)]
CASES = {
    "healthy": (state(), 0, "may be touched: 3 of 3 voters are healthy"),
    "no leader": (state(*LEADERLESS, alarms=TIMED_OUT), 8, "cannot tell: no leader: 0 of 3 voters are healthy"),
    "no leader, two dead": (
        state(member(1, leader=0), silent(2), silent(3), alarms=TIMED_OUT, member_list=listed(1, 2, 3, stale=True)),
        8,
        "cannot tell: no leader: 0 of 3 voters are healthy",
    ),
    "only a learner": (
        state(silent(1), silent(2), member(3, is_learner=True, leader=0), **UNREAD),
        8,
        "cannot tell: no voting member answers (n1 is dead, n2 is dead)",
    ),
    "one hung member": (
        state(silent(1, Silence.FROZEN), **UNREAD), 8, "cannot tell: no voting member answers (n1 is frozen)",
    ),
    "alarms unread": (state(alarms=TIMED_OUT), 8, "cannot tell: corrupt: whether CORRUPT is raised is unknown"),
    "CORRUPT": (state(alarms=(Alarm(1, AlarmType.CORRUPT),)), 4, "no: corrupt: "),
    "CORRUPT without a leader": (state(*LEADERLESS, alarms=(Alarm(1, AlarmType.CORRUPT),)), 4, "no: corrupt: "),
    "one dead": (state(member(1), member(2), silent(3)), 4, "no: quorum: 2 of 3 voters are healthy"),
    "one dead, alarms unread": (
        state(member(1), member(2), silent(3), alarms=TIMED_OUT), 4, "no: quorum: 2 of 3 voters are healthy",
    ),
    "busy": (state(member(1, defrag_inflight=1), member(2), member(3)), 4, "not now: defrag-inflight: "),
    "NOSPACE": (
        state(alarms=(Alarm(2, AlarmType.NOSPACE),)),
        0,
        "may be touched, but alarm NOSPACE is raised and etcd refuses every write until it is disarmed: 3 of 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_safe_etcd(case):
    seen, code, begins = CASES[case]
    told = judge_state(seen)
    assert (code, begins) == (told.exit_code, told.sentence[: len(begins)]), told.sentence
