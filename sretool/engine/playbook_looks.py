"""Looks of a stage at once: threads only look, one thread journals and tells of them in the runbooks' order."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sretool.engine.crew import Broken, Crew
from sretool.engine.events import Event
from sretool.engine.journal import Record
from sretool.engine.playbook_run import PlaybookRun
from sretool.errors import InterruptedRunError, SretoolError
from sretool.model import Finding
from sretool.runbook.playbook import Part, Stage

Entries = Sequence[tuple[str, Mapping[str, Any]]]
Parts = Sequence[tuple[Part, dict[str, str]]]


@dataclasses.dataclass(frozen=True)
class Written:
    """Records for the journal, of one runbook's look."""

    entries: Entries
    scope: str


@dataclasses.dataclass(frozen=True)
class Looked:
    """The end of one runbook's look: what each step read, or what ended it and what was seen until then."""

    facts: Mapping[str, msgspec.Struct]
    failure: SretoolError | None = None
    seen: tuple[Finding, ...] = ()


News = Event | Written | Looked
_Told = tuple[int, News]  # with the place of the runbook in the stage


class Relay:
    """The journal as one look sees it: the records of before it, and a place for more that another thread fills."""

    def __init__(self, records: Sequence[Record], tell: Callable[[News], None]) -> None:
        self._tell = tell
        self.records = records

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        self.write_all([(kind, body)])

    def write_all(self, entries: Entries, *, scope: str = "") -> None:
        self._tell(Written(entries=entries, scope=scope))


def look_at_once(run: PlaybookRun, stage: Stage, parts: Parts, *, phase: str) -> Iterator[Looked]:
    """Yield how each look ended, in the order of `parts`, when what it wrote and told has been passed on.

    The looks share the connections to the cluster and nothing else: each has a reader of its own. The first that
    nobody has passed on yet is passed on as it goes, the others from where they are when its turn comes: journal
    and screen say the same as if one had looked after the other. InterruptedRunError ends it at once: a look has
    no effect that somebody would have to wait for.
    """
    before = tuple(run.journal.records)

    def look(place: int, tell: Callable[[_Told], None]) -> None:
        part, given = parts[place]
        _look(run, stage, part, given, before, phase=phase, tell=lambda news: tell((place, news)))

    crew: Crew[int, _Told] = Crew(look, size=len(parts))
    try:
        for place in range(len(parts)):
            crew.give(place)
        waiting: list[deque[News]] = [deque() for _ in parts]
        for own in waiting:
            yield _passed_on(run, own, lambda: _sort(crew.news(), waiting))
    finally:
        crew.dismiss()


def _look(
    run: PlaybookRun,
    stage: Stage,
    part: Part,
    given: Mapping[str, str],
    before: Sequence[Record],
    *,
    phase: str,
    tell: Callable[[News], None],
) -> None:
    """Look with one runbook, on a thread of its own: it writes nothing down."""
    aside = dataclasses.replace(run, journal=Relay(before, tell), emit=tell)
    operation = aside.part(stage, part, given).operation
    try:
        operation.look(phase=phase)
    except SretoolError as error:
        tell(Looked(facts=operation.facts, failure=error, seen=operation.seen))
    else:
        tell(Looked(facts=operation.facts))


def _passed_on(run: PlaybookRun, own: deque[News], hear: Callable[[], None]) -> Looked:
    """Pass on what one look tells until it ends; return how."""
    while True:
        while not own:
            hear()
        news = own.popleft()
        if isinstance(news, Looked):
            return news
        if isinstance(news, Written):
            run.journal.write_all(news.entries, scope=news.scope)
        else:
            run.emit(news)


def _sort(told: Sequence[_Told | Broken[int]], waiting: Sequence[deque[News]]) -> None:
    """Lay what was told aside for each look; raise what ends all of them."""
    for one in told:
        if isinstance(one, Broken):
            raise one.error
        place, news = one
        if isinstance(news, Looked) and isinstance(news.failure, InterruptedRunError):
            raise news.failure
        waiting[place].append(news)
