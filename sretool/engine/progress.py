"""What a run writes down of its changes: the journal's outcomes, and the events around them."""

from collections.abc import Sequence

from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.fates import Attempt, outcome_body
from sretool.model import Change, Outcome, Result


class Progress:
    """The changes of one run, counted. Used by one thread only."""

    def __init__(self, run: Run, *, total: int) -> None:
        self._run = run
        self._total = total
        self._number = 0

    def begin(self, change: Change) -> None:
        """Tell that `change` is being made. Its intent is on disk."""
        self._number += 1
        self._run.emit(
            events.ChangeStarted(change=change, number=self._number, total=max(self._total, self._number))
        )

    def record(self, attempts: Sequence[Attempt]) -> None:
        """Write what became of changes with one fsync, then tell it."""
        self._run.journal.write_all(
            [("outcome", outcome_body(one.change, one.outcome, seconds=one.seconds)) for one in attempts]
        )
        for one in attempts:
            self._run.emit(events.ChangeEnded(change=one.change, outcome=one.outcome, seconds=one.seconds))

    def keep_back(self, changes: Sequence[Change], why: str) -> None:
        """Write down that intended changes were not sent: nobody has to look for their effect."""
        if not changes:
            return
        outcome = Outcome(result=Result.NOT_DONE, evidence=f"not sent: {why}")
        self._run.journal.write_all(
            [("outcome", outcome_body(change, outcome, seconds=0.0)) for change in changes]
        )
        self._run.emit(events.Noted(text=f"{len(changes)} changes of this wave were not sent: {why}"))
