"""What `playbook`, and `resume` and `undo` of one, share: who is asked, who watches, where the record is."""

from collections.abc import Callable, Mapping

from sretool.cli.conduct import RunView
from sretool.cli.running import Asked
from sretool.clock import SystemClock
from sretool.cluster import require_cluster
from sretool.engine.ending import Ending
from sretool.engine.operate import Approver
from sretool.engine.playbook import PlaybookOperation
from sretool.engine.playbook_opening import opened_playbook, reopened_playbook
from sretool.engine.playbook_run import PlaybookRun
from sretool.engine.playbook_undo import undo_stages
from sretool.report.incident import fold_incident
from sretool.runbook.named import read_playbook


def run_playbook(
    name: str, *, cluster: str, given: Mapping[str, str], stages: tuple[str, ...], asked: Asked
) -> int:
    """Run one playbook and return the exit code."""
    clock = SystemClock()
    approver = asked.approver()
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        book = read_playbook(name, terms.catalogue)
        entry = require_cluster(cluster)
        with opened_playbook(book, given, stages, entry, terms, may_write=approver is not None) as run:
            operation = PlaybookOperation(run)
            what = f"run {run.id}: {book.name} on {entry.cluster}, for: {book.summary}"
            view.begin(what, run_id=run.id)
            return _end(view, operation.run(approver), operation)


def resume_playbook(run_id: str, *, asked: Asked) -> int:
    """Go on with a playbook at the gate, or inside the stage, where its journal ends."""
    return _take_up(
        run_id, "{} is taken up again", lambda _run, operation, approver: operation.resume(approver), asked
    )


def undo_playbook(run_id: str, *, asked: Asked) -> int:
    """Take back what the stages of a playbook changed, newest first, where there is a way back."""
    return _take_up(run_id, "undoing {}", undo_stages, asked)


def _take_up(
    run_id: str,
    what: str,
    act: Callable[[PlaybookRun, PlaybookOperation, Approver | None], Ending],
    asked: Asked,
) -> int:
    clock = SystemClock()
    approver = asked.approver()
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        with reopened_playbook(run_id, require_cluster, terms) as run:
            operation = PlaybookOperation(run)
            view.begin(what.format(f"run {run_id}, the playbook {run.playbook.name}"), run_id=run_id)
            return _end(view, act(run, operation, approver), operation)


def _end(view: RunView, ending: Ending, operation: PlaybookOperation) -> int:
    return view.end(ending, lambda: operation.records, fold_incident)
