"""What the metrics say of a defragmentation that was begun: done, going, not done, or unknown."""

import pytest

from sretool.knowledge.defrag_progress import COUNT, INFLIGHT, SECONDS, SIZE, STARTED, judge_progress
from sretool.model import MetricsPage, Result, Sample, Unknown
from tests.support.etcd_states import MIB, change

CHANGE = change(
    before={
        "defrag_count": 4,
        "defrag_seconds": 2.0,
        "process_start_seconds": 100.0,
        "db_size_bytes": 600 * MIB,
    }
)


def page(**changed):
    values = {INFLIGHT: 0, COUNT: 5, SECONDS: 3.5, STARTED: 100.0, SIZE: 100 * MIB} | changed
    return MetricsPage({name: (Sample({}, value),) for name, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        (page(), Result.DONE, "600.0 MiB to 100.0 MiB"),
        (page(**{COUNT: 4}), Result.NOT_DONE, "no defragmentation since"),
        (page(**{COUNT: 4, INFLIGHT: 1}), Result.STILL_GOING, "being defragmented"),
        (page(**{INFLIGHT: 1}), Result.STILL_GOING, "being defragmented"),
        (page(**{COUNT: 6}), Result.DONE, "somebody else"),
        (page(**{SIZE: 600 * MIB}), Result.DONE, "nothing back"),
        (page(**{STARTED: 200.0, COUNT: 0}), Result.DONE, "restarted"),
        (page(**{STARTED: 200.0, COUNT: 0, SIZE: 600 * MIB}), Result.NOT_DONE, "as large as before"),
        (page(**{COUNT: None}), Result.CANNOT_TELL, COUNT),
        (page(**{INFLIGHT: None}), Result.CANNOT_TELL, INFLIGHT),
        (page(**{STARTED: None}), Result.CANNOT_TELL, STARTED),
        (page(**{SIZE: None}), Result.CANNOT_TELL, SIZE),
        (Unknown("connection refused"), Result.CANNOT_TELL, "connection refused"),
    ],
)
def test_done_is_counted_once_more_by_the_same_process(given, expected, words):
    outcome = judge_progress(CHANGE, given)
    assert outcome.result is expected
    assert words in outcome.evidence


def test_what_was_given_back_and_the_stall_are_measured():
    assert judge_progress(CHANGE, page()).measured == {
        "db_size_bytes": 100 * MIB,
        "reclaimed_bytes": 500 * MIB,
        "stall_seconds": 1.5,
    }
