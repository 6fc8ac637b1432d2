"""Shows one run while it happens, and its ending, in the way that was asked for."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from sretool.cli import streams
from sretool.clock import Clock
from sretool.engine.ending import Ending
from sretool.engine.events import Event, PlanReady
from sretool.engine.journal import Record
from sretool.engine.runs import runs_folder
from sretool.logs import RunLog
from sretool.report.documents import event_fields, render_ended, render_event, render_json
from sretool.report.fold import RunReport, fold_run
from sretool.report.format import wrapped
from sretool.report.incident import IncidentReport
from sretool.report.live import LiveLines
from sretool.report.plan_text import render_ending, render_findings, render_plan
from sretool.report.terminal import StateLine

_FOUND = {"look": "FOUND", "verify": "FOUND AFTERWARDS"}  # nothing is planned of it
_TITLES = {"plan": "PLAN", "resume": "LEFT TO DO", "undo": "UNDO"}


class RunView:
    """The eyes of the person: `emit` is the sink of a run's events.

    Text: progress on standard error, findings and plan on standard output as soon as they are there. JSON:
    one document at the end. jsonl: every event as it comes.
    """

    def __init__(self, *, output: str, verbose: bool, clock: Clock) -> None:
        self._output = output
        self._verbose = verbose
        self._began = clock.monotonic()
        self._clock = clock
        self._columns = streams.columns()
        self._lines = LiveLines(self._elapsed, columns=self._columns, verbose=verbose)
        self._state = StateLine(streams.state_stream(), self._elapsed) if streams.shows_state() else None
        self._log: RunLog | None = None
        self._run = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        if self._log is not None:
            self._log.__exit__(kind, error, trace)

    def begin(self, what: str, *, run_id: str) -> None:
        """Say what begins, on standard error, and keep a log in the run's folder."""
        streams.tell(wrapped(what, columns=self._columns))
        self._run = run_id
        folder = runs_folder() / run_id
        if folder.is_dir():
            self._log = RunLog(folder / "log.jsonl", run=run_id)

    def emit(self, event: Event) -> None:
        """Show one event."""
        if self._log is not None:
            fields = event_fields(event, elapsed=self._elapsed())
            self._log.write(fields.pop("event"), fields)
        state = self._lines.state_of(event)
        lines = self._lines.lines_of(event)
        if lines or not state:
            self._clear()
        if self._output == "jsonl":
            streams.say([render_event(event, elapsed=self._elapsed())])
        streams.tell(lines)
        if isinstance(event, PlanReady):
            self._plan_ready(event)
        if self._state is not None:
            self._state.show(state)

    def end(
        self,
        ending: Ending,
        records: Callable[[], Sequence[Record]],
        fold: Callable[[Sequence[Record]], RunReport | IncidentReport] = fold_run,
    ) -> int:
        """Show the ending and return its exit code. `fold` makes the one JSON document of the records."""
        self._clear()
        if self._output == "json":
            streams.say([render_json(msgspec.structs.replace(fold(records()), ending=ending))])
        elif self._output == "jsonl":
            streams.say([render_ended(ending, run=self._run, elapsed=self._elapsed())])
        else:
            streams.say(["", *render_ending(ending, columns=self._columns)])
        return ending.exit_code

    def _plan_ready(self, event: PlanReady) -> None:
        if self._output != "text":
            return
        if event.phase in _FOUND:
            title = _FOUND[event.phase]
            lines = render_findings(
                event.plan.findings, columns=self._columns, title=title, verbose=self._verbose
            )
            streams.say(["", *lines])
            return
        lines = render_plan(
            event.plan, columns=self._columns, verbose=self._verbose, title=_TITLES[event.phase]
        )
        streams.say(["", *lines])

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _clear(self) -> None:
        if self._state is not None:
            self._state.clear()
