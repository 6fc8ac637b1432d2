"""Events as etcd holds them: which part of each is looked at, and under which keys they stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sretool.model import Known, Unknown

EVENTS = b"events/"
NO_REASON = "(none)"
_PREFIX, _OVERRIDES = "--etcd-prefix=", "--etcd-servers-overrides="
_RESOURCES = frozenset({"/events", "events.k8s.io/events"})


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event; `created` and `last_seen` are seconds since 1970."""

    key: bytes
    value: bytes
    mod_revision: int
    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    reporter: str
    kind: str
    about: str
    created: int
    last_seen: int

    @property
    def version(self) -> str:
        """Its resourceVersion: the revision of its last write."""
        return str(self.mod_revision)

    def is_meant(self, selection: Mapping[str, Any]) -> bool:
        """Tell whether the selection of a change means it: as it was at the look, of that reason and age."""
        return (
            self.mod_revision <= selection["revision"]
            and self.reason == selection["reason"]
            and (not selection["before"] or self.last_seen < selection["before"])
        )


class StoredPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `following` is the key at which the next one begins, empty after the last."""

    events: list[StoredEvent]
    following: bytes
    revision: int


class EventPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The prefix of all events' keys, and how that is known. `has_any`: events were seen below it.

    Where none are seen they may be in another etcd all the same, unless the API server says so.
    """

    prefix: str
    known_from: str
    has_any: bool = True


def place_of(
    roots: Iterable[bytes],
    flags: Sequence[Sequence[str]],
    *,
    clients: Iterable[str],
    remembered: Sequence[str] = (),
    has_any: bool = True,
) -> Known[EventPlace]:
    """Return where the events are, from the roots of Kubernetes and the flags of the API servers there.

    Unknown whenever it is not certain: no such root, several of them, flags that differ from what is seen, or an
    etcd of their own that is not this one. `clients` are the URLs of this etcd's members, `remembered` the flags
    that the cluster file has from a time when the API servers could be asked.
    """
    found = sorted(roots)
    if not found:
        return Unknown(
            "no events are seen in this etcd, nor a cluster: it may have a prefix of several parts"
        )
    if len(found) > 1:
        names = ", ".join(root.decode(errors="backslashreplace") for root in found)
        return Unknown(f"clusters are seen under several prefixes of this etcd: {names}")
    root = found[0].decode(errors="backslashreplace")
    ours = {urlsplit(url).netloc for url in clients}
    for words, whose in (
        *((words, "an API server has") for words in flags),
        (remembered, "the cluster file has"),
    ):
        problem = _problem(words, root, ours, whose)
        if problem:
            return Unknown(problem)
    source = "the cluster file" if remembered else "the keys seen in etcd"
    if flags:
        source = "the flags of the API servers' static pods"
    return EventPlace(prefix=root + EVENTS.decode(), known_from=source, has_any=has_any)


def _problem(words: Sequence[str], root: str, ours: set[str], whose: str) -> str:
    for word in words:
        if word.startswith(_PREFIX) and word.removeprefix(_PREFIX).strip("/") != root.strip("/"):
            return f"{whose} {word}, but the events seen in this etcd are below {root}"
        if not word.startswith(_OVERRIDES):
            continue
        for override in word.removeprefix(_OVERRIDES).split(","):
            resource, _, servers = override.partition("#")
            if resource in _RESOURCES and not ours & {urlsplit(url).netloc for url in servers.split(";")}:
                return f"events are kept in another etcd: {whose} {_OVERRIDES}{override}"
    return ""
