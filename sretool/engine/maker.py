"""Makes single changes and looks at what became of them: used by several threads, so it writes nothing down."""

from collections.abc import Sequence

import msgspec

from sretool.cluster import ClusterReader
from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.events import Sink
from sretool.engine.fates import Attempt, fate_of
from sretool.errors import RemoteError, SretoolError, StateError
from sretool.model import Change, Outcome, Result

OBSERVE_EVERY_SECONDS = 0.25
FIRST_PAUSE_SECONDS = 0.02  # most changes show at once, or after a moment
GRACE_SECONDS = 5.0  # a change that was accepted may take this long to show on every member
CHANGE_SECONDS = 900.0


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """`apply` of `change`, begun at `began` (monotonic seconds), came back with the error that it raised."""

    change: Change
    began: float
    failure: SretoolError | None


class Maker:
    """Applies and observes. It decides nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.latest: ClusterReader | None = None
        """The reader of the latest look at what became of a change."""

    def make(self, change: Change, emit: Sink) -> Attempt:
        """Apply `change` and look until it is settled."""
        return self.look([self.apply(change)], emit)[0]

    def apply(self, change: Change) -> Applied:
        """Apply `change` and return with what that raised."""
        began = self._run.clock.monotonic()
        writer = self._run.cluster.writer(self._run.deadline.within(CHANGE_SECONDS))
        failure: SretoolError | None = None
        try:
            self._run.steps[change.step].apply(writer, change)
        except (RemoteError, StateError) as error:
            failure = error
        return Applied(change=change, began=began, failure=failure)

    def look(self, applied: Sequence[Applied], emit: Sink) -> list[Attempt]:
        """Return what became of changes of one step that were applied, when that is settled."""
        outcomes = self.settled([one.change for one in applied], emit)
        now = self._run.clock.monotonic()
        return [
            _attempt(one, outcome, seconds=now - one.began)
            for one, outcome in zip(applied, outcomes, strict=True)
        ]

    def settled(self, changes: Sequence[Change], emit: Sink) -> list[Outcome]:
        """Look until each is done or will not be; «still going» is waited for to the deadline."""
        limit = self._run.deadline.within(CHANGE_SECONDS)
        grace = limit.within(GRACE_SECONDS)
        began = self._run.clock.monotonic()
        told = began
        pause = FIRST_PAUSE_SECONDS
        outcomes: dict[str, Outcome] = {}
        left = list(changes)
        while True:
            outcomes |= {one.key: outcome for one, outcome in zip(left, self.observe(left), strict=True)}
            left = [one for one in left if _may_change(outcomes[one.key], limit.left(), grace.left())]
            if not left:
                return [outcomes[one.key] for one in changes]
            now = self._run.clock.monotonic()
            first = left[0].key
            if outcomes[first].result is Result.STILL_GOING and now - told >= 1.0:
                told = now
                emit(
                    events.ChangeGoing(
                        change=first,
                        seconds=now - began,
                        limit_seconds=CHANGE_SECONDS,
                        evidence=outcomes[first].evidence,
                    )
                )
            self._run.clock.pause(pause)
            pause = min(1.5 * pause, OBSERVE_EVERY_SECONDS)

    def observe(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Look once at what became of changes of one step."""
        self.latest = read = self._run.cluster.reader(self._run.deadline, interruptible=False)
        try:
            return self._run.steps[changes[0].step].observe_each(read, changes)
        except RemoteError as error:
            return [Outcome(result=Result.CANNOT_TELL, evidence=error.message)] * len(changes)


def _may_change(outcome: Outcome, limit: float, grace: float) -> bool:
    """Tell whether looking again may show something else, with so many seconds left."""
    if outcome.result is Result.DONE:
        return False
    return bool(limit if outcome.result is Result.STILL_GOING else grace)


def _attempt(applied: Applied, outcome: Outcome, *, seconds: float) -> Attempt:
    fate, why = fate_of(applied.change, outcome, applied.failure)
    then = applied.failure.then if applied.failure is not None else ""
    return Attempt(change=applied.change, outcome=outcome, fate=fate, why=why, seconds=seconds, then=then)
