"""A journal folded into a report: one source for text, JSON and the hand-over."""

import json

import msgspec
import pytest

from sretool.engine.journal import Record
from sretool.errors import StateError
from sretool.report.documents import render_json
from sretool.report.fold import RunReport, fold_run
from sretool.report.run_text import render_handover, render_report
from tests.support.golden import assert_golden
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
