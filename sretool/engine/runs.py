"""The folders of runs: where they are, how they are named, which one is meant."""

import datetime
import os
import secrets
from pathlib import Path

import msgspec

from sretool.engine.journal import Record, done_outcomes, read_journal
from sretool.errors import StateError, UsageError
from sretool.folders import state_folder

_LISTED = "`sretool report` lists the runs"


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of runs. `exit_code` is None for a run that has not ended (or was killed)."""

    id: str
    runbook: str
    cluster: str
    began: datetime.datetime | None
    exit_code: int | None
    sentence: str
    changes_made: int
    problem: str = ""


def runs_folder() -> Path:
    """Return the folder that holds one folder a run."""
    return state_folder() / "runs"


def locks_folder() -> Path:
    """Return the folder that holds one lock a cluster."""
    return state_folder() / "locks"


def new_run_id(now: datetime.datetime) -> str:
    """Return an id that sorts by time and collides with nobody: `20261121t090500-1234f2`, milliseconds first."""
    return f"{now:%Y%m%dt%H%M%S}-{now.microsecond // 1000:03d}{secrets.token_hex(2)[:3]}"


def list_runs(folder: Path) -> tuple[RunSummary, ...]:
    """Return every run, newest first; a damaged journal is listed with its problem."""
    return tuple(_summary(run_id, folder / run_id) for run_id in _run_ids(folder))


def is_playbook(run_id: str) -> bool:
    """Tell whether this run is one of a playbook; StateError when its journal is damaged."""
    return any("playbook" in record.body for record in read_journal(runs_folder() / run_id)[:1])


def require_run(folder: Path, run_id: str) -> str:
    """Return the id of the run meant, given whole or as its begin; UsageError when that is none, or several."""
    if not run_id:
        raise UsageError("the run is empty: is a variable not set?", then=_LISTED)
    known = [one for one in _run_ids(folder) if one.startswith(run_id)]
    if not known:
        raise UsageError(f"no run {run_id!r} in {folder}", then=_LISTED)
    if len(known) > 1:
        raise UsageError(f"{run_id!r} could be {', '.join(known)}")
    return known[0]


def require_unfinished_run(folder: Path) -> str:
    """Return the id of the newest run that began and did not come to its end; UsageError when there is none."""
    for run in list_runs(folder):
        if run.began is not None and (run.exit_code is None or run.exit_code in (5, 7, 130, 143)):
            return run.id
    raise UsageError(f"no unfinished run in {folder}", then=_LISTED)


def _run_ids(folder: Path) -> list[str]:
    """Return the ids, newest first: also of a run whose journal is there and cannot be read."""
    found = (path.name for path in folder.glob("*/") if os.path.lexists(path / "journal.jsonl"))
    return sorted(found, reverse=True)


def _summary(run_id: str, folder: Path) -> RunSummary:
    try:
        records = read_journal(folder)
    except StateError as error:
        return RunSummary(
            id=run_id,
            runbook="?",
            cluster="?",
            began=None,
            exit_code=None,
            sentence="",
            changes_made=0,
            problem=error.message,
        )
    begin = next((record for record in records if record.kind == "begin"), None)
    end = _last_end(records)
    return RunSummary(
        id=run_id,
        runbook=str(begin.body["runbook"]) if begin else "?",
        cluster=str(begin.body["cluster"]) if begin else "?",
        began=begin.at if begin else None,
        exit_code=end.body["exit_code"] if end else None,
        sentence=str(end.body["sentence"]) if end else "did not end",
        changes_made=len(done_outcomes(records)),
    )


def _last_end(records: list[Record]) -> Record | None:
    """Return the end record, unless the run was taken up again after it."""
    for record in reversed(records):
        if record.scope:
            continue
        if record.kind == "end":
            return record
        if record.kind in ("resume", "undo"):
            return None
    return None
