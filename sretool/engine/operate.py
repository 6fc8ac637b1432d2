"""The operations a person asks for: run a runbook, apply a saved plan, resume a run. Each ends in an Ending."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sretool.engine import events
from sretool.engine.carry import Carrier, HeldError, StoppedError, require_same_cluster
from sretool.engine.context import Run
from sretool.engine.ending import UNKNOWN_WRITE, Ending, declined, ending_of_look, ending_of_verify
from sretool.engine.fates import Fate
from sretool.engine.guards import Guards
from sretool.engine.journal import Record, done_outcomes
from sretool.engine.lock import ClusterLock
from sretool.engine.plan import Plan, uncovered
from sretool.engine.planner import Planner
from sretool.engine.runs import locks_folder
from sretool.errors import (
    ForbiddenError,
    InterruptedRunError,
    RemoteError,
    SretoolError,
    StalePlanError,
    StateError,
    Touched,
    WrongClusterError,
)
from sretool.knowledge.words import first_of
from sretool.model import Change, Finding, Identity, Result, Risk


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to the one question: `how` is what is journaled, and printed when it was a No."""

    granted: bool
    how: str


Approver = Callable[[Plan, str], Approval]


class Operation:
    """One run, from the first look to its ending. Nothing it raises is a RemoteError: those are endings."""

    def __init__(self, run: Run, *, run_folder: Path) -> None:
        self._run = run
        self._guards = Guards(run)
        self._run_folder = run_folder
        self._carrier: Carrier | None = None
        self.facts: Mapping[str, msgspec.Struct] = {}
        """What each step read at the last look, by the step's id."""
        self.seen: tuple[Finding, ...] = ()
        """What was found by a look that did not come to its end."""

    @property
    def run_id(self) -> str:
        return self._run.id

    @property
    def records(self) -> Sequence[Record]:
        """Return the journal so far: what a report is made of."""
        return self._run.journal.records

    def run(
        self,
        approver: Approver | None,
        *,
        approved: Plan | None = None,
        keep: Callable[[Plan], None] | None = None,
    ) -> Ending:
        """Look, plan, ask, carry out, verify. Without an approver it ends after the plan.

        With `approved` (a saved plan) the fresh plan must be covered by it. `keep` gets the plan before the end
        is told: what it raises is the ending.
        """
        return self.ended(lambda: self._run_all(approver, approved, keep))

    def go_on(self, approver: Approver | None, *, made: Sequence[Change]) -> Ending:
        """Look again and carry out what is still due; `made` is done already. The caller holds the lock."""
        return self._go_on(self.look(phase="resume", made=made), approver, made)

    def carry_out(self, plan: Plan, approver: Approver, *, made: Sequence[Change]) -> Ending:
        """Carry out what was just looked for; `made` is done already. The caller holds the lock."""
        return self.ended(lambda: self._go_on(plan, approver, made))

    def _go_on(self, plan: Plan, approver: Approver | None, made: Sequence[Change]) -> Ending:
        if plan.changes and approver is not None:
            return self._ask_and_carry(plan, approver, made=made)
        looked = ending_of_look(plan, self._run.runbook)
        if made and not plan.changes and (looked.exit_code == 0 or not is_unfinished(self.records)):
            return self._verify()
        return self._as_it_was_left(looked)

    def _as_it_was_left(self, ending: Ending) -> Ending:
        """Return the ending of a run that did nothing more: what an earlier part of it left open is open still."""
        touched = self._touched()
        if touched == Touched.NOTHING or not is_unfinished(self.records):
            return ending
        is_unknown = touched == Touched.UNKNOWN
        why = UNKNOWN_WRITE if is_unknown else "it is still stopped part-way"
        then = "" if ending.exit_code == 3 else ending.then  # that says how to begin anew
        return msgspec.structs.replace(
            ending,
            exit_code=7 if is_unknown else 5,
            sentence=f"{why}: {ending.sentence}",
            touched=touched.value,
            then="; ".join(part for part in (f"sretool resume {self._run.id}", then) if part),
        )

    def look(self, *, phase: str = "plan", made: Sequence[Change] = ()) -> Plan:
        """Look with every step and return the plan, journaled."""
        read = self._run.cluster.reader(self._run.deadline)
        planner = Planner(self._run, self._guards)
        try:
            plan = planner.plan(read, made=made)
        except SretoolError:
            self.seen = planner.findings
            raise
        self.facts = planner.facts
        self._run.journal.write(phase, {"plan": plan})
        self._run.emit(events.PlanReady(plan=plan, phase=phase))
        return plan

    def _run_all(
        self, approver: Approver | None, approved: Plan | None, keep: Callable[[Plan], None] | None
    ) -> Ending:
        plan = self.look()
        if keep is not None:
            keep(plan)
        if approved is not None:
            self._require_covered(plan, approved)
        if approver is None or not plan.changes:
            return ending_of_look(plan, self._run.runbook)
        with self.lock(plan.identity):
            return self._ask_and_carry(plan, approver, made=())

    def _ask_and_carry(self, plan: Plan, approver: Approver, *, made: Sequence[Change]) -> Ending:
        with self._run.interrupts.at_a_question():
            level = self.lock_level()
            approval = approver(plan, level)
        if not approval.granted:
            return self._as_it_was_left(declined(plan, approval.how))
        self._run.journal.write("approval", {"how": approval.how, "lock": level, "changes": plan.changes})
        self._run.emit(events.Approved(how=approval.how, lock=level))
        self._carrier = Carrier(self._run, self._guards, plan, made)
        self._carrier.carry_out()
        return self._verify()

    def _verify(self) -> Ending:
        """Look again with every step: nothing may be due, and no cause may be left."""
        try:
            after = self.look(phase="verify")
            pause = self._run.runbook.second_look_after(self._run.params)
            if pause and self._run.unattended and self._made_writes():
                self._run.emit(events.Noted(text=f"looking once more in {pause:.0f} s"))
                self._run.clock.sleep(pause)
                self._run.interrupts.check("before the second look: every change was made and looked at")
                after = self.look(phase="verify")
        except RemoteError as error:
            return Ending(
                exit_code=6,
                sentence=f"all changes were made, but the look afterwards failed: {error.message}",
                touched=Touched.CHANGED,
                then=error.then,
                findings=self.seen,
            )
        return ending_of_verify(
            after, self._run.runbook, run_id=self._run.id, made=len(done_outcomes(self.records))
        )

    def lock_level(self) -> str:
        """Return who is kept away by the lock, for the question; the API server is asked, nothing is stored."""
        return self._guards.lock_level()

    def lock(self, identity: Identity) -> ClusterLock:
        """Return the lock that keeps other runs off this etcd cluster while it is held."""
        return ClusterLock(
            locks_folder(),
            identity,
            run_id=self._run.id,
            run_folder=self._run_folder,
            clock=self._run.clock,
            lease=self._run.cluster.lease,
        )

    def _require_covered(self, plan: Plan, approved: Plan) -> None:
        require_same_cluster(plan.identity, approved.identity, self._run.cluster.name)
        beyond = uncovered(plan.changes, approved.changes)
        if beyond:
            raise StalePlanError(
                f"the saved plan does not cover what is due now: {first_of(beyond)}",
                then=f"look again: {plan.command}",
            )

    def ended(self, operate: Callable[[], Ending]) -> Ending:
        """Run `operate`; turn what stopped it into an ending; journal the ending."""
        try:
            ending = operate()
        except SretoolError as error:
            ending = self._ending_of(error)
        try:
            self._run.journal.write("end", msgspec.to_builtins(ending))
        except StateError as error:
            if ending.exit_code == 0 and self._made_writes():
                ending = msgspec.structs.replace(
                    ending, exit_code=6, sentence=f"{ending.sentence}; {error.message}", then=error.then
                )
        return ending

    def _ending_of(self, error: SretoolError) -> Ending:
        touched = self._touched()
        code = error.exit_code
        resume = f"sretool resume {self._run.id}" if self._intents() else ""
        if isinstance(error, StoppedError):
            code = {Fate.UNKNOWN: 7, Fate.NOT_AS_PLANNED: 6}.get(
                error.fate, 5 if touched != Touched.NOTHING else 4
            )
        elif isinstance(error, InterruptedRunError):
            code = 7 if touched == Touched.UNKNOWN else 128 + (self._run.interrupts.requested or code - 128)
        elif touched != Touched.NOTHING:
            code = 7 if touched == Touched.UNKNOWN else 5
        elif isinstance(error, HeldError) and not any(one.refused for one in error.held):
            code = 8
        then = "; ".join(part for part in (error.then, resume) if part)
        return Ending(
            exit_code=code,
            sentence=error.message,
            touched=touched,
            then=then,
            commands=self._commands_after(error),
            findings=error.findings if isinstance(error, HeldError) else self.seen,
        )

    def _commands_after(self, error: SretoolError) -> tuple[str, ...]:
        """Return how a person goes on by hand: never with what a rule forbids to everybody, or on other members."""
        if isinstance(error, ForbiddenError | WrongClusterError):
            return ()
        left = self._work_left(but=error.key if isinstance(error, StoppedError) else "")
        if isinstance(error, StoppedError):
            return error.commands + left
        if isinstance(error, HeldError):
            own = tuple(command for one in error.held for command in one.commands)
            return own if any(one.refused for one in error.held) else own or left
        return left

    def _work_left(self, *, but: str = "") -> tuple[str, ...]:
        if self._carrier is None:
            return ()
        made = {but, *(change.key for change in self._carrier.made)}
        plan = next(r.body["plan"] for r in reversed(self._run.journal.records) if "plan" in r.body)
        left = [c for c in msgspec.convert(plan, Plan).changes if c.key not in made]
        return tuple(command for change in left for command in change.commands)

    def _intents(self) -> list[Change]:
        return [
            msgspec.convert(record.body["change"], Change)
            for record in self._run.journal.records
            if record.kind == "intent"
        ]

    def _made_writes(self) -> bool:
        return self._touched() != Touched.NOTHING

    def _touched(self) -> Touched:
        return touched_of(self._run.journal.records)


def is_unfinished(records: Sequence[Record]) -> bool:
    """Tell whether something that was approved last is neither done nor dropped, from one operation's records."""
    approved = next((one.body["changes"] for one in reversed(records) if one.kind == "approval"), ())
    over = {key for key, result in _last_results(records).items() if result == Result.DONE}
    over |= {one.body["key"] for one in records if one.kind == "dropped"}
    return any(change.key not in over for change in msgspec.convert(approved, tuple[Change, ...]))


def touched_of(records: Sequence[Record]) -> Touched:
    """Return whether the cluster was changed, from one operation's records alone."""
    intents = (msgspec.convert(one.body["change"], Change) for one in records if one.kind == "intent")
    risks = {change.key: change.risk for change in intents}
    results = _last_results(records)
    writes = {key: results.get(key) for key, risk in risks.items() if risk > Risk.READ}
    if any(result in (None, Result.CANNOT_TELL, Result.STILL_GOING) for result in writes.values()):
        return Touched.UNKNOWN
    if any(result != Result.NOT_DONE for result in writes.values()):
        return Touched.CHANGED
    return Touched.NOTHING


def _last_results(records: Sequence[Record]) -> dict[str, str]:
    return {one.body["key"]: one.body["outcome"]["result"] for one in records if one.kind == "outcome"}
