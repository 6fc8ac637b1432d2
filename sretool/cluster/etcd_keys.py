"""The key space of etcd, read page by page from one member without consensus."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from sretool.clients.etcd import prefix_end
from sretool.clock import Deadline
from sretool.knowledge.stored_events import StoredPage
from sretool.model import KeyValue

if TYPE_CHECKING:
    from sretool.cluster.connections import EtcdConnections

# Each page lets the server count all keys left in its range: small pages cost time, large ones memory here.
PAGE_KEYS = 5_000
PAGE_SECONDS = 10.0
VALUE_SECONDS = 2.0
_TO_THE_END = prefix_end(b"")


class EtcdKeys:
    """Keys and values of one look, all read from the member that `choose` names (a follower, if one answers).

    Every method raises RemoteError when that member fails on the way.
    """

    def __init__(
        self, connections: "EtcdConnections", *, choose: Callable[[], str], deadline: Deadline
    ) -> None:
        self._connections = connections
        self._choose = choose
        self._deadline = deadline

    def names(self, prefix: bytes = b"", *, page: int = PAGE_KEYS) -> Iterator[tuple[list[bytes], int]]:
        """Yield the names of the keys under `prefix`, sorted, in pages, with the revision of all pages.

        CompactedError when that revision is compacted meanwhile.
        """
        reads = self._connections.reads(self._choose())
        start, end = prefix or b"\0", prefix_end(prefix)
        upto, revision = end, 0
        while True:
            names, more, revision = reads.key_names(
                start, upto, limit=page, revision=revision, timeout_seconds=self._deadline.cap(PAGE_SECONDS)
            )
            yield names, revision
            if more and names:
                start, upto = names[-1] + b"\0", _end_of_its_kind(names, upto)
            elif upto != end:
                start, upto = upto, end
            else:
                return

    def first(self, start: bytes, end: bytes) -> bytes:
        """Return the first key from `start` up to `end`, empty when there is none."""
        names, _, _ = self._connections.reads(self._choose()).key_names(
            start, end, limit=1, timeout_seconds=self._deadline.cap(VALUE_SECONDS)
        )
        return names[0] if names else b""

    def stored_events(
        self,
        start: bytes,
        end: bytes,
        *,
        root: bytes,
        limit: int,
        revision: int = 0,
        linearizable: bool = False,
    ) -> StoredPage:
        """Return one page of events from the key `start` up to `end`, as they are below the prefix `root`, without
        their keys, values and messages.

        RejectedError where a value is not stored as Kubernetes stores it by default.
        """
        return self._connections.stored_events(self._choose()).page(
            start,
            end,
            root=root,
            limit=limit,
            revision=revision,
            linearizable=linearizable,
            whole=False,
            timeout_seconds=self._deadline.cap(PAGE_SECONDS),
        )

    def stored_events_as_read(
        self, start: bytes, end: bytes, page: StoredPage, *, revision: int = 0
    ) -> StoredPage | None:
        """Return `page`, which holds all events from the key `start` up to `end`, as one of now, or of `revision`,
        if none of them has come, gone or been written again since it was read; else None."""
        seen = self._connections.stored_events(self._choose()).as_read(
            start,
            end,
            count=len(page.events),
            since=page.revision,
            revision=revision,
            timeout_seconds=self._deadline.cap(PAGE_SECONDS),
        )
        return None if seen is None else msgspec.structs.replace(page, revision=seen)

    def flags_of_api_servers(self, root: bytes) -> tuple[tuple[str, ...], ...]:
        """Return the command line of every API server that runs as a static pod, as stored below `root`."""
        return self._connections.stored_events(self._choose()).flags_of_api_servers(
            root, timeout_seconds=self._deadline.cap(VALUE_SECONDS)
        )

    def uid(self, key: bytes) -> str:
        """Return the UID of the Kubernetes object stored as `key`, empty when there is none."""
        return self._connections.stored_events(self._choose()).uid(
            key, timeout_seconds=self._deadline.cap(VALUE_SECONDS)
        )

    def value(self, key: bytes, *, linearizable: bool = False) -> KeyValue | None:
        """Return the key as that member has it, or (linearizable) as it is now; None when there is none."""
        page = self._connections.reads(self._choose()).range_page(
            key, limit=1, serializable=not linearizable, timeout_seconds=self._deadline.cap(VALUE_SECONDS)
        )
        return page.keys[0] if page.keys else None


def _end_of_its_kind(names: Sequence[bytes], upto: bytes) -> bytes:
    """Return where the range of the next page ends: with the resource that the whole of a page belonged to, so that
    the server counts no more than that; else `upto`."""
    resource = b"/".join(names[-1].split(b"/", 3)[:3]) + b"/"
    end = prefix_end(resource)
    is_narrower = upto == _TO_THE_END or end < upto
    return end if names[0].startswith(resource) and is_narrower else upto
