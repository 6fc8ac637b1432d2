"""An earlier run taken up again: what its journal leaves open is answered by looking at the cluster."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sretool.engine import events
from sretool.engine.carry import make_or_stop, require_same_cluster
from sretool.engine.context import Run
from sretool.engine.ending import Ending, declined
from sretool.engine.executor import Executor
from sretool.engine.fates import outcome_body
from sretool.engine.guards import Guards
from sretool.engine.journal import Record
from sretool.engine.maker import Maker
from sretool.engine.operate import Approver, Operation
from sretool.engine.plan import Plan
from sretool.errors import Touched
from sretool.model import Change, Result, Risk
from sretool.step import AnyStep


class Resumption:
    """Resume or undo. Both look first, and both append to the run's own journal."""

    def __init__(self, run: Run, *, run_folder: Path) -> None:
        self._run = run
        self._guards = Guards(run)
        self._operation = Operation(run, run_folder=run_folder)

    @property
    def run_id(self) -> str:
        return self._run.id

    @property
    def records(self) -> Sequence[Record]:
        return self._run.journal.records

    @property
    def operation(self) -> Operation:
        """Return the operation that goes on with the run."""
        return self._operation

    def resume(self, approver: Approver | None) -> Ending:
        """Settle the open intents, then look, ask and carry out what is still due.

        WrongClusterError, LockHeldError and RemoteError leave the journal as it was.
        """
        plan = self._last_plan()
        if plan is None:
            return self._operation.run(approver)
        with self._taken_up(plan, "resume"):
            return self._operation.ended(lambda: self._resume(approver))

    def undo(self, approver: Approver | None) -> Ending:
        """Take back the run's reversible changes, newest first, that are still as the run left them.

        WrongClusterError, LockHeldError and RemoteError leave the journal as it was.
        """
        plan = self._last_plan()
        if plan is None or not self._last_results():
            return Ending(
                exit_code=0, sentence=f"run {self._run.id} changed nothing: there is nothing to undo"
            )
        with self._taken_up(plan, "undo"):
            return self._operation.ended(lambda: self._undo(plan, approver))

    @contextmanager
    def _taken_up(self, plan: Plan, how: str) -> Iterator[None]:
        read = self._run.cluster.reader(self._run.deadline)
        require_same_cluster(self._run.cluster.identity(read), plan.identity, self._run.cluster.name)
        with self._operation.lock(plan.identity):
            self._run.journal.write(how, {})
            self.settle()
            yield

    def _resume(self, approver: Approver | None) -> Ending:
        return self._operation.go_on(approver, made=self.made())

    def _undo(self, plan: Plan, approver: Approver | None) -> Ending:
        back, kept = self.reversals()
        for why in kept:
            self._run.emit(events.Noted(text=why))
        if not back:
            why = "; ".join(kept) or "no change was completed"
            return Ending(exit_code=4, sentence=f"nothing of run {self._run.id} can be undone: {why}")
        return self._carry_back(plan, back, approver)

    def _carry_back(self, plan: Plan, back: Sequence[Change], approver: Approver | None) -> Ending:
        undo = msgspec.structs.replace(
            plan, changes=tuple(back), findings=(), held=(), skipped=(), made_at=self._run.clock.now()
        )
        self._run.emit(events.PlanReady(plan=undo, phase="undo"))
        if approver is None:
            return declined(undo, "looked only")
        with self._run.interrupts.at_a_question():
            level = self.lock_level()
            approval = approver(undo, level)
        if not approval.granted:
            return declined(undo, approval.how)
        self._run.journal.write("approval", {"how": approval.how, "lock": level, "changes": undo.changes})
        self.take_back(back)
        return Ending(
            exit_code=0,
            sentence=f"undone and looked at: {len(back)} changes of run {self._run.id}",
            touched=Touched.CHANGED,
        )

    def lock_level(self) -> str:
        """Return who is kept away by the lock, for the question."""
        return self._guards.lock_level()

    def take_back(self, back: Sequence[Change]) -> None:
        """Make these changes that `reversals` returned, in their order; raises what stops it."""
        executor = Executor(self._run, self._guards, total=len(back))
        for wave in undo_waves(back, self._run.steps):
            self._run.interrupts.check()
            executor.had_to_wait(wave, self._run.cluster.reader(self._run.deadline))
            make_or_stop(executor, wave)

    def reversals(self) -> tuple[list[Change], list[str]]:
        """Return what can be taken back, newest first, and why the rest cannot."""
        made = [one for one in undo_order(self.made()) if not one.reverses and one.risk is not Risk.READ]
        back = []
        kept = [f"{one.verb} {one.label} is {one.risk}" for one in made if not one.can_be_undone]
        reversible = (one for one in made if one.can_be_undone)
        for _, alike in itertools.groupby(reversible, key=lambda change: change.step):
            changes = list(alike)
            for change, now in zip(changes, Maker(self._run).observe(changes), strict=True):
                if now.result is Result.DONE:
                    back.append(change.reversed())
                else:
                    why = f"is no longer as the run left it: {now.evidence}"
                    kept.append(f"{change.verb} {change.label} {why}")
        return back, kept

    def settle(self) -> None:
        """Look at each change that was intended and has no outcome; the answers are journaled.

        So is what was partly done and is done by now: the cluster itself has gone on with it.
        """
        maker = Maker(self._run)
        partly = {change.key for change in self._changes_with(Result.PARTLY)}
        for _, alike in itertools.groupby(self._open_intents(), key=lambda change: change.step):
            changes = list(alike)  # of one step together: what is not done is given its time once, not each
            began = self._run.clock.monotonic()
            outcomes = maker.settled(changes, self._run.emit)
            seconds = self._run.clock.monotonic() - began
            for change, outcome in zip(changes, outcomes, strict=True):
                if change.key in partly and outcome.result is not Result.DONE:
                    continue
                self._run.journal.write("outcome", outcome_body(change, outcome, seconds=seconds))
                self._run.emit(events.ChangeEnded(change=change, outcome=outcome, seconds=seconds))

    def _open_intents(self) -> list[Change]:
        """Return the intents whose last outcome is missing, or is not the last word."""
        return [
            change
            for change, result in self._last_results()
            if result in (None, Result.CANNOT_TELL, Result.STILL_GOING, Result.PARTLY)
        ]

    def made(self) -> list[Change]:
        """Return the changes that were made and seen, in the order in which they were begun."""
        return self._changes_with(Result.DONE)

    def _changes_with(self, wanted: Result) -> list[Change]:
        return [change for change, result in self._last_results() if result == wanted]

    def _last_results(self) -> list[tuple[Change, str | None]]:
        """Return each intended change with its last outcome, in the order of the intents."""
        found: dict[str, tuple[Change, str | None]] = {}
        taken_back: dict[str, tuple[Change, str | None]] = {}  # as they were before an undo began with them
        for record in self._run.journal.records:
            if record.kind == "intent":
                change = msgspec.convert(record.body["change"], Change)
                former, result = found.pop(change.key, (change, None))
                if change.reverses and not former.reverses:
                    taken_back[change.key] = (former, result)
                if result == Result.PARTLY and change.risk is Risk.REVERSIBLE:
                    # Finished by a second attempt: what was there is what was there before the first.
                    change = msgspec.structs.replace(change, before=former.before)
                found[change.key] = (change, None)
            elif record.kind == "outcome" and record.body["key"] in found:
                change, _ = found[record.body["key"]]
                result = record.body["outcome"]["result"]
                found[change.key] = (change, result)
                if change.reverses and result in (Result.NOT_DONE, Result.PARTLY):
                    # An undo that came to nothing: the next one tries again.
                    found[change.key] = taken_back[change.key]
        return list(found.values())

    def _last_plan(self) -> Plan | None:
        plans = [record.body["plan"] for record in self._run.journal.records if "plan" in record.body]
        return msgspec.convert(plans[-1], Plan) if plans else None


def undo_order(made: Sequence[Change]) -> list[Change]:
    """Return changes newest first; of one step those first that hold back the others."""
    steps = itertools.groupby(reversed(made), key=lambda change: change.step)
    return [change for _, group in steps for change in sorted(group, key=lambda one: not one.undone_first)]


def undo_waves(back: Sequence[Change], steps: Mapping[str, AnyStep]) -> Iterator[tuple[Change, ...]]:
    """Yield what may be taken back side by side: only of a step that plans independent changes, and so looks at
    many of them together; and never with those that have to go first."""
    for (step_id, _), alike in itertools.groupby(back, key=lambda one: (one.step, one.undone_first)):
        changes, size = list(alike), steps[step_id].looks_together
        for start in range(0, len(changes), size):
            yield tuple(changes[start : start + size])
