"""What a stage of a playbook is made of: a look with its runbooks, and a wait for what they lead to."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.engine import events
from sretool.engine.ending import Ending
from sretool.engine.operate import Operation
from sretool.engine.plan import Plan
from sretool.engine.playbook_run import PlaybookRun
from sretool.errors import RemoteError, Touched
from sretool.model import Change, Unknown
from sretool.runbook.playbook import Part, Stage

UNTIL_EVERY_SECONDS = 2.0


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One runbook of a stage, looked at: what it would do, and what of this run it has done already."""

    part: Part
    operation: Operation
    plan: Plan
    made: tuple[Change, ...]


def look_with(
    run: PlaybookRun, stage: Stage, parts: Sequence[tuple[Part, dict[str, str]]], *, phase: str
) -> Ending:
    """Look with every runbook of the stage: one that cannot look does not keep the others from it."""
    failed: list[RemoteError] = []
    for part, given in parts:
        operation = run.part(stage, part, given).operation
        try:
            operation.look(phase=phase)
        except RemoteError as error:
            failed.append(error)
            run.emit(events.Noted(text=f"{part.id} could not look: {error.message}"))
            note(run, stage, "blind", {"part": part.id, "why": error.message})
        run.keep_facts(stage, part, operation.facts)
    if failed:
        return Ending(exit_code=8, sentence=f"cannot tell: {failed[0].message}", then=failed[0].then)
    return Ending(exit_code=0, sentence=f"looked with {', '.join(part.id for part, _ in parts)}")


def wait_for(run: PlaybookRun, stage: Stage, planned: Sequence[Planned]) -> Ending:
    """Look until the stage's `until` holds."""
    until = stage.until
    ran = {(stage.id, one.part.id) for one in planned}
    if until is None or not any(mention.words[:2] in ran for mention in until.mentions):
        return Ending(exit_code=0, sentence="there is nothing to wait for")
    limit = run.deadline.within(stage.timeout_seconds)
    while (answer := until.answer(run.value)) is not True:
        if not limit.left():
            why = f": {answer.reason}" if isinstance(answer, Unknown) else ""
            waited = f"all was done, and after {stage.timeout_seconds:g} s it is not so"
            return Ending(
                exit_code=6,
                sentence=f"{waited} that {until.text}{why}",
                touched=Touched.CHANGED,
            )
        run.emit(events.Waiting(change=stage.id, rule="until", reason=until.text, seconds=0.0))
        run.clock.sleep(UNTIL_EVERY_SECONDS)
        run.interrupts.check("while waiting for what a stage leads to")
        for one in planned:
            one.operation.look(phase="verify", made=())
            run.keep_facts(stage, one.part, one.operation.facts)
    return Ending(exit_code=0, sentence=f"it is so that {until.text}", touched=Touched.CHANGED)


def note(run: PlaybookRun, stage: Stage, state: str, body: Mapping[str, object]) -> None:
    """Journal what became of a stage: begun, ended, left out, its gate, or what was blind in it."""
    kind = "stage" if state not in ("gate", "blind") else state
    run.journal.write(kind, {"stage": stage.id, "state": state, **body})
