"""Times that sretool tells of itself: in the events of a run, and in its journal."""

import datetime
import json
from collections.abc import Sequence
from typing import Any

from bench.model import WrongAnswerError
from bench.stage import Finished, Stage

Record = dict[str, Any]


def waited_seconds(finished: Finished) -> float:
    """Return how long a run waited for guards between its changes (`--output jsonl`): it let members settle.

    An event «waiting» tells the seconds since its wait began; the last one before a change counts.
    """
    total = waited = 0.0
    for line in finished.stdout.splitlines():
        event = json.loads(line)
        if event["event"] == "waiting":
            waited = event["seconds"]
        elif event["event"] == "changestarted":
            total += waited
            waited = 0.0
    return total


def journal_of_newest_run(stage: Stage) -> list[Record]:
    """Return the records of the newest run of sretool on this stage."""
    journals = sorted((stage.home / "state" / "sretool" / "runs").glob("*/journal.jsonl"))
    if not journals:
        raise WrongAnswerError("sretool kept no journal")
    return [json.loads(line) for line in journals[-1].read_text().splitlines()]


def approved_at(records: Sequence[Record]) -> float:
    """Return when the plan was approved, in Unix seconds."""
    return _at(next(record for record in records if record["kind"] == "approval"))


def change_seconds(records: Sequence[Record], *, uses: str) -> float:
    """Return how long the changes of one kind took, from intent to outcome."""
    began: dict[str, float] = {}
    total = 0.0
    for record in records:
        if record["kind"] == "intent" and record["body"]["change"]["uses"] == uses:
            began[_key(record["body"]["change"])] = _at(record)
        elif record["kind"] == "outcome" and record["body"]["key"] in began:
            total += _at(record) - began.pop(record["body"]["key"])
    return total


def _key(change: Record) -> str:
    return f"{change['step']}/{change['verb']}/{change['object']}"


def _at(record: Record) -> float:
    return datetime.datetime.fromisoformat(record["at"]).timestamp()
