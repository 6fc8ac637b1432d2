"""How a playbook ended: one exit code over all its stages, and what remains to be done."""

from collections.abc import Iterator, Sequence

import msgspec

from sretool.engine.ending import PRECEDENCE, UNKNOWN_WRITE, Ending, next_steps
from sretool.engine.journal import done_outcomes
from sretool.engine.plan import Plan
from sretool.engine.planner import merge_findings
from sretool.engine.playbook_run import PlaybookRun, StageState, plans_of, state_of
from sretool.errors import Touched
from sretool.model import Finding
from sretool.runbook.playbook import Stage


class LookAgain(msgspec.Struct, frozen=True, kw_only=True):
    """The look after the last stage; `blind` says what could not be read."""

    blind: str = ""


def conclude(run: PlaybookRun, again: LookAgain | None, *, may_ask: bool) -> Ending:
    """Return the ending of an execution. `again` is None when nothing was changed, or it was interrupted."""
    touched = run.touched
    plans = list(_looks(run, "verify" if again else "plan"))
    endings = list(_stages(run, touched=touched, may_ask=may_ask, has_looked=bool(plans)))
    findings = merge_findings([finding for plan in plans for finding in plan.findings])
    if again and again.blind:
        endings.append(Ending(exit_code=8, sentence=f"the look afterwards: {again.blind}"))
    endings += _of_findings(run, findings, touched=touched, has_looked=bool(plans))
    ending = min(endings, key=lambda one: PRECEDENCE.index(one.exit_code))
    if touched == Touched.UNKNOWN and PRECEDENCE.index(ending.exit_code) > PRECEDENCE.index(7):
        ending = msgspec.structs.replace(
            ending,
            exit_code=7,
            sentence=f"{UNKNOWN_WRITE}: {ending.sentence}",
            then=f"sretool resume {run.id}; {ending.then}",
        )
    return msgspec.structs.replace(
        ending,
        touched=touched,
        then="; ".join(
            dict.fromkeys(part for part in (*ending.then.split("; "), *_next(run, plans)) if part)
        ),
    )


def _stages(run: PlaybookRun, *, touched: Touched, may_ask: bool, has_looked: bool) -> Iterator[Ending]:
    """Yield what each stage adds to the ending."""
    is_due = False
    for stage in run.playbook.stages:
        state = state_of(run.journal.records, stage.id)
        if may_ask or not is_due:
            for why in _left_out(state):
                yield Ending(exit_code=8, sentence=f"stage {stage.id}: {why}", then=run.command())
        if state.ending is None or state.ending.exit_code == 0:
            continue
        code = state.ending.exit_code
        if code == 9 and has_looked and (touched != Touched.NOTHING or not stage.only_looks):
            continue  # the looks say what remains
        if code in (4, 8) and not may_ask and is_due:
            continue  # planned on a cluster that an earlier stage will have changed
        is_due = is_due or code == 3
        yield _of_stage(run, stage, state, touched=touched, may_ask=may_ask)


def _left_out(state: StageState) -> Iterator[str]:
    """Yield why the stage, or runbooks of it, were left out because nobody could tell whether they are needed."""
    if state.left_out == "unknown":
        yield state.why
    for part_id, why in state.unsure.items():
        yield f"{part_id} was left out: {why}"


def _of_stage(
    run: PlaybookRun, stage: Stage, state: StageState, *, touched: Touched, may_ask: bool
) -> Ending:
    ending = state.ending or Ending(exit_code=0, sentence="")
    code = ending.exit_code
    if code in (3, 4, 8) and touched != Touched.NOTHING and not stage.only_looks:
        code = 5  # earlier stages have changed something
    then = ending.then
    if code == 3 and not may_ask:
        then = f"{run.command()}  (asks at each gate)"
    elif code in (3, 5, 7, 130, 143):
        then = f"sretool resume {run.id}"
    return msgspec.structs.replace(
        ending, exit_code=code, sentence=f"stage {stage.id}: {ending.sentence}", then=then
    )


def _of_findings(
    run: PlaybookRun, findings: Sequence[Finding], *, touched: Touched, has_looked: bool
) -> Iterator[Ending]:
    made = sum(len(done_outcomes([one])) for one in run.journal.records)
    was_changed = touched != Touched.NOTHING
    blind = next((finding for finding in findings if finding.blind), None)
    cause = next((finding.sentence for finding in findings if finding.is_cause), "")
    if blind:
        yield Ending(exit_code=8, sentence=f"cannot tell: {blind.sentence}", then=blind.then)
    if cause:
        done = f"{made} changes made as planned, and a cause remains" if was_changed else "unhealthy"
        yield Ending(exit_code=9, sentence=f"{done}: {cause}")
    verified = f"done and verified: {made} changes" + (", and the causes are gone" if has_looked else "")
    yield Ending(exit_code=0, sentence=verified if was_changed else "nothing to do")


def _looks(run: PlaybookRun, kind: str) -> Iterator[Plan]:
    """Yield the last plan of this kind of every runbook of the stages that only look."""
    for stage in run.playbook.stages:
        for part in stage.parts if stage.only_looks else ():
            yield from plans_of(run.journal.records, run.scope(stage, part), kind)[-1:]


def _next(run: PlaybookRun, plans: Sequence[Plan]) -> Iterator[str]:
    """Yield what a person does next: successors that are no part of this playbook, stages that are held."""
    own = {part.book.name for stage in run.playbook.stages for part in stage.parts}
    if run.touched != Touched.NOTHING:
        yield f"sretool report {run.id}"
    for stage in run.playbook.stages:
        for part in stage.parts if stage.only_looks else ():
            for plan in plans:
                yield from next_steps(plan, part.book, beside=own)
        if state_of(run.journal.records, stage.id).left_out == "held" and not run.named:
            yield f"held: {run.command('--stage', stage.id)}"
