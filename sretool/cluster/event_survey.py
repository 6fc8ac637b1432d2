"""One pass over the events, wherever they are read: who writes them, and the batches of what is selected."""

import datetime
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from sretool.cluster.events import Event
from sretool.knowledge.event_groups import (
    BATCH,
    WATCH_SECONDS,
    Batch,
    Doomed,
    Group,
    Selected,
    overdue_seconds,
)
from sretool.knowledge.stored_events import StoredEvent

T = TypeVar("T", str, int)

MOST_GROUPS = 2000  # a source that names every group differently does not fill our memory
MOST_OBJECTS = 200  # of a group, by which it is told what most are about
_GENERATED = re.compile(r"(-[a-z0-9]{6,10})?-[a-z0-9]{5}$|[-.]?[0-9a-f]{4,}$|-\d+$")

AnyEvent = Event | StoredEvent


class Times(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Points in time that events are compared with, in the unit in which those events tell theirs.

    `floor`: only what was written last before it is meant, and `overdue` makes it due; None: whatever its age.
    """

    minute_ago: T
    just_before: T
    floor: T | None
    overdue: T | None

    @classmethod
    def of(
        cls, now: datetime.datetime, *, older_than: float, show: Callable[[datetime.datetime], T]
    ) -> "Times[T]":
        """Return them as `show` gives them: `text_of` for the API's events, `seconds_of` for stored ones."""

        def before(seconds: float) -> T:
            return show(now - datetime.timedelta(seconds=seconds))

        return cls(
            minute_ago=before(60),
            just_before=before(WATCH_SECONDS),
            floor=before(older_than) if older_than else None,
            overdue=before(overdue_seconds(older_than)) if older_than else None,
        )


class _Tally:
    """A group while it is counted."""

    def __init__(self) -> None:
        self.count = self.last_minute = self.just_now = 0
        self.objects: Counter[str] = Counter()

    def add(self, event: AnyEvent, times: Times[Any]) -> None:
        self.count += 1
        last_seen = event.last_seen
        self.last_minute += last_seen >= times.minute_ago
        self.just_now += last_seen >= times.just_before
        name = _general_name(event.about)
        if name in self.objects or len(self.objects) < MOST_OBJECTS:
            self.objects[name] += 1


class Survey:
    """One pass over the events: counts by group, and the batches of what is selected.

    With `each`, batches name every single event; otherwise they are told by their first and last. One holds
    at most `batch`.
    """

    def __init__(
        self,
        times: Times[Any],
        *,
        reasons: Sequence[str],
        most: int,
        is_named: bool,
        each: bool,
        batch: int = BATCH,
    ) -> None:
        self.total = self.revision = 0
        self._newest: Any = None
        self._times, self._each, self._batch = times, each, batch
        self._reasons, self._most, self._is_named = frozenset(reasons), most, is_named
        self._tallies: dict[tuple[str, str, str, str], _Tally] = {}
        self._chosen: dict[tuple[str, str], _Chosen] = {}
        self._taken = 0

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Count one page."""
        for event in events:
            self._add(event)

    @property
    def made_until(self) -> str:
        """When the newest event was made, as the API writes it; empty without any."""
        newest = self._newest
        if isinstance(newest, int):
            return text_of(datetime.datetime.fromtimestamp(newest, datetime.UTC))
        return newest or ""

    def groups(self) -> tuple[Group, ...]:
        """Return the groups, most events first."""
        found = (
            Group(
                namespace=namespace,
                reason=reason,
                reporter=reporter,
                kind=kind,
                about=tally.objects.most_common(1)[0][0],
                count=tally.count,
                per_minute=tally.last_minute,
                just_now=tally.just_now,
            )
            for (namespace, reason, reporter, kind), tally in self._tallies.items()
        )
        return tuple(sorted(found, key=lambda one: (-one.count, one.namespace, one.reason)))

    def selected(self, folder: Path, *, stamp: str) -> tuple[Selected, ...]:
        """Return what is selected, most first; each with the file that it is exported to."""
        found = (
            Selected(
                namespace=namespace,
                reason=reason,
                batches=tuple(chosen.batches()),
                overdue=chosen.overdue,
                beyond=chosen.beyond,
                export=str(folder / f"{namespace}-{quote(reason, safe='')}-{stamp}.jsonl"),
            )
            for (namespace, reason), chosen in self._chosen.items()
        )
        return tuple(sorted(found, key=lambda one: (-one.objects, one.namespace, one.reason)))

    def _add(self, event: AnyEvent) -> None:
        self.total += 1
        key = (event.namespace, event.reason, event.reporter or "(unnamed)", event.kind)
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MOST_GROUPS:
                key = ("(others)", "(others)", "(others)", "")
            tally = self._tallies.setdefault(key, _Tally())
        tally.add(event, self._times)
        if self._is_named and self._is_selected(event):
            self._choose(event)

    def _choose(self, event: AnyEvent) -> None:
        self.revision = max(self.revision, int(event.version) if event.version.isdecimal() else 0)
        self._newest = event.created if self._newest is None else max(self._newest, event.created)
        chosen = self._chosen.setdefault(
            (event.namespace, event.reason), _Chosen(each=self._each, batch=self._batch)
        )
        overdue = self._times.overdue
        chosen.overdue += overdue is None or event.last_seen < overdue
        if self._taken < self._most:
            self._taken += 1
            chosen.add(event)
        else:
            chosen.beyond += 1

    def _is_selected(self, event: AnyEvent) -> bool:
        if event.reason not in self._reasons:
            return False
        return self._times.floor is None or bool(event.last_seen < self._times.floor)


class _Chosen:
    """The batches of one namespace and reason, in the order of the names, which is that of the list."""

    def __init__(self, *, each: bool, batch: int) -> None:
        self.overdue = self.beyond = 0
        self._each, self._batch = each, batch
        self._whole: list[Batch] = []
        self._doomed: list[Doomed] = []
        self._count, self._first, self._last = 0, "", ""

    def add(self, event: AnyEvent) -> None:
        if self._count == self._batch:
            self._close()
        if not self._count:
            self._first = event.name
        self._count, self._last = self._count + 1, event.name
        if self._each:
            self._doomed.append(Doomed(name=event.name, uid=event.uid, resource_version=event.version))

    def batches(self) -> Iterator[Batch]:
        self._close()
        yield from self._whole

    def _close(self) -> None:
        if self._count:
            batch = Batch(first=self._first, last=self._last, objects=self._count, each=tuple(self._doomed))
            self._whole.append(batch)
        self._doomed, self._count = [], 0


def text_of(at: datetime.datetime) -> str:
    """Return a time as the API writes it, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def seconds_of(at: datetime.datetime) -> int:
    """Return a time as stored events have it: seconds since 1970."""
    return int(at.timestamp())


@functools.lru_cache(maxsize=8192)
def _general_name(name: str) -> str:
    return _GENERATED.sub("-*", name)
