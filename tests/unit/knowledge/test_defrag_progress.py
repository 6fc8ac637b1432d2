"""What the metrics say of a defragmentation that was begun: done, going, not done, or unknown."""

import pytest

from sretool.knowledge.defrag_progress import judge_progress
from sretool.knowledge.metric_names import DB_SIZE, DEFRAG_COUNT, DEFRAG_INFLIGHT, DEFRAG_SECONDS
from sretool.model import PROCESS_START, MetricsPage, Result, Sample, Unknown
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
    values = {
        DEFRAG_INFLIGHT: 0,
        DEFRAG_COUNT: 5,
        DEFRAG_SECONDS: 3.5,
        PROCESS_START: 100.0,
        DB_SIZE: 100 * MIB,
    } | changed
    return MetricsPage({name: (Sample({}, value),) for name, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        (page(), Result.DONE, "600.0 MiB to 100.0 MiB"),
        (page(**{DEFRAG_COUNT: 4}), Result.NOT_DONE, "no defragmentation since"),
        (page(**{DEFRAG_COUNT: 4, DEFRAG_INFLIGHT: 1}), Result.STILL_GOING, "being defragmented"),
        (page(**{DEFRAG_INFLIGHT: 1}), Result.STILL_GOING, "being defragmented"),
        (page(**{DEFRAG_COUNT: 6}), Result.DONE, "somebody else"),
        (page(**{DB_SIZE: 600 * MIB}), Result.DONE, "nothing back"),
        (page(**{PROCESS_START: 200.0, DEFRAG_COUNT: 0}), Result.DONE, "restarted"),
        (
            page(**{PROCESS_START: 200.0, DEFRAG_COUNT: 0, DB_SIZE: 600 * MIB}),
            Result.NOT_DONE,
            "as large as before",
        ),
        (page(**{DEFRAG_COUNT: None}), Result.CANNOT_TELL, DEFRAG_COUNT),
        (page(**{DEFRAG_INFLIGHT: None}), Result.CANNOT_TELL, DEFRAG_INFLIGHT),
        (page(**{PROCESS_START: None}), Result.CANNOT_TELL, PROCESS_START),
        (page(**{DB_SIZE: None}), Result.CANNOT_TELL, DB_SIZE),
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
