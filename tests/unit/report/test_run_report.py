"""A journal folded into a report: one source for text, JSON and the hand-over."""

import json

import msgspec
import pytest

from sretool.engine.ending import Ending
from sretool.engine.journal import Journal, Record
from sretool.errors import StateError
from sretool.model import Change, Effect, Outcome, Result, Risk
from sretool.report.documents import render_json
from sretool.report.fold import RunReport, fold_run
from sretool.report.run_text import render_handover, render_report
from tests.support.golden import assert_golden
from tests.support.moving_clock import MovingClock
from tests.support.sample_run import RUN_ID, recovery_journal

JOURNAL = f"/state/runs/{RUN_ID}/journal.jsonl"


def test_a_report_reads_as_it_always_has():
    lines = render_report(fold_run(recovery_journal()), journal=JOURNAL)
    assert_golden("report.txt", "\n".join(lines) + "\n")


def test_a_report_as_json_keeps_its_form():
    assert_golden("report.json", render_json(fold_run(recovery_journal())) + "\n")


def test_severities_and_risks_are_words_in_json():
    document = json.loads(render_json(fold_run(recovery_journal())))
    assert document["found"][0]["severity"] == "critical"
    assert {"read", "disruptive", "irreversible"} == {change["risk"] for change in document["changes"]}
    assert set(RunReport.__struct_fields__) == set(document)


def test_the_handover_has_ten_lines_on_a_wide_page():
    report = msgspec.structs.replace(fold_run(recovery_journal()), accepted=())
    facts = [
        line for line in render_handover(report, journal=JOURNAL, columns=400) if not line.startswith("next:")
    ]
    assert len(facts) == 10


@pytest.mark.parametrize("records", range(1, len(recovery_journal()) + 1))
def test_a_run_that_was_killed_anywhere_has_a_report(records):
    report = fold_run(recovery_journal(until=records))
    lines = "\n".join(render_report(report, journal=JOURNAL))
    assert ("it did not end" in lines) == (report.ending is None)
    assert all(change.result != "open" for change in report.changes[:-1])


@pytest.mark.parametrize(
    ("is_gone", "words"), [(True, "is gone; sretool resume"), (False, "it is at work (pid ")]
)
def test_a_run_that_did_not_end_is_at_work_unless_its_process_is_gone(is_gone, words):
    report = fold_run(recovery_journal(until=3))
    assert words in "\n".join(render_handover(report, journal=JOURNAL, columns=400, is_gone=is_gone))


def interrupted_journal(*, how):
    """Return the records of a run that ended during its first look: killed, or by Ctrl-C."""
    records = recovery_journal(until=2)
    if how == "killed":
        return records
    ending = Ending(exit_code=130, sentence="asked to stop (SIGINT)")
    body = msgspec.to_builtins(ending)
    return [*records, Record(number=2, at=records[-1].at, kind="end", body=body, seal="")]


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_of_a_look_that_did_not_end_nobody_knows_what_was_found_or_due(how):
    report = fold_run(interrupted_journal(how=how))
    lines = render_report(report, journal=JOURNAL)
    assert "found     nobody knows: the look did not end" in lines
    assert "FOUND  nobody knows: the look did not end" in lines
    assert "CHANGES  none was made; what was due, nobody knows: the look did not end" in lines
    document = json.loads(render_json(report))
    assert (document["found"], document["planned"]) == (None, None)


def test_a_look_that_ended_and_found_nothing_says_so():
    begin, plan = (recovery_journal(until=3)[at] for at in (0, 2))
    whole = msgspec.structs.replace(plan, body={"plan": {**plan.body["plan"], "findings": [], "changes": []}})
    lines = render_report(fold_run([begin, whole]), journal=JOURNAL)
    assert "found     nothing wrong" in lines
    assert "FOUND  nothing to report" in lines
    assert "CHANGES  none was due" in lines


def test_an_intent_without_an_outcome_is_open():
    report = fold_run(recovery_journal(until=5))
    assert [change.result for change in report.changes] == ["open"]


def test_what_was_taken_up_again_has_not_ended():
    records = recovery_journal()
    again = Record(number=len(records), at=records[-1].at, kind="resume", body={}, seal="")
    assert fold_run([*records, again]).ending is None


def test_a_snapshot_in_the_run_warns_of_its_secrets():
    assert "every Secret in clear" in "\n".join(render_report(fold_run(recovery_journal()), journal=JOURNAL))


@pytest.mark.parametrize("missing", ["user", "cluster", "given"])
def test_a_journal_of_another_version_is_an_error_of_ours(missing):
    first, *rest = recovery_journal()
    body = {key: value for key, value in first.body.items() if key != missing}
    with pytest.raises(StateError, match="by this version"):
        fold_run([msgspec.structs.replace(first, body=body), *rest])


def test_an_empty_journal_is_an_error_of_ours():
    with pytest.raises(StateError, match="before it began"):
        fold_run([])


def flood_journal(*, begun, done):
    """Return the records of a run that was stopped in a wave of `begun` of ten batches, `done` of them made."""
    journal = recovery_journal(until=1)
    again = Journal(None, MovingClock())
    again.write("begin", journal[0].body)
    batches = [
        Change(
            step="cleanup",
            uses="kubernetes.event-cleanup",
            verb="delete-events",
            object=f"events/shop/BackOff/{number}",
            label=f"BackOff in shop, batch {number}",
            reason="450 events",
            risk=Risk.IRREVERSIBLE,
            effects=(Effect.DELETES,),
            commands=("kubectl delete",),
        )
        for number in range(10, 0, -1)
    ]
    again.write("approval", {"how": "yes", "lock": "flock", "changes": batches})
    for change in batches[:begun]:
        again.write("intent", {"change": change})
    for at, change in enumerate(batches[:begun]):
        result = Result.DONE if at < done else Result.NOT_DONE
        outcome = msgspec.to_builtins(Outcome(result=result, evidence=f"{at} looked at"))
        again.write("outcome", {"key": change.key, "verb": change.verb, "outcome": outcome, "seconds": 1.0})
    return again.records


def test_every_approved_batch_is_accounted_for_and_batches_are_told_together():
    report = fold_run(flood_journal(begun=6, done=3))
    text = " ".join(" ".join(render_report(report, journal=JOURNAL)).split())
    assert "did 3 of 10 changes: delete-events BackOff in shop, batch 10 to batch 8 (3 changes)" in text
    assert (
        "batch 7 to batch 5 (3 changes): not-done; delete-events BackOff in shop, batch 4 to batch 1: not begun"
        in text
    )
    assert "1 to 3 delete-events BackOff in shop, batch 10 to batch 8 (3 changes): done, 3.0 s in all" in text
    assert "begins: delete-events BackOff in shop, batch 10; 5 more of these, the last at" in text
    assert len(report.timeline) == 1 + 1 + 6 + 6, "as data each has its own line"


def test_what_was_approved_last_and_is_over_leaves_nothing_to_begin():
    assert fold_run(flood_journal(begun=10, done=10)).not_begun == ()
    assert fold_run(recovery_journal()).not_begun == ()
