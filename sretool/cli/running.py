"""What `runbook`, `apply`, `resume` and `undo` share: who is asked, who watches, where the record is."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path

from sretool.cli import approval, streams, tty
from sretool.cli.conduct import RunView
from sretool.clock import SystemClock
from sretool.cluster import require_cluster
from sretool.engine.opening import Terms, opened_run, reopened_run
from sretool.engine.operate import Approver
from sretool.engine.plan import Plan, load_plan, require_savable, save_plan
from sretool.engine.runs import is_playbook, require_run, require_unfinished_run, runs_folder
from sretool.errors import RefusedError, UsageError
from sretool.knowledge.window import Window
from sretool.runbook.loader import load_runbook
from sretool.runbook.named import read_runbook
from sretool.steps.catalogue import load_catalogue


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the person asked for on the command line, beside what to run."""

    output: str
    verbose: bool
    approve: str | None = None
    accepted: tuple[str, ...] = ()
    plan_only: bool = False
    save: Path | None = None
    window: Window | None = None

    def require_window(self, clock: SystemClock) -> None:
        """Raise RefusedError outside of the maintenance window."""
        now = clock.now()
        if self.window is not None and not self.window.is_open(now):
            raise RefusedError(
                f"it is {now:%a %H:%M} UTC, outside of the maintenance window {self.window}",
                then="leave --window out to run it now",
            )

    def approver(self) -> Approver | None:
        """Return who answers the question, None when nothing is to be asked.

        UsageError for options that contradict each other.
        """
        if self.plan_only and self.approve is not None:
            raise UsageError(
                "--plan and --save stop after the plan: there is nothing for --approve to approve",
                then="leave one of them out; `sretool apply FILE --approve LEVEL` carries out a saved plan",
            )
        on_screen = self.output == "text" and streams.shows_results()
        approver = approval.choose_approver(
            level=self.approve, accepted=self.accepted, plan_on_screen=on_screen
        )
        return None if self.plan_only else approver

    def terms(self, view: RunView, clock: SystemClock, *, unattended: bool) -> Terms:
        """Return the terms under which the engine runs."""
        return Terms(
            catalogue=load_catalogue(),
            clock=clock,
            emit=view.emit,
            unattended=unattended,
            accepted=self.accepted,
            window=self.window,
        )

    def is_unattended(self) -> bool:
        return self.approve is not None or not tty.is_interactive()


class Saving:
    """Keeps the plan of a look in `path`; UsageError from the start where that cannot be written."""

    def __init__(self, path: Path) -> None:
        require_savable(path)
        self.path = path
        self.is_worth_applying = False

    def __call__(self, plan: Plan) -> None:
        save_plan(plan, self.path)
        self.is_worth_applying = bool(plan.changes)


def run_runbook(name: str, *, cluster: str, given: Mapping[str, str], asked: Asked) -> int:
    """Run one runbook and return the exit code."""
    saving = Saving(asked.save) if asked.save is not None else None
    clock = SystemClock()
    asked.require_window(clock)
    approver = asked.approver()
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        book = read_runbook(name, terms.catalogue)
        entry = require_cluster(cluster)
        with opened_run(book, given, entry, terms, may_write=approver is not None) as operation:
            what = f"run {operation.run_id}: {book.name} on {entry.cluster}, for: {book.summary}"
            view.begin(what, run_id=operation.run_id)
            ending = operation.run(approver, keep=saving)
            code = view.end(ending, lambda: operation.records)
        if saving is not None and saving.is_worth_applying:
            streams.tell([f"next:  sretool apply {shlex.quote(str(saving.path))}"])
    return code


def apply_plan(path: Path, *, asked: Asked) -> int:
    """Carry out the plan saved in `path`. At a terminal it asks; elsewhere the file is the approval."""
    clock = SystemClock()
    plan = load_plan(path, now=clock.now())
    approver = asked.approver() or approval.approve_saved(str(path))
    entry = require_cluster(plan.cluster)
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        book = load_runbook(plan.text, origin=plan.origin, catalogue=terms.catalogue)
        with opened_run(book, plan.params, entry, terms, may_write=True) as operation:
            what = f"run {operation.run_id}: the saved plan {path} for {entry.cluster}"
            view.begin(what, run_id=operation.run_id)
            return view.end(operation.run(approver, approved=plan), lambda: operation.records)


def resume_run(run_id: str | None, *, asked: Asked) -> int:
    """Take up an earlier run, the newest unfinished one without an id: look what became of its last change, then
    go on."""
    found = require_unfinished_run(runs_folder()) if run_id is None else require_run(runs_folder(), run_id)
    if is_playbook(found):
        from sretool.cli.playing import resume_playbook

        return resume_playbook(found, asked=asked)
    clock = SystemClock()
    approver = asked.approver()
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        with reopened_run(found, require_cluster, terms) as resumption:
            view.begin(f"run {found} is taken up again", run_id=found)
            return view.end(resumption.resume(approver), lambda: resumption.records)


def undo_run(run_id: str, *, asked: Asked) -> int:
    """Take back what an earlier run changed, where there is a way back."""
    found = require_run(runs_folder(), run_id)
    if is_playbook(found):
        from sretool.cli.playing import undo_playbook

        return undo_playbook(found, asked=asked)
    clock = SystemClock()
    approver = asked.approver()
    with RunView(output=asked.output, verbose=asked.verbose, clock=clock) as view:
        terms = asked.terms(view, clock, unattended=asked.is_unattended())
        with reopened_run(found, require_cluster, terms) as resumption:
            view.begin(f"undoing run {found}", run_id=found)
            return view.end(resumption.undo(approver), lambda: resumption.records)
