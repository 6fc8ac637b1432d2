"""Makes one wave of changes: guards, intents on disk, apply, observe, outcomes on disk."""

from collections.abc import Sequence

from sretool.cluster import ClusterReader
from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.fates import Fate, fate_of, outcome_body
from sretool.engine.guards import Guards
from sretool.errors import (
    InterruptedRunError,
    RefusedError,
    RemoteError,
    SretoolError,
    StateError,
)
from sretool.model import Change, Outcome, Result

OBSERVE_EVERY_SECONDS = 0.25
FIRST_PAUSE_SECONDS = 0.02  # most changes show at once, or after a moment
GRACE_SECONDS = 5.0  # a change that was accepted may take this long to show on every member
SETTLE_SECONDS = 180.0
CHANGE_SECONDS = 900.0


class Executor:
    """Applies single changes. It decides nothing: not what to change, not whether to go on."""

    def __init__(self, run: Run, guards: Guards, *, total: int) -> None:
        self._run = run
        self._guards = guards
        self._total = total
        self._number = 0

    def had_to_wait(self, wave: Sequence[Change], read: ClusterReader) -> bool:
        """Return when every guard lets `wave` pass, and whether that took a wait.

        The first judgement is on what `read` has just read. RefusedError when a guard refuses, or still lets
        the wave wait when the settle time is over.
        """
        settle = self._run.deadline.within(SETTLE_SECONDS)
        began = self._run.clock.monotonic()
        has_waited = False
        for change in wave:
            while (answer := self._guards.judge(change, read)).verdict != "pass":
                waited = self._run.clock.monotonic() - began
                if answer.verdict == "refuse" or not settle.left():
                    raise RefusedError(
                        f"{change.verb} {change.label} is refused by the guard «{answer.rule}»: {answer.reason}"
                        + (f" (waited {waited:.0f} s)" if answer.verdict == "wait" else ""),
                        then=f"--accept {answer.accept} overrides it" if answer.accept else "",
                    )
                self._run.emit(
                    events.Waiting(change=change.key, rule=answer.rule, reason=answer.reason, seconds=waited)
                )
                self._run.clock.sleep(OBSERVE_EVERY_SECONDS)
                self._run.interrupts.check()
                has_waited = True
                read = self._run.cluster.reader(self._run.deadline)
        return has_waited

    def make(self, wave: Sequence[Change]) -> tuple[Fate, str]:
        """Make the changes of one wave, their intents written with one fsync; return the first bad fate."""
        self._run.journal.write_all([("intent", {"change": change}) for change in wave])
        for change in wave:
            self._number += 1
            self._run.emit(
                events.ChangeStarted(change=change, number=self._number, total=max(self._total, self._number))
            )
            fate, why = self._make_one(change)
            if fate is not Fate.DONE:
                return fate, why
        return Fate.DONE, ""

    def _make_one(self, change: Change) -> tuple[Fate, str]:
        began = self._run.clock.monotonic()
        failure: SretoolError | None = None
        try:
            failure = self._apply(change)
            outcome = self.observe_until_settled(change)
        except InterruptedRunError as error:
            outcome = Outcome(result=Result.CANNOT_TELL, evidence=error.message)
            self._record(change, outcome, began)
            raise
        self._record(change, outcome, began)
        return fate_of(change, outcome, failure)

    def _apply(self, change: Change) -> SretoolError | None:
        """Return the error of `apply`, None when it succeeded."""
        writer = self._run.cluster.writer(self._run.deadline.within(CHANGE_SECONDS))
        try:
            self._run.steps[change.step].apply(writer, change)
        except (RemoteError, StateError) as error:
            return error
        return None

    def observe_until_settled(self, change: Change) -> Outcome:
        """Look until the change is done or will not be; «still going» is waited for to the deadline."""
        limit = self._run.deadline.within(CHANGE_SECONDS)
        grace = limit.within(GRACE_SECONDS)
        began = self._run.clock.monotonic()
        told = began
        pause = FIRST_PAUSE_SECONDS
        while True:
            outcome = self.observe(change)
            going = outcome.result is Result.STILL_GOING
            if outcome.result is Result.DONE or not (limit if going else grace).left():
                return outcome
            now = self._run.clock.monotonic()
            if going and now - told >= 1.0:
                told = now
                self._run.emit(
                    events.ChangeGoing(
                        change=change.key,
                        seconds=now - began,
                        limit_seconds=CHANGE_SECONDS,
                        evidence=outcome.evidence,
                    )
                )
            self._run.clock.pause(pause)
            pause = min(2 * pause, OBSERVE_EVERY_SECONDS)

    def observe(self, change: Change) -> Outcome:
        """Look once at what became of `change`."""
        read = self._run.cluster.reader(self._run.deadline, interruptible=False)
        try:
            return self._run.steps[change.step].observe(read, change)
        except RemoteError as error:
            return Outcome(result=Result.CANNOT_TELL, evidence=error.message)

    def _record(self, change: Change, outcome: Outcome, began: float) -> None:
        seconds = self._run.clock.monotonic() - began
        self._run.journal.write("outcome", outcome_body(change, outcome, seconds=seconds))
        self._run.emit(events.ChangeEnded(change=change, outcome=outcome, seconds=seconds))
