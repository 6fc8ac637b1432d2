"""What a run that was refused, or could not look, hands out: what was found, what helps, no forbidden command."""

import msgspec
import pytest

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.engine.context import Run
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.engine.operate import Approval, Operation
from sretool.engine.resumption import Resumption
from sretool.errors import NotPermittedError
from sretool.model import (
    Alarm,
    AlarmType,
    Change,
    Effect,
    Finding,
    Held,
    Identity,
    Outcome,
    Proposal,
    Result,
    Risk,
    Severity,
)
from sretool.report.fold import fold_run
from sretool.runbook.model import Runbook, StepSpec
from sretool.step import Step
from tests.support.etcd_states import listed, member, silent, state, url
from tests.support.moving_clock import MovingClock

_CLUSTER = """
cluster: nowhere
etcd:
  members:
    - {name: n1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}
"""
FROZEN = Finding(severity=Severity.CRITICAL, sentence="m3 is frozen", verdict="member-frozen")
ROLE = "etcd's own authentication is on: this user needs a role"
REFUSED = NotPermittedError("etcd m1: it was refused: permission denied", then=ROLE)
MOVE = Held(what="defragment n1", why="no voter is fast", refused=True, commands=("etcdctl move-leader X",))
CORRUPT = state(alarms=(Alarm(2, AlarmType.CORRUPT),))
ONE_SILENT = state(member(1), member(2), silent(3))


class Nothing(msgspec.Struct, frozen=True):
    """Neither parameters nor facts."""


class Finds(Step[Nothing, Nothing]):
    """Finds m3 frozen."""

    uses = "test.finds"
    risk = Risk.READ

    def look(self, read, params):
        return Nothing()

    def plan(self, params, facts, earlier):
        return Proposal(findings=(FROZEN,))


class MayNotLook(Finds):
    """Is refused its look."""

    uses = "test.may-not-look"

    def look(self, read, params):
        raise REFUSED


class Defrags(Finds):
    """Wants to stall n2; `held` is what it holds back itself. Its change is refused by etcd."""

    uses = "test.defrags"
    risk = Risk.DISRUPTIVE

    def __init__(self, *held):
        self.held = held

    def plan(self, params, facts, earlier):
        change = Change(
            step="defrags",
            uses=self.uses,
            verb="defragment",
            object=url(2),
            label="n2",
            reason="it is due",
            risk=Risk.DISRUPTIVE,
            effects=(Effect.STALLS_MEMBER,),
            commands=("etcdctl defrag",),
        )
        return Proposal(waves=((change,),), held=self.held)

    def apply(self, write, change):
        raise REFUSED

    def observe(self, read, change):
        return Outcome(result=Result.NOT_DONE, evidence="no defragmentation was seen")


class SeenCluster(Cluster):
    """Shows each reader the next of these states, the last one for ever; nothing is sent."""

    def __init__(self, states, clock):
        super().__init__(parse_cluster(_CLUSTER, origin="test"), clock)
        self._states = list(states)

    def reader(self, deadline, *, interruptible=True):
        read = super().reader(deadline, interruptible=interruptible)
        seen = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        for what in ("state", "state but compactions"):
            read.etcd.remember(what, lambda: seen)
        for what in ("status", "silences", "member_list", "alarms", "is_kubernetes", "unserved", "metrics"):
            read.etcd.remember(what, dict)
        return read

    def identity(self, read):
        return Identity(etcd_cluster_id="1")


def run_of(steps, *states):
    """Return a run of these steps, by id, on a cluster that is seen in these states."""
    clock = MovingClock()
    journal = Journal(None, clock)
    runbook = Runbook(
        name="x",
        summary="s",
        text="",
        origin="",
        steps=tuple(
            StepSpec(id=step_id, uses=step.uses, params_type=Nothing) for step_id, step in steps.items()
        ),
    )
    return Run(
        id="x",
        runbook=runbook,
        given={},
        params={},
        steps=steps,
        cluster=SeenCluster(states, clock),
        clock=clock,
        deadline=Deadline(clock, 3600.0),
        journal=journal,
        interrupts=Interrupts(clock),
        emit=lambda _: None,
    )


def operation(tmp_path, steps, *states):
    return Operation(run_of(steps, *states), run_folder=tmp_path)


def yes(plan, level):
    return Approval(granted=True, how="a test")


def test_what_earlier_steps_found_is_told_when_a_later_look_fails(tmp_path):
    ending = operation(tmp_path, {"status": Finds(), "latency": MayNotLook()}, state()).run(None)
    assert (ending.exit_code, ending.findings) == (8, (FROZEN,))
    assert "permission denied" in ending.sentence


def test_a_report_has_what_was_found_by_a_look_that_did_not_end(tmp_path):
    broken = operation(tmp_path, {"status": Finds(), "latency": MayNotLook()}, state())
    broken.run(None)
    begin = {
        "run": "x", "runbook": "x", "origin": "", "cluster": "c", "user": "u", "host": "h", "pid": 1,
        "version": "1", "unattended": True, "given": {}, "accepted": [],
    }  # fmt: skip
    journal = Journal(None, MovingClock())
    journal.write("begin", begin)
    assert (FROZEN,) == fold_run([*journal.records, *broken.records]).found


@pytest.mark.parametrize(
    "seen", [CORRUPT, state(member_list=listed(1, 2, 3, 4))], ids=["corrupt", "inventory"]
)
def test_what_is_forbidden_to_everybody_is_not_offered_by_hand(tmp_path, seen):
    ending = operation(tmp_path, {"defrags": Defrags(MOVE)}, seen).run(yes)
    assert (4, ()) == (ending.exit_code, ending.commands)


def test_what_a_person_may_do_is_offered_by_hand(tmp_path):
    ending = operation(tmp_path, {"defrags": Defrags(MOVE)}, ONE_SILENT).run(yes)
    assert (4, ("etcdctl move-leader X", "etcdctl defrag")) == (ending.exit_code, ending.commands)


@pytest.mark.parametrize("held", [(), (MOVE,)], ids=["by a guard", "by the step"])
def test_corruption_that_shows_after_the_approval_leaves_no_command(tmp_path, held):
    class Later(Defrags):
        looks = 0

        def plan(self, params, facts, earlier):
            self.looks += 1
            self.held = held if self.looks > 1 else ()
            return super().plan(params, facts, earlier)

    ending = operation(tmp_path, {"defrags": Later()}, state(), CORRUPT).run(yes)
    assert (4, ()) == (ending.exit_code, ending.commands), ending.sentence


def test_a_change_that_etcd_refused_is_followed_by_what_helps(tmp_path):
    ending = operation(tmp_path, {"defrags": Defrags()}, state()).run(yes)
    assert (4, f"{ROLE}; sretool resume x") == (ending.exit_code, ending.then)
    assert ("etcdctl defrag",) == ending.commands


class Half(Defrags):
    """Is accepted, and half done; what is left to do by hand is not what was done. It is due until it is sent."""

    result = Result.PARTLY
    sent = False

    def plan(self, params, facts, earlier):
        return Proposal() if self.sent else super().plan(params, facts, earlier)

    def apply(self, write, change):
        self.sent = True

    def observe(self, read, change):
        return Outcome(result=self.result, evidence="half of it", commands=("look at it",))


def test_what_was_sent_and_is_half_done_is_not_offered_by_hand_again(tmp_path):
    ending = operation(tmp_path, {"defrags": Half()}, state()).run(yes)
    assert (6, ("look at it",)) == (ending.exit_code, ending.commands)


def test_what_was_half_done_and_is_done_by_now_is_seen_by_a_resume(tmp_path):
    half = Half()
    run = run_of({"defrags": half}, state())
    assert Operation(run, run_folder=tmp_path).run(yes).exit_code == 6
    resumed = Resumption(run, run_folder=tmp_path)
    assert resumed.resume(yes).exit_code == 5
    assert resumed.made() == []
    half.result = Result.DONE
    ending = resumed.resume(yes)
    assert (0, "done and verified: 1 changes, and the cause is gone") == (ending.exit_code, ending.sentence)
