"""One question at the plan's highest risk: what counts as a yes, and that nothing else does."""

import sys
from pathlib import Path

import pytest

from sretool.cli.approval import approve_up_to, choose_approver
from sretool.errors import UsageError
from sretool.model import Risk
from tests.support.sample_run import COMPACT, REVERSIBLE, SNAPSHOT, defrag, sample_plan
from tests.support.terminal import Person

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("level", [Risk.REVERSIBLE, Risk.DISRUPTIVE, Risk.IRREVERSIBLE])
@pytest.mark.parametrize("change", [REVERSIBLE, defrag("m1"), COMPACT], ids=lambda change: str(change.risk))
def test_a_level_approves_up_to_itself_and_names_what_is_needed(level, change):
    answer = approve_up_to(level)(sample_plan(change), "lock")
    assert (change.risk <= level) == answer.granted
    assert answer.granted or f"--approve {change.risk}" in answer.how


def test_the_highest_risk_decides():
    assert not approve_up_to(Risk.DISRUPTIVE)(sample_plan(defrag("m1"), COMPACT, SNAPSHOT), "lock").granted


def test_without_a_terminal_nobody_answers():
    assert choose_approver(level=None, accepted=(), plan_on_screen=True) is None


@pytest.mark.parametrize("level", [None, "irreversible"])
def test_a_guard_is_overridden_only_by_a_person(level):
    with pytest.raises(UsageError, match="only a person at a terminal"):
        choose_approver(level=level, accepted=("margin",), plan_on_screen=True)


# A question without an engine: prints what the engine would be told.
ASK = """
import sys
from sretool.cli.approval import choose_approver
from tests.support.sample_run import QUESTIONS
ask = choose_approver(level=None, accepted=sys.argv[2:], plan_on_screen=sys.stdout.isatty())
answer = ask(QUESTIONS[sys.argv[1]], "this machine (flock)")
print("ANSWER", answer.granted, answer.how)
"""


def person(*arguments, **kwargs):
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return Person([sys.executable, "-c", ASK, *arguments], env=env, cwd=ROOT, **kwargs)


@pytest.mark.parametrize(
    ("plan", "typed", "granted", "how"),
    [
        ("reversible", "y\r", True, "answered y"),
        ("reversible", "YES\r", True, "answered YES"),
        ("reversible", "\r", False, "declined"),
        ("reversible", "n\r", False, "declined"),
        ("reversible", "yep\r", False, "declined"),
        ("reversible", "\x04", False, "declined"),
        ("disruptive", "prod\r", True, "typed the cluster's name"),
        ("disruptive", " prod \r", True, "typed the cluster's name"),
        ("disruptive", "y\r", False, "declined: 'y' is not the cluster's name"),
        ("disruptive", "Prod\r", False, "declined: 'Prod' is not"),
        ("disruptive", "\r", False, "declined"),
        ("disruptive", "\x04", False, "declined"),
        ("irreversible", "prod\r", True, "typed the cluster's name"),
        ("irreversible", "staging\r", False, "declined: 'staging' is not"),
    ],
)
def test_what_counts_as_a_yes(plan, typed, granted, how):
    with person(plan) as asked:
        asked.wait_for("[y/N] " if plan == "reversible" else "anything else is No: ")
        asked.type(typed)
        assert asked.end() == 0, asked.seen
        assert f"ANSWER {granted} {how}" in asked.seen


def test_no_way_back_stalls_and_lock_stand_above_the_question():
    with person("irreversible") as asked:
        asked.wait_for("anything else is No: ")
        asked.type("\r")
        asked.end()
    for words in (
        "There is no way back from: compact",
        "Predicted stall: m1 650 ms",
        "Lock: this machine (flock)",
    ):
        assert words in asked.seen


def test_what_was_typed_before_the_question_is_no_answer():
    script = f"import time; input(); time.sleep(0.3)\n{ASK}"
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with Person([sys.executable, "-c", script, "disruptive"], env=env, cwd=ROOT) as asked:
        asked.type("\rprod\r")
        asked.wait_for("anything else is No: ")
        asked.type("\r")
        asked.end()
    assert "ANSWER False declined" in asked.seen


def test_a_guard_to_be_overridden_is_typed_first():
    with person("disruptive", "margin") as asked:
        asked.wait_for("Type margin to accept that: ")
        asked.type("margin\r")
        asked.wait_for("anything else is No: ")
        asked.type("prod\r")
        asked.end()
    assert "ANSWER True typed the cluster's name, accepted margin" in asked.seen


def test_a_guard_that_is_not_accepted_ends_it():
    with person("disruptive", "margin") as asked:
        asked.wait_for("Type margin to accept that: ")
        asked.type("y\r")
        asked.end()
    assert "ANSWER False declined: margin was not accepted" in asked.seen


def test_nobody_is_asked_about_a_local_file():
    with person("read") as asked:
        asked.end()
    assert "ANSWER True" in asked.seen


def test_whoever_redirects_the_output_still_sees_the_plan(tmp_path):
    with (tmp_path / "out").open("w") as out, person("disruptive", stdout=out) as asked:
        asked.wait_for("anything else is No: ")
        asked.type("prod\r")
        asked.end()
    assert "defragment m1" in asked.seen
    assert "ANSWER True" in (tmp_path / "out").read_text()
