"""What is not planned stands in the order of its steps: a person goes on by hand in that order."""

from sretool.engine.planner import without_failed_precautions
from sretool.model import Held
from tests.support.sample_run import COMPACT


def test_what_a_failed_precaution_holds_back_keeps_its_step():
    why = Held(what="save a snapshot", why="no room", refused=True)
    changes, held = without_failed_precautions([COMPACT], {"snapshot": why})
    assert changes == ()
    assert [(step, one.commands) for step, one in held] == [("snapshot", ()), ("compact", COMPACT.commands)]
    assert "the precaution «snapshot» cannot be taken first: no room" in held[1][1].why
