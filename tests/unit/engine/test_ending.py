"""Exit codes: when several hold, the documented order decides."""

import pytest

from sretool.engine.ending import (
    PRECEDENCE,
    code_of_look,
    ending_of_look,
    next_steps,
    successor,
    worst,
)
from sretool.errors import EXIT_CODES
from sretool.model import Finding, Held, Severity
from sretool.runbook.library import list_runbooks
from sretool.runbook.model import Runbook, VerdictNext
from tests.support.plans import plan_with

CAUSE = Finding(severity=Severity.WARNING, sentence="slow disk", verdict="disk-slow-minority")
CRITICAL = Finding(severity=Severity.CRITICAL, sentence="no leader")
NOTE = Finding(severity=Severity.NOTE, sentence="learner", verdict="note")
BLIND = Finding(severity=Severity.CRITICAL, sentence="metrics silent", blind=True)
REFUSED = Held(what="defrag", why="corrupt", refused=True)
UNKNOWN = Held(what="defrag", why="disk free", refused=False)


def test_every_code_has_a_place_and_a_meaning():
    assert set(PRECEDENCE) == set(EXIT_CODES)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((), 0), ((0, 9), 9), ((9, 3), 3), ((3, 8), 8), ((8, 4), 4), ((4, 6), 6), ((6, 5), 5), ((130, 7), 7)],
)
def test_precedence(codes, expected):
    assert expected == worst(codes)


@pytest.mark.parametrize(
    ("findings", "held", "due", "expected"),
    [
        ([], [], False, 0),
        ([NOTE], [], False, 0),
        ([CAUSE], [], False, 9),
        ([CRITICAL], [], False, 9),
        ([CAUSE], [], True, 3),
        ([BLIND], [], False, 8),
        ([BLIND], [], True, 8),
        ([CAUSE], [UNKNOWN], False, 8),
        ([CAUSE], [REFUSED], True, 4),
        ([CRITICAL], [UNKNOWN], False, 9),
        ([CRITICAL, BLIND], [UNKNOWN], False, 8),
    ],
)
def test_what_a_look_alone_deserves(findings, held, due, expected):
    assert expected == code_of_look(findings, held, due=due)


@pytest.mark.parametrize(
    ("after", "by_hand", "words"),
    [
        (VerdictNext(next="etcd-defrag"), "wait", "sretool runbook etcd-defrag"),
        (VerdictNext(next="etcd-defrag", about="one disk"), "", "sretool runbook etcd-defrag (one disk)"),
        (VerdictNext(next="buy-a-disk"), "", "buy-a-disk, by hand: there is no runbook for it"),
        (VerdictNext(next="buy-a-disk"), "fio first", "buy-a-disk, by hand: fio first"),
    ],
)
def test_what_takes_over_is_a_command_only_where_there_is_that_runbook(after, by_hand, words):
    assert successor(after, dict(list_runbooks()), by_hand) == words


def test_each_cause_has_a_next_step_and_what_was_not_found_has_none():
    runbook = Runbook(
        name="x",
        summary="s",
        steps=(),
        text="",
        origin="x.yaml",
        verdicts={
            "nospace": VerdictNext(next="etcd-nospace"),
            "runaway": VerdictNext(next="runaway-deployment"),
        },
        by_hand={"disk-slow-minority": "replace it", "nospace": "not this", "member-dead": "start it"},
    )
    full = Finding(severity=Severity.CRITICAL, sentence="full", verdict="nospace")
    plan = plan_with(findings=(CAUSE, CAUSE, full, CRITICAL, BLIND))
    assert ["nospace: sretool runbook etcd-nospace", "disk-slow-minority: replace it"] == next_steps(
        plan, runbook
    )
    assert ["disk-slow-minority: replace it"] == next_steps(plan, runbook, beside={"etcd-nospace"})


def test_what_could_not_be_read_is_followed_by_what_helps_once():
    runbook = Runbook(name="x", summary="s", steps=(), text="", origin="x.yaml")
    unread = Finding(severity=Severity.WARNING, sentence="no", blind=True, then="open the port")
    plan = plan_with(findings=(unread, BLIND, unread, NOTE))
    assert ["open the port"] == next_steps(plan, runbook)
    assert ending_of_look(plan, runbook).then == "open the port"
