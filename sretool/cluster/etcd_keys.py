"""The key space of etcd, read page by page from one member without consensus."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sretool.clients.etcd import prefix_end
from sretool.clock import Deadline
from sretool.model import KeyValue

if TYPE_CHECKING:
    from sretool.cluster.connections import EtcdConnections

PAGE_KEYS = (
    10_000  # each page lets the server count all keys that are left: small pages cost more than they save
)
PAGE_SECONDS = 10.0
VALUE_SECONDS = 2.0


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
        revision, more = 0, True
        while more:
            names, more, revision = reads.key_names(
                start, end, limit=page, revision=revision, timeout_seconds=self._deadline.cap(PAGE_SECONDS)
            )
            yield names, revision
            if not names:
                return
            start = names[-1] + b"\0"

    def value(self, key: bytes, *, linearizable: bool = False) -> KeyValue | None:
        """Return the key as that member has it, or (linearizable) as it is now; None when there is none."""
        page = self._connections.reads(self._choose()).range_page(
            key, limit=1, serializable=not linearizable, timeout_seconds=self._deadline.cap(VALUE_SECONDS)
        )
        return page.keys[0] if page.keys else None
