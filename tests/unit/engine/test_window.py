"""A run in a maintenance window: no change once it has ended, whatever else would permit it."""

import pytest

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.engine.context import Run
from sretool.engine.executor import Executor
from sretool.engine.guards import Guards
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.errors import RefusedError
from sretool.knowledge.window import Window
from sretool.model import Change, Effect, Risk
from sretool.runbook.model import Runbook
from tests.support.moving_clock import MovingClock

_NOWHERE = """
cluster: nowhere
etcd:
  members:
    - {name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}
"""
_CHANGE = Change(
    step="defrag",
    uses="etcd.defrag",
    verb="defragment",
    object="http://127.0.0.1:9",
    label="m1",
    reason="it is due",
    risk=Risk.DISRUPTIVE,
    effects=(Effect.STALLS_MEMBER,),
)


def test_after_the_window_the_next_change_is_refused_without_a_look():
    clock = MovingClock()
    cluster = Cluster(parse_cluster(_NOWHERE, origin="test"), clock)
    journal = Journal(None, clock)
    run = Run(
        id="windowed",
        runbook=Runbook(name="windowed", summary="", text="", origin="", steps=()),
        given={},
        params={},
        steps={},
        cluster=cluster,
        clock=clock,
        deadline=Deadline(clock, 3600.0),
        journal=journal,
        interrupts=Interrupts(clock),
        emit=lambda _event: None,
        window=Window.parse("daily 00:00-01:00 UTC"),
    )
    clock.pass_by(3601.0)
    executor = Executor(run, Guards(run), total=1)
    with pytest.raises(RefusedError, match="maintenance window daily 00:00-01:00 UTC is over"):
        executor.had_to_wait([_CHANGE], cluster.reader(run.deadline))
    assert journal.records == []
