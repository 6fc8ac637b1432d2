"""Events as lines while they happen."""

import json

import pytest

from sretool.engine import events
from sretool.model import Outcome, Result
from sretool.report.documents import render_event
from sretool.report.live import LiveLines
from tests.support.sample_run import BLIND, NOSPACE, RECOVERY, defrag

M2 = defrag("m2")
DONE = Outcome(result=Result.DONE, evidence="counted once more")
ALL = (
    events.LookStarted(step="status", uses="etcd.endpoint-status"),
    events.LookEnded(
        step="status", uses="etcd.endpoint-status", seconds=0.2, findings=(NOSPACE, BLIND), changes=0
    ),
    events.LookEnded(step="defrag", uses="etcd.defrag", seconds=0.2, findings=(), changes=2),
    events.StepSkipped(step="census", uses="etcd.census", reason="not needed: false"),
    events.ReadRetried(what="status", cause="no answer in 1.2 s"),
    events.PlanReady(plan=RECOVERY, phase="plan"),
    events.Approved(how="--approve disruptive", lock="this machine"),
    events.Waiting(change=M2.key, rule="raft-lag", reason="m1 is 400 behind", seconds=0.2),
    events.ChangeStarted(change=M2, number=1, total=2),
    events.ChangeGoing(change=M2.key, seconds=2.0, limit_seconds=900.0, evidence="still defragmenting"),
    events.ChangeEnded(change=M2, outcome=DONE, seconds=2.4),
    events.ChangeDropped(change=defrag("m1").key, reason="no longer due"),
    events.Noted(text="looking once more in 60 s"),
)


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_every_event_but_begin_and_plan_is_a_line_with_the_time():
    lines = LiveLines(lambda: 1.25)
    for event in ALL:
        shown = lines.lines_of(event)
        silent = isinstance(event, events.LookStarted | events.PlanReady)
        assert silent == (not shown), event
        assert all(line.startswith(("    1.2 s  ", " " * 12)) for line in shown)


@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_is_wider_than_the_terminal(columns):
    lines = LiveLines(lambda: 0.0, columns=columns)
    assert all(len(line) <= columns for event in ALL for line in lines.lines_of(event))


def test_a_finding_has_its_severity_as_a_word():
    found = "\n".join(LiveLines(lambda: 0.0).lines_of(ALL[1]))
    assert "CRITICAL etcd refuses every write" in found
    assert "UNKNOWN  the metrics of m3" in found


def test_waiting_is_a_line_every_ten_seconds_and_the_state_all_the_time():
    seconds = Seconds()
    lines = LiveLines(seconds)
    waiting = events.Waiting(change=M2.key, rule="raft-lag", reason="m1 is 400 behind", seconds=0.2)
    told = []
    for tick in range(100):
        seconds.now = tick * 0.25
        assert "raft-lag" in lines.state_of(waiting)
        told += lines.lines_of(waiting)
    assert len([line for line in told if "waits" in line]) == 3


def test_a_dropped_change_is_named_as_in_the_plan():
    lines = LiveLines(lambda: 0.0)
    for event in ALL[5:]:
        shown = "\n".join(lines.lines_of(event))
        if isinstance(event, events.ChangeDropped):
            assert "defragment m1: no longer due" in shown
            return
    raise AssertionError("no such event")


def test_every_event_is_one_json_line_with_its_name_and_time():
    for event in ALL:
        line = render_event(event, elapsed=1.5)
        assert "\n" not in line
        document = json.loads(line)
        assert type(event).__name__.lower() == document["event"]
        assert document["elapsed"] == 1.5
        assert set(type(event).__struct_fields__) <= set(document)


def test_with_verbose_a_look_is_followed_by_the_commands_that_read_the_same():
    command = "etcdctl --endpoints=https://10.0.0.1:2379,https://10.0.0.2:2379 endpoint status -w table"
    event = events.LookEnded(
        step="status", uses="etcd.endpoint-status", seconds=0.2, findings=(), changes=0, commands=(command,)
    )
    assert f"    $ {command}" == LiveLines(lambda: 0.0, verbose=True).lines_of(event)[-1]
    assert not any("$" in line for line in LiveLines(lambda: 0.0).lines_of(event))


def test_a_precaution_is_not_said_to_be_due():
    event = events.LookEnded(
        step="snapshot", uses="etcd.snapshot-save", seconds=0.2, findings=(), changes=1, precaution=True
    )
    (line,) = LiveLines(lambda: 0.0).lines_of(event)
    assert "snapshot    ready    1 change before a later step's, if there is one" in line
