"""What becomes of a playbook's stages: what is unknown, interrupted, declined, waited for, resumed, taken back."""

import os
import signal

import pytest

from sretool.engine.events import LookStarted, StageEnded
from sretool.engine.playbook_stage import UNTIL_EVERY_SECONDS
from sretool.engine.runs import runs_folder
from sretool.errors import RejectedError, Touched, UnreachableError, UsageError
from sretool.lab import LabSpec
from sretool.model import Unknown
from sretool.report.incident import fold_incident
from sretool.report.playbook_text import render_incident
from tests.support.etcd_cluster import running_lab
from tests.support.playing import Playing, World, no, yes

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("stages")]

LOOK = "playbook: test\nsummary: s\nstages:\n- {id: look, gate: none, runbooks: [{run: look}]}\n"
WRONG = "when: stages.look.look.look.wrong"
MAKE_A = "{run: make, as: a, with: {thing: a}}"
MAKE_B = "{run: make, as: b, with: {thing: b}}"
MAKE_C = "{run: make, as: c, with: {thing: c}}"
MEND = f"{LOOK}- {{id: mend, {WRONG}, runbooks: [{MAKE_A}, {MAKE_B}]}}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("ps"), LabSpec(name="ps", members=1)) as lab:
        yield lab


@pytest.fixture
def world():
    return World()


def silent(_runbook):
    raise UnreachableError("nobody is there", endpoint="m1")


def begun(playing):
    return [
        one.body["stage"] for one in playing.records if one.kind == "stage" and one.body["state"] == "begun"
    ]


def report(playing):
    return fold_incident(playing.records)


def left(playing):
    return [(one.what, one.why) for one in report(playing).not_done]


def text_of(playing):
    return "\n".join(render_incident(report(playing), journal="here"))


# -- what is unknown ---------------------------------------------------------------------------------------------


UNSURE = f"{LOOK}- {{id: mend, runbooks: [{MAKE_A}, {{run: make, as: b, {WRONG}, with: {{thing: b}}}}]}}\n"


def test_a_runbook_that_nobody_can_say_is_needed_is_left_out_and_that_is_no_good_end(lab, world):
    world.wrong = Unknown("m1 is silent")
    playing = Playing(lab, world, UNSURE)
    ending = playing.run(yes)
    assert world.things == {"a"}
    assert ending.exit_code == 8
    assert "stage mend: b was left out: cannot tell whether it is needed" in ending.sentence
    assert [what for what, why in left(playing) if "m1 is silent" in why] == ["b of stage mend"]


def test_a_resume_runs_what_was_left_out_when_the_look_can_tell_by_then(lab, world):
    world.on_look = lambda runbook: silent(runbook) if runbook == "look" else None
    playing = Playing(lab, world, UNSURE)
    assert playing.run(yes).exit_code == 8
    assert world.things == {"a"}
    world.on_look = lambda _runbook: None
    assert playing.resume(yes).exit_code == 0
    assert world.things == {"a", "b"}
    made = [one.body["change"]["object"] for one in playing.records if one.kind == "intent"]
    assert made == ["a", "b"], "what was made is not made again"
    assert playing.undo(yes).exit_code == 0
    assert world.things == set()


def test_without_a_look_nobody_says_that_the_causes_are_gone(lab, world):
    world.causes = ("rust",)
    head = LOOK.partition("- {id: look")[0]
    bare = f"{head}- {{id: mend, runbooks: [{MAKE_A}, {{run: look}}]}}\n"
    ending = Playing(lab, world, bare).run(yes)
    assert (ending.exit_code, world.things) == (9, {"a"})
    assert "rust is wrong" in ending.sentence


# -- what is interrupted -------------------------------------------------------------------------------------------


def test_a_second_ctrl_c_inside_a_change_leaves_it_unknown(lab, world):
    def interrupt(_change):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait((), 0.01)

    world.on_change = interrupt
    playing = Playing(lab, world, MEND)
    ending = playing.run(yes)
    assert ending.exit_code == 7, ending
    assert (ending.touched, ending.then) == (
        Touched.UNKNOWN,
        f"sretool resume {playing.id}; sretool report {playing.id}",
    )
    world.on_change = lambda _change: None
    assert playing.resume(yes).exit_code == 0
    assert world.things == {"a", "b"}


@pytest.mark.parametrize("blind", ["look", "a", ""])
def test_a_write_of_unknown_outcome_stays_unknown_while_a_resume_cannot_look_or_is_told_no(lab, world, blind):
    world.on_observe = silent
    playing = Playing(lab, world, MEND)
    assert playing.run(yes).exit_code == 7
    world.on_look = lambda runbook: silent(runbook) if runbook == blind else None
    ending = playing.resume(no)
    assert (ending.exit_code, ending.touched) == (7, Touched.UNKNOWN), ending
    assert ending.then.startswith(f"sretool resume {playing.id}; ")
    world.on_look = world.on_observe = lambda _one: None
    assert playing.resume(yes).exit_code == 0
    assert world.things == {"a", "b"}


def test_a_ctrl_c_ends_after_the_change_under_way_and_the_resume_makes_the_rest(lab, world):
    world.on_change = lambda _change: os.kill(os.getpid(), signal.SIGINT)
    playing = Playing(lab, world, MEND)
    ending = playing.run(yes)
    assert (ending.exit_code, world.things) == (130, {"a"})
    assert ending.sentence.startswith("stage mend: ")
    world.on_change = lambda _change: None
    assert playing.resume(yes).exit_code == 0
    assert world.things == {"a", "b"}


def test_a_ctrl_c_before_the_last_look_is_no_good_end(lab, world):
    playing = Playing(lab, world, f"{LOOK}- {{id: mend, runbooks: [{MAKE_A}]}}\n")

    def interrupt(event):
        if isinstance(event, StageEnded) and event.stage == "mend":
            os.kill(os.getpid(), signal.SIGINT)

    playing.on_event = interrupt
    ending = playing.run(yes)
    assert (ending.exit_code, world.things) == (130, {"a"})


def test_a_journal_that_ends_anywhere_is_resumed_to_the_same_end(lab, world):
    until = "until: stages.mend.b.make.things > 1, timeout: 5s"
    text = f"{LOOK}- {{id: mend, {WRONG}, {until}, runbooks: [{MAKE_A}, {MAKE_B}]}}\n- {{id: more, runbooks: [{MAKE_C}]}}\n"
    playing = Playing(lab, world, text)
    assert playing.run(yes).exit_code == 0
    (journal,) = runs_folder().glob("*/journal.jsonl")
    whole, lines = playing.records, journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(whole) > 20
    resumed = 0
    for end in range(1, len(lines)):
        intended = [one.body["change"]["object"] for one in whole[:end] if one.kind == "intent"]
        seen = len([one for one in whole[:end] if one.kind == "outcome"])
        for there in {seen, len(intended)}:  # a change that has no outcome yet was made, or was not
            world.things = set(intended[:there])
            world.on_change = lambda change: (
                world.things.isdisjoint({change.object}) or pytest.fail("made twice")
            )
            journal.write_bytes(b"".join(lines[:end]))
            ending = playing.resume(yes)
            assert (ending.exit_code, world.things) == (0, {"a", "b", "c"}), (end, ending)
            resumed += 1
    assert resumed > len(lines), "some ended inside a change"


# -- what is declined, and what changes before it is resumed -----------------------------------------------------------


TWO = (
    f"{LOOK}- {{id: first, runbooks: [{MAKE_A}]}}\n"
    "- {id: second, when: stages.look.look.look.things > 0, runbooks: [{run: make, as: b, with: {thing: b}}]}\n"
)


def test_a_resume_of_what_changed_nothing_decides_anew_what_is_needed(lab, world):
    skipping = f"{LOOK}- {{id: skipped, when: stages.look.look.look.things > 0, runbooks: [{MAKE_B}]}}\n"
    playing = Playing(lab, world, f"{skipping}- {{id: mend, runbooks: [{MAKE_A}]}}\n")
    assert playing.run(no).exit_code == 3
    assert begun(playing) == ["look", "mend"]
    world.things.add("made by somebody else")
    assert playing.resume(yes).exit_code == 0
    assert begun(playing) == ["look", "mend", "look", "skipped", "mend"]
    assert world.things == {"made by somebody else", "a", "b"}


def test_what_a_plan_proposes_next_names_the_stages_that_were_asked_for(lab, world):
    held = f"{LOOK}- {{id: mend, gate: held, runbooks: [{MAKE_A}]}}\n- {{id: other, runbooks: [{MAKE_B}]}}\n"
    playing = Playing(lab, world, held)
    ending = playing.run(None, stages=("mend", "mend"))
    assert ending.exit_code == 3
    assert ending.then.startswith("sretool playbook test.yaml --stage mend --cluster ps ")
    assert playing.run(yes, stages=("mend",)).exit_code == 0
    assert world.things == {"a"}
    told = {one.id: one.sentence for one in report(playing).stages}
    assert told["other"] == "only other stages were asked for"


@pytest.mark.parametrize(
    ("stage", "words"),
    [("look", "the stage look of test only looks"), ("mnd", "test has no stage 'mnd' (did you mean mend?)")],
)
def test_a_stage_that_cannot_be_asked_for_is_refused_before_anything_is_read(lab, world, stage, words):
    playing = Playing(lab, world, MEND)
    with pytest.raises(UsageError) as caught:
        playing.run(yes, stages=(stage,))
    assert words in caught.value.message
    assert playing.id == ""


def test_a_parameter_that_a_runbook_does_not_take_is_told_by_the_playbooks_own_names(lab, world):
    params = "params:\n  what: {type: string, default: a, about: what is made}\n"
    head, _, stages = LOOK.partition("stages:\n")
    made = '{run: make, with: {thing: "{{ params.what }}"}}'
    text = f"{head}{params}stages:\n{stages}- {{id: one, runbooks: [{made}]}}\n- {{id: two, runbooks: [{made}]}}\n"
    playing = Playing(lab, world, text)
    with pytest.raises(UsageError) as caught:
        playing.run(yes, given={"what": "Z"})
    assert [line.partition(": step make: ")[0] for line in caught.value.message.splitlines()] == [
        "stage one, make",
        "stage two, make",
    ]
    assert caught.value.then == "-p what: what is made (string)"
    assert playing.id == ""


# -- what is waited for ------------------------------------------------------------------------------------------------


def test_a_look_that_fails_while_a_stage_waits_is_made_again(lab, world):
    looks = []

    def flaky(runbook):
        if world.things and runbook == "a":
            looks.append(runbook)
            if len(looks) == 2:  # the look that verifies came before
                silent(runbook)
            world.things |= {"one"} if len(looks) > 2 else set()

    world.on_look = flaky
    until = "until: stages.mend.a.make.things > 1, timeout: 60s"
    playing = Playing(lab, world, f"{LOOK}- {{id: mend, {until}, runbooks: [{MAKE_A}]}}\n")
    ending = playing.run(yes)
    assert ending.exit_code == 0, ending
    assert len(looks) == 3


def test_what_never_comes_is_told_with_what_could_not_be_looked_at(lab, world):
    def flaky(runbook):
        if "a" in world.things and runbook == "a" and world.wrong is False:
            silent(runbook)
        world.wrong = not world.things or runbook != "a"

    world.on_look = flaky
    until = f"until: stages.mend.a.make.things > 1, timeout: {UNTIL_EVERY_SECONDS / 2:.0f}s"
    playing = Playing(lab, world, f"{LOOK}- {{id: mend, {until}, runbooks: [{MAKE_A}]}}\n")
    ending = playing.run(yes)
    assert ending.exit_code == 6, ending
    assert "it is not so that stages.mend.a.make.things > 1" in ending.sentence
    assert "nobody is there" in ending.sentence


# -- parameters that were read, and cannot be used --------------------------------------------------------------------


FOUND = "{run: make, as: found, with: {thing: '{{ stages.look.look.look.name }}'}}"


@pytest.mark.parametrize(("on_failure", "things"), [("continue", {"a", "b"}), ("stop", {"a"})])
def test_a_stage_whose_parameters_as_read_cannot_be_used_is_refused_and_no_end_of_all(
    lab, world, on_failure, things
):
    world.name = "(none)"
    stages = f"{LOOK}- {{id: mend, runbooks: [{MAKE_A}]}}\n"
    stages += f"- {{id: drain, runbooks: [{FOUND}], on_failure: {on_failure}}}\n"
    stages += f"- {{id: last, runbooks: [{MAKE_B}]}}\n"
    ending = Playing(lab, world, stages).run(yes)
    assert (ending.exit_code, world.things) == (5, things)
    assert "stage drain: its parameters cannot be used" in ending.sentence


def test_where_nothing_was_changed_such_a_stage_is_a_refusal(lab, world):
    world.name = "(none)"
    ending = Playing(lab, world, f"{LOOK}- {{id: drain, runbooks: [{FOUND}]}}\n").run(yes)
    assert ending.exit_code == 4
    assert ending.touched == Touched.NOTHING


# -- what is taken back ------------------------------------------------------------------------------------------------


def test_an_undo_that_was_refused_half_way_is_taken_up_by_the_next_undo(lab, world):
    playing = Playing(lab, world, MEND)
    assert playing.run(yes).exit_code == 0

    def refuse_a(change):
        if change.reverses and change.object == "a":
            raise RejectedError("refused by the webhook «gate»", endpoint="api")

    world.on_change = refuse_a
    ending = playing.undo(yes)
    assert (ending.exit_code, world.things) == (5, {"a"})
    assert ending.then == f"sretool undo {playing.id}"
    world.on_change = lambda _change: None
    assert playing.undo(yes).exit_code == 0
    assert world.things == set()
    done = [line for line in text_of(playing).splitlines() if "**done**" in line]
    assert [line.partition(": ")[2].partition(":")[0] for line in done] == [
        "make a",
        "taken back",
        "make b",
        "taken back",
    ]


def test_what_was_ended_inside_a_change_is_looked_at_and_taken_back(lab, world):
    def end_inside_b(change):
        if change.object == "b":
            world.things.add("b")
            raise KeyError("ended here")

    world.on_change = end_inside_b
    playing = Playing(lab, world, MEND)
    with pytest.raises(KeyError):
        playing.run(yes)
    assert world.things == {"a", "b"}
    world.on_change = lambda _change: None
    assert playing.undo(yes).exit_code == 0
    assert world.things == set()


def test_a_playbook_that_was_declined_has_nothing_to_undo(lab, world):
    playing = Playing(lab, world, MEND)
    assert playing.run(no).exit_code == 3
    ending = playing.undo(yes)
    assert ending.exit_code == 0
    assert "changed nothing" in ending.sentence


def test_a_no_to_the_undo_takes_nothing_back(lab, world):
    playing = Playing(lab, world, MEND)
    playing.run(yes)
    assert playing.undo(no).exit_code == 3
    assert world.things == {"a", "b"}


# -- what the report says ------------------------------------------------------------------------------------------------


def test_a_cause_is_left_when_nothing_was_changed(lab, world):
    world.causes = ("rust",)
    playing = Playing(lab, world, MEND)
    assert playing.run(None).exit_code == 3
    assert ("rust is wrong", "nothing was changed") in left(playing)
    assert "- **now**: not looked at again" in text_of(playing)


def test_what_no_runbook_mends_is_left_to_a_person_and_is_no_command(lab, world):
    world.causes = ("slow",)
    playing = Playing(lab, world, LOOK)
    ending = playing.run(yes)
    by_hand = "buy-a-disk (it is old), by hand: there is no runbook for it"
    assert (ending.exit_code, ending.then) == (9, f"slow: {by_hand}")
    assert left(playing) == [("slow is wrong", f"this playbook has no remedy for it: {by_hand}")]
    assert "buy-a-disk" not in text_of(playing).partition("## To go on by hand")[2]


def test_a_cause_that_is_gone_is_not_left_until_it_is_taken_back(lab, world):
    world.causes = ("rust",)
    world.on_change = lambda _change: setattr(world, "causes", ())
    playing = Playing(lab, world, MEND)
    assert playing.run(yes).exit_code == 0
    assert left(playing) == []
    assert "- **approved**: yes, for the stage mend\n" in text_of(playing), "said once, whatever it was for"
    assert "- **now**: none found" in text_of(playing)
    assert playing.undo(yes).exit_code == 0
    assert ("rust is wrong", "nobody has looked since whether it is gone") in left(playing)
    assert "- **now**: not looked at again" in text_of(playing)


def test_no_cause_is_not_the_same_as_a_look_that_could_not_tell(lab, world):
    world.on_look = silent
    playing = Playing(lab, world, LOOK)
    assert playing.run(None).exit_code == 8
    text = text_of(playing)
    assert "- **causes**: could not tell: look/look could not look: nobody is there" in text
    assert "Nobody knows: no look for causes came to its end." in text
    assert report(playing).causes is None
    assert report(playing).unclear == ("look/look could not look: nobody is there",)


@pytest.mark.parametrize("at", [1, 2])
def test_of_looks_that_did_not_end_nobody_knows_what_they_would_have_found(lab, world, at):
    looks = "- {id: look, gate: none, runbooks: [{run: make, as: first}, {run: make, as: second}]}\n"
    playing = Playing(lab, world, LOOK.partition("- {id: look")[0] + looks)
    seen = []

    def kill(event):
        if isinstance(event, LookStarted):
            seen.append(event)
            if len(seen) == at:
                raise KeyError("killed here")

    playing.on_event = kill
    with pytest.raises(KeyError):
        playing.run(None)
    unclear = ("look/first did not look to the end", "look/second did not look to the end")[at - 1 :]
    assert report(playing).unclear == unclear
    assert report(playing).causes == (None if at == 1 else ())
    text = text_of(playing)
    assert f"- **causes**: {'; '.join(f'could not tell: {one}' for one in unclear)}\n" in text
    assert ("Nobody knows: no look for causes came to its end." in text) == (at == 1)
    assert ("None was found, but not all could be told." in text) == (at == 2)


def test_a_playbook_that_ended_before_its_first_look_knows_of_no_cause_and_of_no_lack_of_one(lab, world):
    playing = Playing(lab, world, MEND)
    playing.run(None)
    playing.records = playing.records[:1]
    assert "- **causes**: nobody knows: no look for causes came to its end\n" in text_of(playing)
