"""Events of a run as lines, while it runs: one line an event, with the seconds since it began."""

from collections.abc import Callable

from sretool.engine import events
from sretool.engine.events import Event
from sretool.knowledge.words import show_seconds
from sretool.model import Severity
from sretool.report.format import PAGE_COLUMNS, show_count, wrapped
from sretool.report.plan_text import severity_word

HEARTBEAT_SECONDS = 10.0
_NARROW_COLUMNS = 30  # with less beside the time and the word, the text goes below them


class LiveLines:
    """Turns events into lines and into the state of the moment, which only a terminal shows.

    With `verbose` each look is followed by the commands that read the same.

    What repeats (a guard that lets wait, a change that takes its time) is a line only every 10 s.
    """

    def __init__(
        self, elapsed: Callable[[], float], *, columns: int = PAGE_COLUMNS, verbose: bool = False
    ) -> None:
        self._elapsed = elapsed
        self._verbose = verbose
        self._columns = columns
        self._numbers: dict[str, str] = {}  # "2/5" by the change's key
        self._names: dict[str, str] = {}  # "defragment m1" by the change's key
        self._told: dict[str, float] = {}  # when something that repeats was last a line

    def state_of(self, event: Event) -> str:
        """Return what is going on now, empty when nothing lasts after `event`."""
        match event:
            case events.LookStarted():
                return f"{event.step}: looking"
            case events.ChangeStarted():
                return f"{event.number}/{event.total} {event.change.verb} {event.change.label}"
            case events.ChangeGoing():
                limit = show_seconds(event.limit_seconds)
                return f"{self._number(event.change)}: {event.evidence} (at most {limit})"
            case events.Waiting():
                return f"{self._number(event.change)} waits: {event.rule}: {event.reason}"
        return ""

    def lines_of(self, event: Event) -> list[str]:
        """Return the lines that `event` is worth."""
        match event:
            case events.LookEnded():
                return self._look_ended(event)
            case events.StepSkipped():
                return self._line(event.step, "skipped", event.reason)
            case events.ReadRetried():
                return self._line(event.what, "retry", event.cause)
            case events.Approved():
                return self._line("approved", "", f"{event.how}; lock: {event.lock}")
            case events.ChangeDropped():
                step = event.change.partition("/")[0]
                what = self._names.get(event.change, event.change)
                return self._line(step, "dropped", f"{what}: {event.reason}")
            case events.PlanReady():
                self._names |= {one.key: f"{one.verb} {one.label}" for one in event.plan.changes}
            case events.Noted():
                return self._line("note", "", event.text)
        return self._stage_lines(event) or self._change_lines(event)

    def _stage_lines(self, event: Event) -> list[str]:
        match event:
            case events.StageBegan():
                about = f": {event.about}" if event.about else ""
                return ["", *self._line("stage", event.stage, f"{', '.join(event.runbooks)}{about}")]
            case events.StageEnded():
                code = "left out: " if event.exit_code is None else f"exit {event.exit_code}: "
                return self._line("stage", event.stage, f"{code}{event.sentence}")
        return []

    def _change_lines(self, event: Event) -> list[str]:
        match event:
            case events.ChangeStarted():
                self._numbers[event.change.key] = f"{event.number}/{event.total}"
                return self._line(self._number(event.change.key), "begins", _name(event))
            case events.ChangeGoing() if self._is_time_for(f"going {event.change}"):
                limit = show_seconds(event.limit_seconds)
                took = f"{show_seconds(event.seconds)} of at most {limit}: {event.evidence}"
                return self._line(self._number(event.change), "going", took)
            case events.Waiting() if self._is_time_for(f"waits {event.change} {event.rule}"):
                return self._line(self._number(event.change), "waits", f"{event.rule}: {event.reason}")
            case events.ChangeEnded():
                text = f"{_name(event)}: {event.outcome.evidence} ({show_seconds(event.seconds)})"
                return self._line(self._number(event.change.key), str(event.outcome.result), text)
        return []

    def _look_ended(self, event: events.LookEnded) -> list[str]:
        lines: list[str] = []
        for finding in event.findings:
            word = "ok" if finding.severity is Severity.OK and not finding.blind else severity_word(finding)
            lines += self._line(event.step, word, finding.sentence)
        if event.changes:
            when = " before a later step's, if there is one" if event.precaution else ""
            word = "ready" if event.precaution else "due"
            lines += self._line(event.step, word, f"{show_count(event.changes, 'change')}{when}")
        lines = lines or self._line(event.step, "ok", "nothing to report")
        # A command is copied: it is never wrapped.
        return lines + [f"    $ {command}" for command in event.commands if self._verbose]

    def _line(self, what: str, word: str, text: str) -> list[str]:
        first = f"{self._elapsed():>7.1f} s  {what:<11} {f'{word:<8} ' if word else ''}"
        if self._columns - len(first) < _NARROW_COLUMNS:
            return [first.rstrip(), *wrapped(text, first="    ", columns=self._columns)]
        return wrapped(text, first=first, columns=self._columns)

    def _number(self, key: str) -> str:
        return self._numbers.get(key, key.partition("/")[0])

    def _is_time_for(self, what: str) -> bool:
        now = self._elapsed()
        if what in self._told and now - self._told[what] < HEARTBEAT_SECONDS:
            return False
        self._told[what] = now
        return True


def _name(event: events.ChangeStarted | events.ChangeEnded) -> str:
    return f"{event.change.verb} {event.change.label}"
