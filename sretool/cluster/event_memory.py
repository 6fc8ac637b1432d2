"""Stored events that a look has read, kept for the next one: read again is only what etcd has otherwise now."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from sretool.knowledge.stored_events import StoredPage

if TYPE_CHECKING:
    from sretool.cluster.etcd_keys import EtcdKeys

PAGE = 4000  # each page lets etcd count all that follow; an event has less than 1 KiB
MOST = 200_000  # remembered; one takes about 400 bytes here
TURN_SECONDS = 10.0  # for another look to read what this one wants as well

Range = tuple[bytes, bytes]


class _Part(NamedTuple):
    """A range of keys, and the page of all that it held; none before the first read."""

    start: bytes
    end: bytes
    page: StoredPage | None


class EventMemory:
    """The events of a few prefixes as they were read last. Safe to share between looks: one reads at a time.

    Nothing is believed: before a page is given again, etcd says that none of its keys has come, gone or been
    written since.
    """

    def __init__(self, *, most: int = MOST, page: int = PAGE) -> None:
        self._most: Final = most
        self._page: Final = page
        self._reading = threading.Lock()
        self._known: dict[tuple[Range, ...], list[_Part]] = {}

    def pages(self, keys: "EtcdKeys", root: bytes, ranges: Sequence[Range]) -> Iterator[StoredPage]:
        """Yield pages of the events in `ranges` of keys, all of them as they are at one revision.

        RemoteError when a page cannot be read, or holds what cannot be decoded: then nothing is remembered of it.
        """
        with self._turn() as is_ours:
            asked = tuple(ranges)
            parts = self._known.pop(asked, None) if is_ours else None
            now, count, revision = [], 0, 0
            for part in parts or [_Part(start, end, None) for start, end in asked]:
                for start, end, page in self._current(keys, root, part, revision):
                    revision = page.revision
                    yield page
                    count += len(page.events)
                    if is_ours and count <= self._most:
                        now.append(_Part(start, end, page))
            if is_ours and count <= self._most:
                self._keep(asked, now, count)

    def _keep(self, asked: tuple[Range, ...], parts: list[_Part], count: int) -> None:
        others = sum(len(part.page.events) for known in self._known.values() for part in known if part.page)
        if count + others > self._most:
            self._known.clear()
        self._known[asked] = parts

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Wait for whoever reads, who may ask for the same; after a while go on without the memory."""
        is_ours = self._reading.acquire(timeout=TURN_SECONDS)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._reading.release()

    def _current(
        self, keys: "EtcdKeys", root: bytes, part: _Part, revision: int
    ) -> Iterator[tuple[bytes, bytes, StoredPage]]:
        """Yield what a part holds now: as it is remembered where that is still so, else read, and split, anew."""
        start, end, page = part
        if page is not None:
            same = keys.stored_events_as_read(start, end, page, revision=revision)
            if same is not None:
                yield start, end, same
                return
        while start:
            page = keys.stored_events(start, end, root=root, limit=self._page, revision=revision)
            yield start, page.following or end, page
            start, revision = page.following, page.revision
