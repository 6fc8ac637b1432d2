"""Events in etcd itself: where they are, read in pages from one member, for when the API server cannot be used."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sretool.clients.etcd import prefix_end
from sretool.cluster.event_memory import PAGE, EventMemory
from sretool.errors import RemoteError
from sretool.knowledge.stored_events import EVENTS, EventPlace, StoredPage, place_of
from sretool.model import Known, Unknown

if TYPE_CHECKING:
    from sretool.cluster.etcd_reader import EtcdReader

_MEMORY = "stored events"  # its name among what is kept between looks
_NAMESPACE = b"namespaces/kube-system"  # every cluster has it
_ROOTS = 32  # an etcd of Kubernetes has one or two; this one has other things in it


def find_place(etcd: "EtcdReader", *, cluster_uid: str, remembered: Sequence[str] = ()) -> Known[EventPlace]:
    """Return the prefix of the events' keys: from keys seen and the API servers' flags stored beside them, or
    `remembered` in the cluster file.

    `cluster_uid` is the UID of kube-system as the API server tells it, empty when it cannot: the one in etcd must
    be the same.
    """
    try:
        with_events = {root: bool(_first(etcd, root + EVENTS)) for root in _roots(etcd)}
        roots = [root for root, has in with_events.items() if has or _first(etcd, root + _NAMESPACE)]
        flags = [words for root in roots for words in etcd.keys.flags_of_api_servers(root)]
        uids = {etcd.keys.uid(root + _NAMESPACE) for root in roots}
    except RemoteError as error:
        return Unknown(error.message)
    if cluster_uid and roots and cluster_uid not in uids:
        return Unknown("the API server keeps its objects in another etcd: the UIDs of kube-system differ")
    has_any = any(with_events.values())
    clients = [member.client for member in etcd.members]
    return place_of(roots, flags, clients=clients, remembered=remembered, has_any=has_any)


def event_pages(etcd: "EtcdReader", place: EventPlace, namespaces: Sequence[str]) -> Iterator[StoredPage]:
    """Yield pages of the events of `namespaces`, of all when empty, all of them at one revision; what other looks
    of this run have read is read again only where etcd has it otherwise now.

    RemoteError when a page cannot be read, or holds what cannot be decoded.
    """
    starts = [f"{place.prefix}{one}/" for one in namespaces] or [place.prefix]
    ranges = [(start.encode(), prefix_end(start.encode())) for start in starts]
    memory: EventMemory = etcd.between_looks.setdefault(_MEMORY, EventMemory())
    yield from memory.pages(etcd.keys, place.prefix.encode(), ranges)


def left_in_etcd(etcd: "EtcdReader", selection: Mapping[str, Any]) -> int:
    """Return how many events that a change means are still there, by looking, through consensus."""
    start, left = f"{selection['prefix']}{selection['namespace']}/{selection['first']}".encode(), 0
    end = f"{selection['prefix']}{selection['namespace']}/{selection['last']}".encode() + b"\0"
    while start:
        page = etcd.keys.stored_events(
            start, end, root=selection["prefix"].encode(), limit=PAGE, linearizable=True
        )
        start = page.following
        left += sum(event.is_meant(selection) for event in page.events)
    return left


def _roots(etcd: "EtcdReader") -> Iterator[bytes]:
    """Yield the first part of every path that keys have, `/registry/`, without reading the keys between."""
    start = b"/"
    for _ in range(_ROOTS):
        key = _first(etcd, start, prefix_end(b"/"))
        if not key:
            return
        root = key[: key.find(b"/", 1) + 1]
        if root:
            yield root
        start = prefix_end(root) if root else key + b"\0"
    raise RemoteError("this etcd holds keys of very many kinds: it is not one of Kubernetes alone")


def _first(etcd: "EtcdReader", start: bytes, end: bytes = b"") -> bytes:
    return etcd.keys.first(start, end or prefix_end(start))
