"""A stage that only looks: its runbooks look at the same time, and one thread writes down what they saw, in order."""

import contextlib
import os
import signal
import threading

import msgspec
import pytest

from sretool.clock import SystemClock
from sretool.cluster.inventory import parse_cluster
from sretool.engine.events import LookEnded
from sretool.engine.opening import Terms
from sretool.engine.playbook import PlaybookOperation
from sretool.engine.playbook_opening import opened_playbook
from sretool.errors import InterruptedRunError, NoAnswerError
from sretool.lab import LabSpec
from sretool.model import Finding, Proposal, Risk, Severity
from sretool.runbook.playbook_loader import load_playbook
from sretool.step import Step
from tests.support.etcd_cluster import running_lab

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("looks")]

HANG_SECONDS = 30.0
NAMES = ("first", "second", "third")
PLAYBOOK = "playbook: three\nsummary: s\nstages:\n- id: look\n  gate: none\n  runbooks:\n" + "".join(
    f"  - {{run: {name}}}\n" for name in NAMES
)


class NoParams(msgspec.Struct, frozen=True):
    """Nothing is asked for."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a look has seen."""

    by: str


class LooksAs(Step[NoParams, Seen]):
    """Looks as the test wants it."""

    risk = Risk.READ
    name = ""
    meanwhile = staticmethod(lambda read: None)

    def look(self, read, params):
        self.meanwhile(read)
        return Seen(by=self.name)

    def plan(self, params, facts, earlier):
        return Proposal(findings=(Finding(severity=Severity.OK, sentence=facts.by),))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("lo"), LabSpec(name="lo", members=1)) as lab:
        yield lab


class Looking:
    """A playbook of three looks; `looks` says by name what one does meanwhile."""

    def __init__(self, lab, *, find=None, **looks):
        steps = {
            f"test.{name}": type(
                name,
                (LooksAs,),
                {"uses": f"test.{name}", "name": name, "meanwhile": staticmethod(looks.get(name, _nothing))},
            )
            for name in NAMES
        }
        self.events, self.told_by = [], set()
        terms = Terms(catalogue=steps, clock=SystemClock(), emit=self._emit, unattended=True)
        book = load_playbook(PLAYBOOK, origin="three.yaml", catalogue=steps, find=find or _runbook)
        entry = parse_cluster(lab.cluster_file.read_text(), origin=str(lab.cluster_file))
        with opened_playbook(book, {}, (), entry, terms, may_write=False) as run:
            try:
                self.ending = PlaybookOperation(run).run(None)
            finally:
                self.written = [
                    (record.kind, record.scope)
                    for record in run.journal.records
                    if record.kind in ("plan", "facts")
                ]

    def found(self):
        return [one.findings[0].sentence for one in self.events if isinstance(one, LookEnded)]

    def _emit(self, event):
        self.told_by.add(threading.current_thread())
        self.events.append(event)


def _nothing(read):
    pass


def _runbook(name):
    return f"runbook: {name}\nsummary: s\nsteps:\n- {{id: a, uses: test.{name}}}\n", f"{name}.yaml"


def of(*names):
    return [(kind, f"look/{name}") for name in names for kind in ("plan", "facts")]


def test_all_of_a_stage_look_at_the_same_time_and_one_thread_tells_of_them(lab):
    meet = threading.Barrier(3, timeout=HANG_SECONDS)
    looking = Looking(lab, **dict.fromkeys(NAMES, lambda read: meet.wait()))
    assert looking.ending.exit_code == 0, looking.ending
    assert looking.told_by == {threading.current_thread()}


def test_the_record_and_what_is_shown_are_in_the_order_of_the_file_whoever_is_ready_first(lab):
    third, second = threading.Event(), threading.Event()
    looking = Looking(
        lab,
        first=lambda read: second.wait(HANG_SECONDS),
        second=lambda read: third.wait(HANG_SECONDS) and second.set(),
        third=lambda read: third.set(),
    )
    assert looking.ending.exit_code == 0, looking.ending
    assert looking.written == of(*NAMES)
    assert looking.found() == list(NAMES)


def test_what_was_found_before_one_could_not_look_is_told_at_the_end(lab):
    def silent(read):
        raise NoAnswerError("no answer in 2 s", endpoint="m1")

    def find(name):
        text, origin = _runbook(name)
        return (
            text.replace("steps:", "steps:\n- {id: b, uses: test.first}") if name == "second" else text
        ), origin

    ending = Looking(lab, find=find, second=silent).ending
    assert (ending.exit_code, [one.sentence for one in ending.findings]) == (8, ["first"])


def test_one_that_cannot_look_does_not_keep_the_others_from_it(lab):
    def silent(read):
        raise NoAnswerError("no answer in 2 s", endpoint="m1")

    looking = Looking(lab, second=silent)
    assert looking.ending.exit_code == 8
    assert "no answer in 2 s" in looking.ending.sentence
    assert looking.written == [*of("first"), ("facts", "look/second"), *of("third")]
    assert looking.found() == ["first", "third"]


def test_ctrl_c_ends_all_looks_and_waits_for_none(lab):
    looks, may_end, ended = threading.Barrier(3, timeout=HANG_SECONDS), threading.Event(), threading.Event()

    def hang(read):
        looks.wait()
        may_end.wait(HANG_SECONDS)
        ended.set()

    def interrupted(read):
        looks.wait()
        os.kill(os.getpid(), signal.SIGINT)
        read.wait(HANG_SECONDS)

    try:
        looking = Looking(lab, first=lambda read: looks.wait(), second=hang, third=interrupted)
        assert not ended.is_set()
    finally:
        may_end.set()
    assert looking.ending.exit_code == 130
    assert set(looking.written) <= set(of("first"))


def test_a_second_ctrl_c_does_not_wait_for_a_look_that_cannot_be_interrupted(lab):
    looks, may_end, ended = threading.Barrier(3, timeout=HANG_SECONDS), threading.Event(), threading.Event()

    def interrupted_twice(read):
        looks.wait()
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(InterruptedRunError):
            read.wait(HANG_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)
        may_end.wait(HANG_SECONDS)
        ended.set()

    others = dict.fromkeys(("second", "third"), lambda read: looks.wait())
    try:
        looking = Looking(lab, first=interrupted_twice, **others)
        assert not ended.is_set()
    finally:
        may_end.set()
    assert looking.ending.exit_code == 130
    assert looking.ending.sentence == "interrupted twice: stopped where it was"
    assert looking.written == []


def test_a_bug_in_a_look_is_raised_where_it_can_end_the_run(lab):
    def fail(read):
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        Looking(lab, second=fail)
