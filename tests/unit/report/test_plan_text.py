"""The text that a person decides on."""

import pytest

from sretool.engine.ending import Ending
from sretool.report.plan_text import render_commands, render_ending, render_findings, render_plan
from tests.support.golden import assert_golden
from tests.support.sample_run import NOTE, RECOVERY, defrag, sample_plan


def text(lines):
    return "\n".join(lines) + "\n"


def test_a_plan_reads_as_it_always_has():
    assert_golden("plan.txt", text(render_plan(RECOVERY)))


def test_a_verbose_plan_has_the_commands_and_all_evidence():
    assert_golden("plan-verbose.txt", text(render_plan(RECOVERY, verbose=True)))


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_is_wider_than_the_terminal_but_commands(columns):
    lines = render_plan(RECOVERY, columns=columns)
    assert all(len(line) <= columns for line in lines if not line.lstrip().startswith("$"))


def test_commands_are_never_wrapped():
    command = "etcdctl " + "--endpoints=https://very-long-name:2379 " * 4 + "defrag"
    ending = Ending(exit_code=5, sentence="stopped", commands=(command,))
    assert f"$ {command}" in [line.strip() for line in render_ending(ending, columns=60)]


def test_a_plan_without_changes_says_so():
    assert any("no change is due" in line for line in render_plan(sample_plan()))


def test_stalls_add_up_for_each_member():
    lines = render_plan(sample_plan(defrag("m1"), defrag("m2")))
    assert "predicted stall: m1 650 ms, m2 650 ms" in "\n".join(lines)


def test_a_note_needs_no_evidence_until_it_is_asked_for():
    assert "counted" not in text(render_findings([NOTE], columns=80))
    assert "counted" in text(render_findings([NOTE], columns=80, verbose=True))


def test_each_next_thing_has_its_own_line():
    lines = render_ending(Ending(exit_code=4, sentence="no", then="sretool resume x; look at m2"))
    assert lines[-2:] == ["next:  sretool resume x", "       look at m2"]


def test_a_command_that_follows_itself_is_told_once_with_how_often():
    ending = Ending(exit_code=5, sentence="no", commands=("k a", "k b", "k b", "k b", "k a"))
    told = [line.strip() for line in render_ending(ending) if "$ " in line]
    assert told == ["$ k a", "$ k b  # 3 times", "$ k a"]


def test_what_was_found_before_it_failed_stands_below_the_end():
    told = text(render_ending(Ending(exit_code=8, sentence="Range was refused", findings=(NOTE,))))
    assert told.index("Range was refused") < told.index("found until then:") < told.index(NOTE.sentence)


def test_one_disarming_is_enough_for_the_alarms_of_all_members():
    disarm = "etcdctl alarm disarm  # disarms every alarm: check `alarm list` for CORRUPT"
    assert [f"$ {disarm}"] == render_commands([disarm] * 3, indent="")


def test_what_is_no_command_is_a_comment():
    assert ["# restart each member", "$ k a"] == render_commands(["# restart each member", "k a"], indent="")


def test_of_very_many_commands_an_ending_shows_the_first_and_where_the_others_are():
    ending = Ending(exit_code=5, sentence="no", commands=tuple(f"k {n}" for n in range(25)), then="go on")
    lines = render_ending(ending)
    assert [line.strip() for line in lines if "$ " in line] == [f"$ k {n}" for n in range(20)]
    assert "       … and 5 more: sretool report ID shows them all" in lines
    assert lines[-1] == "next:  go on"
