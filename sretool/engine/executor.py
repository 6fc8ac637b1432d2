"""Makes one wave of changes: guards, intents on disk, the changes, outcomes on disk."""

from collections.abc import Sequence

from sretool.cluster import ClusterReader
from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.fates import Attempt, Fate, unknown
from sretool.engine.guards import Guards
from sretool.engine.maker import OBSERVE_EVERY_SECONDS, Maker
from sretool.engine.progress import Progress
from sretool.engine.wave import Wave
from sretool.errors import ForbiddenError, InterruptedRunError, RefusedError
from sretool.model import Change

SETTLE_SECONDS = 180.0


class Executor:
    """Applies the changes of single waves. It decides nothing: not what to change, not whether to go on."""

    def __init__(self, run: Run, guards: Guards, *, total: int) -> None:
        self._run = run
        self._guards = guards
        self._maker = Maker(run)
        self._progress = Progress(run, total=total)
        self._seen: ClusterReader | None = None  # the look at the last change, if that was made alone

    def reader(self) -> ClusterReader:
        """Return a reader for the next look. What the look at the last change has read a moment ago is not read
        again."""
        read = self._run.cluster.reader(self._run.deadline)
        if self._seen is not None:
            read.etcd.take_over(self._seen.etcd)
        return read

    def had_to_wait(self, wave: Sequence[Change], read: ClusterReader) -> bool:
        """Return when every guard lets `wave` pass, and whether that took a wait.

        The first judgement is on what `read` has just read. RefusedError when a guard refuses, or still lets
        the wave wait when the settle time is over.
        """
        self._guards.hold_lock(wave)
        settle = self._run.deadline.within(SETTLE_SECONDS)
        began = self._run.clock.monotonic()
        has_waited = False
        for change in wave:
            while (answer := self._guards.judge(change, read)).verdict != "pass":
                waited = self._run.clock.monotonic() - began
                if answer.verdict == "refuse" or not settle.left():
                    kind = RefusedError if answer.may_be_made_by_hand else ForbiddenError
                    raise kind(
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

    def make(self, wave: Sequence[Change]) -> Attempt | None:
        """Make the changes of one wave, their intents written with one fsync; return the first that went wrong.

        Several are made side by side. After the first that goes wrong, or a Ctrl-C, no more are sent, and those
        are recorded as not sent.
        """
        self._seen = None
        self._run.journal.write_all([("intent", {"change": change}) for change in wave])
        if len(wave) > 1:
            return Wave(self._run, self._maker, self._progress, wave).make()
        (change,) = wave
        self._progress.begin(change)
        began = self._run.clock.monotonic()
        try:
            attempt = self._maker.make(change, self._run.emit)
        except InterruptedRunError as error:
            seconds = self._run.clock.monotonic() - began
            self._progress.record([unknown(change, error.message, seconds=seconds)])
            raise
        self._seen = self._maker.latest
        self._progress.record([attempt])
        return None if attempt.fate is Fate.DONE else attempt
