"""The changes of one wave: made side by side, written down by one thread, stopped at the first that goes wrong."""

import os
import signal
import threading

import msgspec
import pytest

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.engine.context import Run
from sretool.engine.events import ChangeStarted
from sretool.engine.executor import Executor
from sretool.engine.fates import Fate
from sretool.engine.guards import Guards
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.errors import InterruptedRunError, NoAnswerError, RejectedError
from sretool.model import Change, Effect, Outcome, Proposal, Result, Risk
from sretool.runbook.model import Runbook
from sretool.step import Step
from tests.support.moving_clock import MovingClock

_HANG_SECONDS = 30.0
_NOWHERE = """
cluster: nowhere
etcd:
  members:
    - {name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}
"""


class Nothing(msgspec.Struct, frozen=True):
    """Neither parameters nor facts."""


class MakesFiles(Step[Nothing, Nothing]):
    """Makes one file a change. `meanwhile` is called before each, with the change's number."""

    uses = "test.makes-files"
    risk = Risk.REVERSIBLE

    def __init__(self, folder, meanwhile=lambda _: None, together=1, lanes=None):
        self.folder, self.meanwhile, self.lanes = folder, meanwhile, lanes
        self.looks_together = together
        self.looks = []
        self.seen_3 = threading.Event()  # whoever looks at number 3 has told before that it failed

    def look(self, read, params):
        return Nothing()

    def plan(self, params, facts, earlier):
        return Proposal()

    def apply(self, write, change):
        self.meanwhile(int(change.object))
        (self.folder / change.object).touch()

    def lane(self, change):
        return str(int(change.object) % self.lanes) if self.lanes else change.key

    def observe(self, read, change):
        if change.object == "3":
            self.seen_3.set()
        there = (self.folder / change.object).exists()
        return Outcome(result=Result.DONE if there else Result.NOT_DONE, evidence="looked")

    def observe_each(self, read, changes):
        self.looks.append(len(changes))
        return super().observe_each(read, changes)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    return made


class Making:
    """One wave of `count` files, and what was written down of it."""

    def __init__(self, folder, count, **step):
        self.step = MakesFiles(folder, **step)
        self.told_by = set()
        self.events = []
        self.journal = Journal(None, MovingClock())
        self.wave = [_change(number) for number in range(count)]
        clock = MovingClock()
        self.interrupts = Interrupts(clock)
        run = Run(
            id="wave",
            runbook=Runbook(name="waves", summary="", text="", origin="", steps=()),
            given={},
            params={},
            steps={"files": self.step},
            cluster=Cluster(parse_cluster(_NOWHERE, origin="test"), clock),
            clock=clock,
            deadline=Deadline(clock, 3600.0),
            journal=self.journal,
            interrupts=self.interrupts,
            emit=self._emit,
        )
        self._executor = Executor(run, Guards(run), total=count)

    def make(self):
        return self._executor.make(self.wave)

    def results(self):
        """Return by number what the journal says of each change."""
        return {
            int(record.body["key"].rpartition("/")[2]): record.body["outcome"]
            for record in self.journal.records
            if record.kind == "outcome"
        }

    def started(self):
        return [int(one.change.object) for one in self.events if isinstance(one, ChangeStarted)]

    def _emit(self, event):
        self.told_by.add(threading.current_thread())
        self.events.append(event)


def _change(number):
    return Change(
        step="files",
        uses=MakesFiles.uses,
        verb="make",
        object=str(number),
        label=str(number),
        reason="it is not there",
        risk=Risk.REVERSIBLE,
        effects=(Effect.SAVES_LOCALLY,),
    )


@pytest.mark.parametrize("together", [1, 5])
def test_eight_are_under_way_at_once_and_one_thread_tells_of_them(folder, together):
    all_eight = threading.Barrier(8, timeout=_HANG_SECONDS)
    making = Making(folder, 24, meanwhile=lambda _: all_eight.wait(), together=together)
    assert making.make() is None
    assert len(list(folder.iterdir())) == 24
    assert [record.kind for record in making.journal.records[:24]] == ["intent"] * 24
    assert {result["result"] for result in making.results().values()} == {"done"}
    assert sorted(making.started()) == list(range(24))
    assert making.told_by == {threading.current_thread()}


def test_many_are_looked_at_together(folder):
    making = Making(folder, 24, together=10)
    assert making.make() is None
    assert sum(making.step.looks) == 24
    assert len(making.step.looks) <= 3


def test_those_of_one_lane_are_made_one_after_the_other_in_their_order(folder):
    under_way, order, lock = [], [], threading.Lock()

    def meanwhile(number):
        with lock:
            order.append(number)
            under_way.append(number % 3)
            assert under_way.count(number % 3) == 1
        threading.Event().wait(0.005)
        with lock:
            under_way.remove(number % 3)

    assert Making(folder, 15, meanwhile=meanwhile, lanes=3).make() is None
    for lane in range(3):
        assert [number for number in order if number % 3 == lane] == list(range(lane, 15, 3))


@pytest.mark.parametrize("together", [1, 5])
def test_after_the_first_that_goes_wrong_nothing_more_is_sent_and_the_journal_says_so(folder, together):
    def refuse_3(number):
        if number == 3:
            raise RejectedError("refused by the webhook «gate»", endpoint="api")
        assert together > 1 or making.step.seen_3.wait(_HANG_SECONDS)

    making = Making(folder, 40, meanwhile=refuse_3, together=together)
    bad = making.make()
    assert (bad.fate, bad.change.object) == (Fate.NOT_MADE, "3")
    assert "gate" in bad.why
    results = making.results()
    assert len(results) == 40, "every intent has an outcome: a resume looks at none of them again"
    made = {number for number, one in results.items() if one["result"] == "done"}
    assert made == {int(path.name) for path in folder.iterdir()}
    not_sent = {number for number, one in results.items() if one["evidence"].startswith("not sent: make 3 ")}
    assert not_sent == set(range(40)) - set(making.started())
    assert together > 1 or not_sent == set(range(8, 40)), "eight were under way when it was refused"


def test_an_unclear_answer_is_looked_after_and_the_wave_goes_on(folder):
    def lose_the_answer(number):
        if number == 3:
            (folder / "3").touch()
            raise NoAnswerError("no answer in 10 s", endpoint="api")

    assert Making(folder, 20, meanwhile=lose_the_answer).make() is None
    assert len(list(folder.iterdir())) == 20


def test_the_first_ctrl_c_lets_those_under_way_end_and_keeps_the_rest_back(folder):
    all_eight = threading.Barrier(8, timeout=_HANG_SECONDS)
    caught = threading.Event()

    def interrupt(number):
        all_eight.wait()
        if number == 0:
            os.kill(os.getpid(), signal.SIGINT)
            caught.set()
        assert caught.wait(_HANG_SECONDS)

    making = Making(folder, 40, meanwhile=interrupt)
    with making.interrupts, pytest.raises(InterruptedRunError):
        making.make()
    results = making.results()
    made = {int(path.name) for path in folder.iterdir()}
    assert {number for number, one in results.items() if one["result"] == "done"} == made >= set(range(8))
    kept_back = {number for number, one in results.items() if one["result"] == "not-done"}
    assert kept_back == set(range(40)) - made
    assert "interrupted" in results[39]["evidence"]


def test_the_second_ctrl_c_does_not_wait_for_those_under_way_and_calls_them_unknown(folder):
    release = threading.Event()
    eight, first = threading.Barrier(8, timeout=_HANG_SECONDS), threading.Event()

    def interrupt_twice(number):
        eight.wait()
        if number == 0:
            os.kill(os.getpid(), signal.SIGINT)
            while not making.interrupts.requested:
                first.wait(0.005)
            os.kill(os.getpid(), signal.SIGINT)
        release.wait(_HANG_SECONDS)

    making = Making(folder, 40, meanwhile=interrupt_twice)
    try:
        with making.interrupts, pytest.raises(InterruptedRunError):
            making.make()
        results = making.results()
        assert [results[number]["result"] for number in range(8)] == ["cannot-tell"] * 8
        assert [results[number]["result"] for number in range(8, 40)] == ["not-done"] * 32
    finally:
        release.set()


def test_a_bug_in_a_step_is_raised_and_its_intent_stays_open(folder):
    def fail(number):
        if number == 2:
            raise KeyError("a bug")

    making = Making(folder, 20, meanwhile=fail)
    with pytest.raises(KeyError):
        making.make()
    assert set(range(20)) - set(making.results()) == {2}
