"""Runs a playbook: each stage looks, plans its runbooks together, asks once, carries them out in order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from sretool.engine import events
from sretool.engine.carry import require_same_cluster
from sretool.engine.ending import Ending, declined, ending_of_look
from sretool.engine.journal import Record
from sretool.engine.operate import Approval, Approver
from sretool.engine.plan import Plan
from sretool.engine.playbook_ending import LookAgain, conclude
from sretool.engine.playbook_run import PlaybookRun, StageState, plans_of, state_of
from sretool.engine.playbook_stage import NONE_NEEDED, Planned, look_with, note, wait_for
from sretool.errors import InterruptedRunError, SretoolError, StateError, Touched, UsageError
from sretool.model import Identity, Known, Unknown
from sretool.runbook.playbook import Part, Stage
from sretool.runbook.references import Reference

_ENDS_ALL = frozenset({1, 2, 7, 130, 143})  # whatever the stage says about failures


class PlaybookOperation:
    """One execution of a playbook, new or taken up. One journal and, from the first approval on, one lock."""

    def __init__(self, run: PlaybookRun) -> None:
        self._run = run
        self._locked = ExitStack()
        self._has_lock = False

    @property
    def run_id(self) -> str:
        return self._run.id

    @property
    def records(self) -> Sequence[Record]:
        """Return the journal so far."""
        return self._run.journal.records

    def run(self, approver: Approver | None) -> Ending:
        """Go through the stages. Without an approver each is looked at and planned only."""
        with self._locked:
            return self.ended(lambda: self._stages(approver))

    def resume(self, approver: Approver | None) -> Ending:
        """Go on where the journal ends: at a gate, or inside a stage whose last change is looked at first.

        WrongClusterError, LockHeldError and RemoteError leave the journal as it was.
        """
        with self.taken_up("resume"):
            return self.ended(lambda: self._stages(approver))

    @contextmanager
    def taken_up(self, how: str) -> Iterator[None]:
        """Hold the lock of the cluster that the journal was made on, and note in it what begins."""
        plan = last_plan(self.records)
        with self._locked:
            if plan is not None:
                read = self._run.cluster.reader(self._run.deadline)
                require_same_cluster(self._run.cluster.identity(read), plan.identity, self._run.cluster.name)
                self.hold_lock(plan.identity)
            self._run.journal.write(how, {})
            yield

    def hold_lock(self, identity: Identity) -> None:
        """Take the lock and keep it to the end; nothing when this execution has it already."""
        if not self._has_lock:
            stage = self._run.playbook.stages[0]
            operation = self._run.part(stage, stage.parts[0], {}).operation
            self._locked.enter_context(operation.lock(identity))
            self._has_lock = True

    def ended(self, operate: Callable[[], Ending], *, again: str = "resume") -> Ending:
        """Run `operate`; turn what stopped it into an ending, with the command that goes on; journal the ending."""
        try:
            ending = operate()
        except SretoolError as error:
            touched = self._run.touched
            ending = Ending(
                exit_code=_code_of(error, touched),
                sentence=error.message,
                touched=touched,
                then="; ".join(part for part in (error.then, f"sretool {again} {self.run_id}") if part),
            )
        try:
            self._run.journal.write("end", msgspec.to_builtins(ending))
        except StateError as error:
            if ending.exit_code == 0 and self._run.touched != Touched.NOTHING:
                ending = msgspec.structs.replace(
                    ending, exit_code=6, sentence=f"{ending.sentence}; {error.message}", then=error.then
                )
        return ending

    # -- stages ---------------------------------------------------------------------------------------------

    def _stages(self, approver: Approver | None) -> Ending:
        is_unchanged = self._run.touched == Touched.NOTHING  # what was read and decided before a pause is old
        is_told = False  # that it was interrupted
        for stage in self._run.playbook.stages:
            state = StageState() if is_unchanged else state_of(self.records, stage.id)
            if state.is_over:
                continue
            self._run.interrupts.check("between stages")
            if not self._is_wanted(stage) or not self._is_needed(stage, state):
                continue
            ending = self._visit(stage, state, approver)
            note(self._run, stage, "ended", {"ending": ending})
            self._run.emit(
                events.StageEnded(stage=stage.id, exit_code=ending.exit_code, sentence=ending.sentence)
            )
            is_told = bool(self._run.interrupts.requested) and ending.exit_code in _ENDS_ALL
            if self._stops(stage, ending, approver):
                break
        was_changed = self._run.touched != Touched.NOTHING
        again = self._look_again() if was_changed and not is_told else None
        return conclude(self._run, again, may_ask=approver is not None)

    def _is_wanted(self, stage: Stage) -> bool:
        if stage.only_looks or stage.id in self._run.named or (stage.gate == "ask" and not self._run.named):
            return True
        why = "it runs only when it is named" if stage.gate == "held" else "only other stages were asked for"
        self._leave_out(stage, "held", why)
        return False

    def _is_needed(self, stage: Stage, state: StageState) -> bool:
        """Tell whether the stage's condition holds; one that has begun is not asked again."""
        if stage.when is None or state.given is not None:
            return True
        answer = stage.when.answer(self._run.value)
        if isinstance(answer, Unknown):
            self._leave_out(stage, "unknown", f"cannot tell whether it is needed: {answer.reason}")
        elif not answer:
            self._leave_out(stage, "skipped", f"not needed: {stage.when.text}")
        return answer is True

    def _visit(self, stage: Stage, state: StageState, approver: Approver | None) -> Ending:
        begun = self._begun(stage, state)
        if isinstance(begun, Unknown):
            return Ending(exit_code=8, sentence=f"cannot tell with what to begin: {begun.reason}")
        if begun != state or state.ending is not None:
            note(self._run, stage, "begun", {"given": begun.given, "unsure": begun.unsure})
        given = begun.given or {}
        parts = [(part, dict(given[part.id])) for part in stage.parts if part.id in given]
        self._run.emit(
            events.StageBegan(
                stage=stage.id,
                about=stage.about,
                gate=stage.gate,
                runbooks=tuple(part.book.name for part, _ in parts),
            )
        )
        for part_id, why in begun.unsure.items():
            self._run.emit(events.Noted(text=f"{part_id} is left out: {why}"))
        try:
            if stage.only_looks:
                return look_with(self._run, stage, parts, phase="plan")
            return self._act(stage, parts, approver)
        except InterruptedRunError:
            raise
        except UsageError as error:
            return self._unusable(stage, error)
        except SretoolError as error:
            return Ending(exit_code=error.exit_code, sentence=error.message, then=error.then)

    def _unusable(self, stage: Stage, error: UsageError) -> Ending:
        """Refuse a stage alone where its parameters were read from the cluster: the person's own are in order."""
        given = (raw for part in stage.parts for raw in part.with_.values())
        is_read = any(isinstance(raw, Reference) and raw.root == "stages" for raw in given)
        if not is_read and self._run.touched == Touched.NOTHING:
            return Ending(exit_code=error.exit_code, sentence=error.message, then=error.then)
        return Ending(
            exit_code=4, sentence=f"its parameters cannot be used: {error.message}", then=error.then
        )

    def _begun(self, stage: Stage, state: StageState) -> Known[StageState]:
        """Return the stage's runbooks that are needed, with their parameters: as they were, where one has begun."""
        before = {} if stage.only_looks else state.given or {}
        given: dict[str, Mapping[str, str]] = {}
        unsure: dict[str, str] = {}
        for part in stage.parts:
            if part.id in before:
                given[part.id] = before[part.id]
                continue
            needed = part.when.answer(self._run.value) if part.when else True
            if isinstance(needed, Unknown):
                unsure[part.id] = f"cannot tell whether it is needed: {needed.reason}"
            if needed is not True:
                continue
            resolved = self._run.given_for(part)
            if isinstance(resolved, Unknown):
                return resolved
            given[part.id] = resolved
        return StageState(given=given, unsure=unsure)

    def _act(
        self, stage: Stage, parts: Sequence[tuple[Part, dict[str, str]]], approver: Approver | None
    ) -> Ending:
        planned = [self._plan(stage, part, given) for part, given in parts]
        if not planned:
            return Ending(exit_code=0, sentence=NONE_NEEDED)
        changes = tuple(change for one in planned for change in one.plan.changes)
        if changes and approver is not None:
            whole = msgspec.structs.replace(
                planned[0].plan,
                runbook=self._run.playbook.name,
                changes=changes,
                findings=tuple(one for each in planned for one in each.plan.findings),
                held=tuple(one for each in planned for one in each.plan.held),
                skipped=(),
            )
            self.hold_lock(whole.identity)
            with self._run.interrupts.at_a_question():
                approval = approver(whole, planned[0].operation.lock_level())
            note(self._run, stage, "gate", {"granted": approval.granted, "how": approval.how})
            if not approval.granted:
                return declined(whole, approval.how)
            how = f"{approval.how}, for the stage {stage.id}"
            return self._carry_out(stage, planned, Approval(granted=True, how=how))
        if approver is None:
            return _worst([ending_of_look(one.plan, one.part.book) for one in planned])
        return self._carry_out(stage, planned, Approval(granted=False, how=""))

    def _plan(self, stage: Stage, part: Part, given: dict[str, str]) -> Planned:
        """Look with one runbook, after what became of its last change."""
        resumption = self._run.part(stage, part, given)
        phase = "resume" if any("plan" in record.body for record in resumption.records) else "plan"
        resumption.settle()
        made = tuple(resumption.made())
        plan = resumption.operation.look(phase=phase, made=made)
        self._run.keep_facts(stage, part, resumption.operation.facts)
        return Planned(part=part, operation=resumption.operation, plan=plan, made=made)

    def _carry_out(self, stage: Stage, planned: Sequence[Planned], approval: Approval) -> Ending:
        endings: list[Ending] = []
        for one in planned:
            ending = one.operation.carry_out(one.plan, lambda _plan, _lock: approval, made=one.made)
            endings.append(ending)
            self._run.keep_facts(stage, one.part, one.operation.facts)
            if ending.exit_code not in (0, 9):
                return ending
        if stage.until is not None and self._run.touched != Touched.NOTHING:
            endings.append(wait_for(self._run, stage, planned))
        return _worst(endings)

    def _look_again(self) -> LookAgain:
        """Look once more with every stage that only looks: what is left, and the numbers afterwards."""
        for stage in self._run.playbook.stages:
            state = state_of(self.records, stage.id)
            if not stage.only_looks or state.given is None:
                continue
            parts = [(part, dict(state.given[part.id])) for part in stage.parts if part.id in state.given]
            ending = look_with(self._run, stage, parts, phase="verify")
            if ending.exit_code:
                return LookAgain(blind=ending.sentence)
        return LookAgain()

    def _stops(self, stage: Stage, ending: Ending, approver: Approver | None) -> bool:
        if ending.exit_code in _ENDS_ALL:
            return True
        if ending.exit_code in (0, 9) or stage.only_looks or approver is None:
            return False
        return stage.on_failure == "stop"

    def _leave_out(self, stage: Stage, state: str, why: str) -> None:
        note(self._run, stage, state, {"why": why})
        self._run.emit(events.StageEnded(stage=stage.id, exit_code=None, sentence=why))


def last_plan(records: Sequence[Record]) -> Plan | None:
    """Return the plan that the journal holds last, whichever stage made it."""
    scope = next((one.scope for one in reversed(records) if "plan" in one.body), None)
    return plans_of(records, scope)[-1] if scope is not None else None


def _worst(endings: Sequence[Ending]) -> Ending:
    from sretool.engine.ending import PRECEDENCE

    return min(endings, key=lambda ending: PRECEDENCE.index(ending.exit_code))


def _code_of(error: SretoolError, touched: Touched) -> int:
    if touched == Touched.UNKNOWN:
        return 7
    return error.exit_code if touched == Touched.NOTHING or isinstance(error, InterruptedRunError) else 5
