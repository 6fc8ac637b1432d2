"""Reads events in pages, with flat memory; exports them; sees what is left of a batch."""

import datetime
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.errors import StateError
from sretool.folders import state_folder, sync_folder
from sretool.knowledge.events import (
    BATCH,
    WATCH_SECONDS,
    Batch,
    Doomed,
    Group,
    Selected,
    overdue_seconds,
    selector_of,
)
from sretool.knowledge.kubernetes_paths import collection_path

PAGE = 2000  # events are small; with 500 the round trips cost as much as the reading
MOST_GROUPS = 2000  # a source that names every group differently does not fill our memory
MOST_OBJECTS = 200  # of a group, by which it is told what most are about
_GENERATED = re.compile(r"(-[a-z0-9]{6,10})?-[a-z0-9]{5}$|[-.]?[0-9a-f]{4,}$|-\d+$")


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""


class _Involved(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Source(msgspec.Struct, frozen=True):
    component: str = ""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    last_observed_time: str | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Of an event what is looked at."""

    metadata: _Meta
    reason: str | None = ""
    involved_object: _Involved = _Involved()
    source: _Source | None = None
    reporting_component: str | None = ""
    last_timestamp: str | None = None
    series: _Series | None = None

    @property
    def last_seen(self) -> str:
        """When it was written last, to the second, so that texts compare as times do."""
        times = (
            self.metadata.creation_timestamp,
            self.last_timestamp or "",
            (self.series and self.series.last_observed_time) or "",
        )
        return max(times)[:19]


class _Tally:
    """A group while it is counted."""

    def __init__(self) -> None:
        self.count = self.last_minute = self.just_now = 0
        self.objects: Counter[str] = Counter()

    def add(self, event: Event, *, minute_ago: str, just_before: str) -> None:
        self.count += 1
        created = event.metadata.creation_timestamp[:19]
        self.last_minute += created >= minute_ago
        self.just_now += created >= just_before
        name = _GENERATED.sub("-*", event.involved_object.name)
        if name in self.objects or len(self.objects) < MOST_OBJECTS:
            self.objects[name] += 1


class Survey:
    """One pass over the events: counts by group, and the batches of what is selected."""

    def __init__(
        self,
        *,
        now: datetime.datetime,
        namespaces: Sequence[str],
        reasons: Sequence[str],
        older_than: float,
        most: int,
        is_named: bool,
    ) -> None:
        self.total = 0
        self._reasons, self._most, self._is_named = frozenset(reasons), most, is_named
        self._namespaces = tuple(namespaces)
        self._minute_ago, self._just_before = _text(now, 60), _text(now, WATCH_SECONDS)
        self._floor = _text(now, older_than) if older_than else ""
        self._overdue = _text(now, overdue_seconds(older_than)) if older_than else ""
        self._tallies: dict[tuple[str, str, str, str], _Tally] = {}
        self._chosen: dict[tuple[str, str], _Chosen] = {}
        self._taken = 0

    def read(self, api: KubernetesReader) -> None:
        """Page through the events of the namespaces, of all when none is named; RemoteError when it fails."""
        for namespace in self._namespaces or ("",):
            path = collection_path("v1", "events", namespace=namespace)
            for page in api.typed_pages(path, Event, limit=PAGE):
                for event in page:
                    self._add(event)

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
                export=str(folder / f"{namespace}-{reason}-{stamp}.jsonl"),
            )
            for (namespace, reason), chosen in self._chosen.items()
        )
        return tuple(sorted(found, key=lambda one: (-one.objects, one.namespace, one.reason)))

    def _add(self, event: Event) -> None:
        self.total += 1
        space, reason = event.metadata.namespace, event.reason or "(none)"
        reporter = event.reporting_component or (event.source and event.source.component) or "(unnamed)"
        key = (space, reason, reporter, event.involved_object.kind)
        if key not in self._tallies and len(self._tallies) >= MOST_GROUPS:
            key = ("(others)", "(others)", "(others)", "")
        tally = self._tallies.setdefault(key, _Tally())
        tally.add(event, minute_ago=self._minute_ago, just_before=self._just_before)
        if self._is_selected(event) and self._taken < self._most:
            self._taken += 1
            chosen = self._chosen.setdefault((space, reason), _Chosen(each=bool(self._floor)))
            chosen.add(event.metadata)
            chosen.overdue += not self._overdue or event.last_seen < self._overdue

    def _is_selected(self, event: Event) -> bool:
        if not self._is_named or (self._reasons and event.reason not in self._reasons):
            return False
        return not self._floor or event.last_seen < self._floor


class _Chosen:
    """The batches of one namespace and reason, in the order of the names, which is that of the list."""

    def __init__(self, *, each: bool) -> None:
        self.overdue = 0
        self._each = each
        self._whole: list[Batch] = []
        self._doomed: list[Doomed] = []
        self._count, self._last = 0, ""

    def add(self, meta: _Meta) -> None:
        if self._count == BATCH:
            self._close()
        self._count, self._last = self._count + 1, meta.name
        if self._each:
            self._doomed.append(Doomed(name=meta.name, uid=meta.uid, resource_version=meta.resource_version))

    def batches(self) -> Iterator[Batch]:
        self._close()
        yield from self._whole

    def _close(self) -> None:
        if self._count:
            self._whole.append(Batch(last=self._last, objects=self._count, each=tuple(self._doomed)))
        self._doomed, self._count = [], 0


def left_of(api: KubernetesReader, selection: Mapping[str, Any]) -> int:
    """Return how many events of a batch are there as they were read: by looking, up to its last name."""
    wanted = {(uid, version) for _, uid, version in selection["each"]}
    left = 0
    path = collection_path("v1", "events", namespace=selection["namespace"])
    for page in api.typed_pages(path, Event, field_selector=selector_of(selection["reason"])):
        for event in page:
            if event.metadata.name > selection["last"]:
                return left
            is_one = (event.metadata.uid, event.metadata.resource_version) in wanted
            left += is_one or not wanted
    return left


def exports_folder(cluster: str) -> Path:
    """Return where deleted events of `cluster` are kept: `$XDG_STATE_HOME/sretool/events/CLUSTER`."""
    return state_folder() / "events" / cluster


def export_events(write: KubernetesWriter, selection: Mapping[str, Any]) -> None:
    """Write the selected events as JSON lines (0600), under the final name only when all are written."""
    path = Path(selection["path"])
    part = path.with_suffix(".part")
    pages = write.raw_pages(
        collection_path("v1", "events", namespace=selection["namespace"]),
        field_selector=selector_of(selection["reason"]),
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            for page in pages:
                file.writelines(bytes(event) + b"\n" for event in page)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(f"cannot export events to {path}: {error.strerror}") from error


def count_lines(path: Path) -> int | None:
    """Return how many events an export holds, None when it is not there."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return None


def _text(now: datetime.datetime, before_seconds: float) -> str:
    return (now - datetime.timedelta(seconds=before_seconds)).strftime("%Y-%m-%dT%H:%M:%S")
