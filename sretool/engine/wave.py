"""One wave of independent changes, made side by side: what is sent when, and what follows when one goes wrong."""

from collections import deque
from collections.abc import Callable, Sequence

from sretool.engine.context import Run
from sretool.engine.crew import Broken, Crew
from sretool.engine.events import Event
from sretool.engine.fates import Attempt, Fate, unknown
from sretool.engine.maker import Applied, Maker
from sretool.engine.progress import Progress
from sretool.errors import InterruptedRunError
from sretool.model import Change

THREADS = 8  # more of ours would only wait in the API server, before the requests of others

News = Event | Applied | Attempt


class Wave:
    """Hands out changes whose intents are on disk, and writes down what became of them."""

    def __init__(self, run: Run, maker: Maker, progress: Progress, changes: Sequence[Change]) -> None:
        step = run.steps[changes[0].step]
        self._run = run
        self._maker = maker
        self._progress = progress
        self._lanes = Lanes(changes, step.lane)
        self._together = step.looks_together
        self._size = min(THREADS, len(changes))
        self._sent: dict[str, tuple[Change, float]] = {}  # and not recorded yet; by key, with the time
        self._applied: list[Applied] = []  # and not looked at yet
        self._doubtful: set[str] = set()  # `apply` failed, looking may still show that it is done
        self._bad: Attempt | None = None
        self._bug: BaseException | None = None

    def make(self) -> Attempt | None:
        """Make the changes; return the first that went wrong.

        After that, or after a Ctrl-C, nothing more is sent; what was sent is seen to its end. After a second
        Ctrl-C what was sent is recorded as unknown. InterruptedRunError when changes were kept back by one.
        """
        crew: Crew[Change, News] = Crew(self._make_one, size=self._size)
        try:
            while self._send(crew):
                if self._flying():
                    self._hear(crew.news())
                if not self._flying() or len(self._applied) >= self._together:
                    self._look()
        except InterruptedRunError as error:
            self._abandon(crew, error)
            raise
        finally:
            crew.dismiss()
        return self._ended()

    def _make_one(self, change: Change, tell: Callable[[News], None]) -> None:
        applied = self._maker.apply(change)
        tell(applied)
        if self._together == 1:
            tell(self._maker.look([applied], tell)[0])

    def _flying(self) -> int:
        return len(self._sent) - len(self._applied)

    def _send(self, crew: Crew[Change, News]) -> bool:
        """Send what may be sent now; tell whether anything is under way."""
        while self._flying() < self._size and not self._must_stop():
            change = self._lanes.take()
            if change is None:
                break
            self._sent[change.key] = (change, self._run.clock.monotonic())
            self._progress.begin(change)
            crew.give(change)
        return bool(self._sent)

    def _must_stop(self) -> bool:
        return bool(self._doubtful or self._bad or self._bug or self._run.interrupts.requested)

    def _hear(self, news: Sequence[News | Broken[Change]]) -> None:
        ended = []
        for one in news:
            if isinstance(one, Attempt):
                ended.append(one)
            elif isinstance(one, Applied):
                if one.failure is not None:
                    self._doubtful.add(one.change.key)
                if self._together > 1:
                    self._applied.append(one)
            elif isinstance(one, Broken):  # without an outcome it stays an open intent
                self._bug = self._bug or one.error
                del self._sent[one.job.key]
            else:
                self._run.emit(one)
        self._record(ended)

    def _look(self) -> None:
        if self._applied:
            ended = self._maker.look(self._applied, self._run.emit)
            self._applied = []
            self._record(ended)

    def _record(self, ended: Sequence[Attempt]) -> None:
        for one in ended:
            del self._sent[one.change.key]
            self._doubtful.discard(one.change.key)
            self._lanes.free(one.change)
            if one.fate is not Fate.DONE and self._bad is None:
                self._bad = one
        self._progress.record(ended)

    def _abandon(self, crew: Crew[Change, News], error: InterruptedRunError) -> None:
        now = self._run.clock.monotonic()
        ended = {one.change.key: one for one in crew.news_at_hand() if isinstance(one, Attempt)}
        self._progress.record(
            [
                ended.get(key) or unknown(change, error.message, seconds=now - since)
                for key, (change, since) in self._sent.items()
            ]
        )
        self._progress.keep_back(self._lanes.left(), error.message)

    def _ended(self) -> Attempt | None:
        left = self._lanes.left()
        if self._bug is not None:
            self._progress.keep_back(left, "sretool failed before")
            raise self._bug
        if self._bad is not None:
            change = self._bad.change
            self._progress.keep_back(left, f"{change.verb} {change.label} went wrong before")
        elif left:
            self._progress.keep_back(left, "the run was interrupted")
            self._run.interrupts.check("inside a wave of changes")
        return self._bad


class Lanes:
    """The changes that are still to be sent. Those of one lane are made one after the other, in their order."""

    def __init__(self, changes: Sequence[Change], lane_of: Callable[[Change], str]) -> None:
        self._lane_of = lane_of
        self._busy: set[str] = set()
        self._waiting: dict[str, deque[Change]] = {}
        for change in changes:
            self._waiting.setdefault(lane_of(change), deque()).append(change)

    def take(self) -> Change | None:
        """Return the next change whose lane is free, and occupy that; None when there is none."""
        lane = next((lane for lane in self._waiting if lane not in self._busy), None)
        if lane is None:
            return None
        self._busy.add(lane)
        change = self._waiting[lane].popleft()
        if not self._waiting[lane]:
            del self._waiting[lane]
        return change

    def free(self, change: Change) -> None:
        """Let the next change of this one's lane be taken."""
        self._busy.discard(self._lane_of(change))

    def left(self) -> list[Change]:
        """Return what was not taken."""
        return [change for changes in self._waiting.values() for change in changes]
