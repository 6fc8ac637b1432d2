"""The look after a change begins with what the look at that change has just read, and with nothing older."""

import math

import msgspec
import pytest

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.engine.context import Run
from sretool.engine.executor import Executor
from sretool.engine.guards import Guards
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.model import Change, Effect, Outcome, Proposal, Result, Risk
from sretool.runbook.model import Runbook
from sretool.step import Step
from tests.support.http_stub import Reply, serve
from tests.support.moving_clock import MovingClock

_CLUSTER = """
cluster: one
etcd:
  members:
    - {{name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9", metrics: "{url}"}}
"""


class Nothing(msgspec.Struct, frozen=True):
    """Neither parameters nor facts."""


class LooksAtMetrics(Step[Nothing, Nothing]):
    """Changes nothing, and looks for it in m1's metrics."""

    uses = "test.looks-at-metrics"
    risk = Risk.REVERSIBLE

    def look(self, read, params):
        return Nothing()

    def plan(self, params, facts, earlier):
        return Proposal()

    def apply(self, write, change):
        pass

    def observe(self, read, change):
        assert "up" in read.etcd.scrape(["m1"])["m1"].samples
        return Outcome(result=Result.DONE, evidence="looked")


class OneRun:
    def __init__(self, url):
        self.clock = MovingClock()
        run = Run(
            id="looks",
            runbook=Runbook(name="looks", summary="", text="", origin="", steps=()),
            given={},
            params={},
            steps={"looks": LooksAtMetrics()},
            cluster=Cluster(parse_cluster(_CLUSTER.format(url=url), origin="test"), self.clock),
            clock=self.clock,
            deadline=Deadline(self.clock, 3600.0),
            journal=Journal(None, self.clock),
            interrupts=Interrupts(self.clock),
            emit=lambda event: None,
        )
        self.executor = Executor(run, Guards(run), total=3)

    def make(self, *objects):
        assert self.executor.make([_change(one) for one in objects]) is None

    def look(self):
        return self.executor.reader().etcd.scraped_after(-math.inf, ["m1"])["m1"]


def _change(about):
    return Change(
        step="looks",
        uses=LooksAtMetrics.uses,
        verb="make",
        object=about,
        label=about,
        reason="",
        risk=Risk.REVERSIBLE,
        effects=(Effect.SAVES_LOCALLY,),
    )


@pytest.fixture
def served():
    with serve(lambda asked: Reply(body=b"up 1\n")) as (stub, url):
        yield stub, OneRun(url)


def test_what_was_read_after_the_change_is_not_read_again(served):
    stub, run = served
    run.make("a")
    assert "up" in run.look().samples
    assert len(stub.asked) == 1


def test_after_a_pause_it_is_read_again(served):
    stub, run = served
    run.make("a")
    run.clock.pass_by(0.1)
    run.look()
    assert len(stub.asked) == 2


def test_after_several_changes_side_by_side_it_is_read_again(served):
    """One of them may have been made after another's look."""
    stub, run = served
    run.make("a")
    run.make("b", "c")
    asked = len(stub.asked)
    run.look()
    assert len(stub.asked) == asked + 1
