"""Deletes one batch of events, through the API server or in etcd itself, as fast as others' requests allow."""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sretool.clients.kubernetes import ListedPage
from sretool.clients.kubernetes.errors import NoConnectionError
from sretool.cluster.etcd_writer import EtcdWriter
from sretool.cluster.event_exports import append_stored_events, export_events
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.cluster.pacing import Pace
from sretool.errors import (
    CompactedError,
    ConflictError,
    NoAnswerError,
    NotFoundError,
    RemoteError,
    UnreachableError,
)
from sretool.knowledge.event_door import DELETION_SLOW_SECONDS
from sretool.knowledge.event_groups import selector_of
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.knowledge.stored_events import StoredPage
from sretool.knowledge.words import show_seconds

_LARGEST_PAGE, _LEAST_PAGE = 125, 25
_LISTS = 3  # a list whose revision is compacted before its pages are deleted is made anew
_LARGEST_TRANSACTION, _LEAST_TRANSACTION = 250, 25
_REST = 0.7  # times what a transaction took; at 1.0 p90 of others' reads is half of that without a rest
_RUNS = 100  # etcd takes 128 operations in one transaction
_PAGE = 2000
_LEAVING_SECONDS, _ASK_AGAIN_SECONDS = 5.0, 0.2


class Tally:
    """Counts the deletions of one change that were answered, on whatever thread."""

    def __init__(self) -> None:
        self.objects = 0
        self._lock = threading.Lock()

    def add(self, objects: int) -> None:
        with self._lock:
            self.objects += objects


def pace_through_api() -> Pace:
    """Return the pace of all deletions through the API server of one run: more at once make others wait longer,
    and hardly delete faster, for the server's and etcd's cores are busy with these."""
    return Pace(largest=_LARGEST_PAGE, least=_LEAST_PAGE, slots=3, begins_small=True)


def pace_in_etcd() -> Pace:
    """Return the pace of all deletions in etcd of one run: one at once, for etcd applies one after the other, and
    every read through consensus waits for what stands before it; then a rest, for all members work on it."""
    return Pace(largest=_LARGEST_TRANSACTION, least=_LEAST_TRANSACTION, slots=1, rest=_REST)


def export_through_api(write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace) -> None:
    """Export what a change selects as fast as others' requests allow: a list costs them as much as a deletion."""
    with pace.beside(write.read_one_object), pace.turn():
        export_events(write, selection)


def delete_through_api(
    write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace, tally: Tally, *, objects: int
) -> str:
    """Delete what a change selects: each event only as it was read, or limited pages of whatever has the reason,
    and never more than its limit.

    Return why some are left to the other way, where the change has one: a deletion takes too long here, or nobody
    listens any more. Empty when none are. `objects` is how many there were at the look. Harmless where they are
    gone. RemoteError, NoAnswerError when some may be gone.
    """
    if _is_too_slow(selection, pace):
        return _how_slow(pace)
    if pace.last_failed and (why := _why_away(write, selection)):
        return why
    try:
        with pace.beside(write.read_one_object):
            if selection["each"]:
                whole = _delete_each(write, selection, pace, tally)
            else:
                whole = _delete_pages(write, selection, pace, tally, objects=objects)
    except (NoAnswerError, UnreachableError):
        # What became of the last page is not asked again: in etcd each event goes only as it was read.
        if why := _why_away(write, selection):
            return why
        raise
    return "" if whole else _how_slow(pace)


def _how_slow(pace: Pace) -> str:
    took, limit = show_seconds(pace.seconds_each()), show_seconds(DELETION_SLOW_SECONDS)
    return f"a deletion through the API server took {took} (limit {limit})"


def _why_away(write: KubernetesWriter, selection: Mapping[str, Any]) -> str:
    """Return that nobody listens at the API server, if that is so and the change has another way.

    One that is being stopped still listens for a while, and answers nobody. What keeps this machine alone from
    asking, such as an exec plugin or a certificate, is no reason to go past it.
    """
    ends = time.monotonic() + _LEAVING_SECONDS
    while selection.get("otherwise") and time.monotonic() < ends:
        try:
            write.read_one_object()
        except NoConnectionError as error:
            return f"the API server went away ({error.message})"
        except UnreachableError:
            break
        except RemoteError:
            threading.Event().wait(_ASK_AGAIN_SECONDS)
        else:
            break
    return ""


def _is_too_slow(selection: Mapping[str, Any], pace: Pace) -> bool:
    return bool(selection.get("otherwise")) and pace.seconds_each() > DELETION_SLOW_SECONDS


def _delete_each(write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace, tally: Tally) -> bool:
    each, size = [tuple(one) for one in selection["each"]], pace.size
    parts = [each[start : start + size] for start in range(0, len(each), size)]

    def delete(part: Sequence[tuple[str, str, str]]) -> bool:
        with pace.turn():
            if _is_too_slow(selection, pace):
                return False
            with pace.timing(len(part)):
                for one in part:
                    tally.add(_delete_one(write, selection["namespace"], *one))
        return True

    return all(write.side_by_side(parts, delete))


def _delete_one(write: KubernetesWriter, namespace: str, name: str, uid: str, version: str) -> int:
    """Return how many were deleted."""
    try:
        write.delete(
            object_path("v1", "events", name, namespace=namespace), uid=uid, resource_version=version
        )
    except (NotFoundError, ConflictError):
        return 0  # gone already, or written again: then it is younger than the age asked for
    return 1


def _delete_pages(
    write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace, tally: Tally, *, objects: int
) -> bool:
    """Delete up to the limit: listed once, then page beside page, which the server takes one event at a time."""
    path = collection_path("v1", "events", namespace=selection["namespace"])
    selector, limit = selector_of(selection["reason"]), selection["limit"]
    if objects <= pace.size:
        with pace.turn(), pace.timing(objects):
            tally.add(write.delete_collection(path, limit=limit, field_selector=selector))
        return True

    def delete(page: ListedPage) -> bool:
        """Tell whether a page is dealt with: not when it must be listed anew, or is left."""
        with pace.turn():
            if _is_too_slow(selection, pace):
                return False
            try:
                with pace.timing(page.objects):
                    tally.add(
                        write.delete_collection(
                            path, limit=page.limit, field_selector=selector, place=page.place
                        )
                    )
            except CompactedError:
                return False
        return True

    for _ in range(_LISTS):
        most = limit - tally.objects
        pages = list(write.listed_pages(path, limit=pace.size, most=most, field_selector=selector))
        if all(write.side_by_side(pages, delete)):
            break
        if _is_too_slow(selection, pace):
            return False
    return True


def delete_in_etcd(
    write: EtcdWriter, selection: Mapping[str, Any], pace: Pace, tally: Tally, *, limit: int
) -> None:
    """Export and delete the keys that a change selects, each only if it is still as it was read, until `limit` were
    deleted by the change.

    Nothing outside the prefix of the events is touched: every key was read below it and decoded as an event.
    """
    start = f"{selection['prefix']}{selection['namespace']}/{selection['first']}".encode()
    end = f"{selection['prefix']}{selection['namespace']}/{selection['last']}".encode() + b"\0"
    through = _answering(write, selection["through"])
    with pace.beside(lambda: write.read_one_key(through=through)):
        while start:
            with pace.reading():
                page = write.stored_events(
                    start, end, root=selection["prefix"].encode(), limit=_PAGE, through=through
                )
            meant = [index for index, event in enumerate(page.events) if event.is_meant(selection)]
            meant = meant[: max(0, limit - tally.objects)]
            append_stored_events((page.events[index] for index in meant), Path(selection["path"]))
            start = page.following
            _Deletion(write, page, pace, through, tally).delete_all(meant)


class _Deletion:
    """Deletes events of one page, which are told by their index in it: neighbours go as one range of keys.

    A range holds what the page holds and nothing newer, for the page is of one revision, and a transaction is
    refused when any key of its ranges was written after that.
    """

    def __init__(self, write: EtcdWriter, page: StoredPage, pace: Pace, through: str, tally: Tally) -> None:
        self._write, self._page, self._pace, self._through = write, page, pace, through
        self._tally = tally

    def delete_all(self, indexes: Sequence[int]) -> None:
        """Delete these; what was written again stays."""
        while indexes:
            with self._pace.turn() as size:
                part, indexes = first_runs(indexes, size=size)
                self._delete(part)

    def _delete(self, part: Sequence[int]) -> None:
        deleted = self._deleted(part)
        self._tally.add(deleted or 0)
        if deleted is not None or len(part) == 1:
            return
        middle = len(part) // 2  # one of them was written again: found by halves, it stays
        self._delete(part[:middle])
        self._delete(part[middle:])

    def _deleted(self, part: Sequence[int]) -> int | None:
        events = self._page.events
        return self._write.delete_unchanged(
            [(events[run[0]].key, events[run[-1]].key) for run in runs_of(part)],
            revision=self._page.revision,
            through=self._through,
        )


def runs_of(indexes: Sequence[int]) -> list[Sequence[int]]:
    """Return the runs of indexes that follow one another."""
    cuts = [at for at in range(1, len(indexes)) if indexes[at] != indexes[at - 1] + 1]
    return [indexes[start:end] for start, end in zip([0, *cuts], [*cuts, len(indexes)], strict=True)]


def first_runs(indexes: Sequence[int], *, size: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the first of `indexes`, at most `size` in few enough runs for one transaction, and the rest."""
    taken = sum(len(run) for run in runs_of(indexes[:size])[:_RUNS])
    return indexes[:taken], indexes[taken:]


def _answering(write: EtcdWriter, names: Sequence[str]) -> str:
    """Return the first member that answers; UnreachableError, nothing sent, when none does."""
    for name in names[:-1]:
        with contextlib.suppress(UnreachableError):
            write.read_one_key(through=name)
            return name
    write.read_one_key(through=names[-1])
    return names[-1]
