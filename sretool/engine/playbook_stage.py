"""What a stage of a playbook is made of: a look with its runbooks, and a wait for what they lead to."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.engine import events
from sretool.engine.ending import Ending
from sretool.engine.operate import Operation
from sretool.engine.plan import Plan
from sretool.engine.planner import merge_findings
from sretool.engine.playbook_looks import look_at_once
from sretool.engine.playbook_run import PlaybookRun
from sretool.errors import RemoteError, Touched
from sretool.model import Change, Finding, Unknown
from sretool.runbook.playbook import Part, Stage

UNTIL_EVERY_SECONDS = 2.0
NONE_NEEDED = "none of its runbooks is needed"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One runbook of a stage, looked at: what it would do, and what of this run it has done already."""

    part: Part
    operation: Operation
    plan: Plan
    made: tuple[Change, ...]


def look_with(
    run: PlaybookRun, stage: Stage, parts: Sequence[tuple[Part, dict[str, str]]], *, phase: str
) -> Ending:
    """Look with every runbook of the stage at once: one that cannot look does not keep the others from it."""
    failed: list[RemoteError] = []
    seen: list[Finding] = []
    for (part, _), looked in zip(parts, look_at_once(run, stage, parts, phase=phase), strict=True):
        if isinstance(looked.failure, RemoteError):
            failed.append(looked.failure)
            seen += looked.seen
            why = looked.failure.message
            run.emit(events.Noted(text=f"{part.id} could not look: {why}"))
            note(run, stage, "blind", {"part": part.id, "why": why})
        elif looked.failure is not None:
            raise looked.failure
        run.keep_facts(stage, part, looked.facts)
    if failed:
        return Ending(
            exit_code=8,
            sentence=f"cannot tell: {failed[0].message}",
            then=failed[0].then,
            findings=merge_findings(seen),
        )
    if not parts:
        return Ending(exit_code=0, sentence=NONE_NEEDED)
    return Ending(exit_code=0, sentence=f"looked with {', '.join(part.id for part, _ in parts)}")


def wait_for(run: PlaybookRun, stage: Stage, planned: Sequence[Planned]) -> Ending:
    """Look, with the runbooks that it asks about, until the stage's `until` holds."""
    until = stage.until
    mentioned = {mention.words[:2] for mention in until.mentions} if until else set()
    asked = [one for one in planned if (stage.id, one.part.id) in mentioned]
    if until is None or not asked:
        return Ending(exit_code=0, sentence="there is nothing to wait for")
    limit = run.deadline.within(stage.timeout_seconds)
    blind = ""
    while (answer := until.answer(run.value)) is not True:
        if not limit.left():
            unknown = answer.reason if isinstance(answer, Unknown) else ""
            why = "".join(f": {one}" for one in (unknown, blind) if one)
            waited = f"all was done, and after {stage.timeout_seconds:g} s it is not so"
            return Ending(
                exit_code=6,
                sentence=f"{waited} that {until.text}{why}",
                touched=Touched.CHANGED,
            )
        reason = f"{until.text} ({blind})" if blind else until.text
        run.emit(events.Waiting(change=stage.id, rule="until", reason=reason, seconds=0.0))
        run.clock.sleep(UNTIL_EVERY_SECONDS)
        run.interrupts.check("while waiting for what a stage leads to")
        blind = "; ".join(why for one in asked if (why := _look_once_more(run, stage, one)))
    return Ending(exit_code=0, sentence=f"it is so that {until.text}", touched=Touched.CHANGED)


def _look_once_more(run: PlaybookRun, stage: Stage, one: Planned) -> str:
    """Look again with a runbook; return why it could not look: what has just been mended may be away once more."""
    try:
        one.operation.look(phase="verify", made=())
    except RemoteError as error:
        return f"{one.part.id} could not look: {error.message}"
    run.keep_facts(stage, one.part, one.operation.facts)
    return ""


def note(run: PlaybookRun, stage: Stage, state: str, body: Mapping[str, object]) -> None:
    """Journal what became of a stage: begun, ended, left out, its gate, or what was blind in it."""
    kind = "stage" if state not in ("gate", "blind") else state
    run.journal.write(kind, {"stage": stage.id, "state": state, **body})
