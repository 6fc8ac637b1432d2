"""Takes back what a playbook changed, over all its stages, newest first, after one question."""

import msgspec

from sretool.engine import events
from sretool.engine.ending import Ending, declined
from sretool.engine.operate import Approver
from sretool.engine.playbook import PlaybookOperation, last_plan
from sretool.engine.playbook_run import PlaybookRun, state_of
from sretool.engine.resumption import Resumption
from sretool.errors import Touched
from sretool.model import Change


def undo_stages(run: PlaybookRun, operation: PlaybookOperation, approver: Approver | None) -> Ending:
    """Undo what is reversible and still as the stages left it.

    WrongClusterError, LockHeldError and RemoteError leave the journal as it was.
    """
    if run.touched == Touched.NOTHING:
        return Ending(exit_code=0, sentence=f"run {run.id} changed nothing: there is nothing to undo")
    with operation.taken_up("undo"):
        return operation.ended(lambda: _undo(run, approver), again="undo")


def _undo(run: PlaybookRun, approver: Approver | None) -> Ending:
    back: list[tuple[Resumption, list[Change]]] = []
    kept: list[str] = []
    for part in _parts(run):
        part.settle()
        changes, why = part.reversals()
        back += [(part, changes)] if changes else []
        kept += why
    for text in kept:
        run.emit(events.Noted(text=text))
    plan = last_plan(run.journal.records)
    if not back or plan is None:
        why_not = "; ".join(kept) or "no change was completed"
        return Ending(exit_code=4, sentence=f"nothing of run {run.id} can be undone: {why_not}")
    undo = msgspec.structs.replace(
        plan,
        runbook=run.playbook.name,
        changes=tuple(change for _, changes in back for change in changes),
        findings=(),
        held=(),
        skipped=(),
        made_at=run.clock.now(),
    )
    run.emit(events.PlanReady(plan=undo, phase="undo"))
    if approver is None:
        return declined(undo, "looked only")
    with run.interrupts.at_a_question():
        level = back[0][0].lock_level()
        approval = approver(undo, level)
    if not approval.granted:
        return declined(undo, approval.how)
    run.journal.write("approval", {"how": approval.how, "lock": level, "changes": undo.changes})
    for part, changes in back:
        part.take_back(changes)
    return Ending(
        exit_code=0,
        sentence=f"undone and looked at: {len(undo.changes)} changes of run {run.id}",
        touched=Touched.CHANGED,
    )


def _parts(run: PlaybookRun) -> list[Resumption]:
    """Return every runbook that a stage has begun, the one that began last first."""
    found = []
    for stage in run.playbook.stages:
        given = state_of(run.journal.records, stage.id).given or {}
        found += [run.part(stage, part, given[part.id]) for part in stage.parts if part.id in given]
    return found[::-1]
