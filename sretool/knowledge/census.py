"""Which keys etcd holds: counted by resource and namespace from sorted pages of key names, in bounded memory."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import msgspec

from sretool.model import Known, Unknown

KUBERNETES_ROOT = b"/registry/"
EVENTS = "events"
EVENT_FLOOD = 100_000
"""More events than this slow every list of them and fill the default quota of 2 GiB with little else."""

GROUPS_KEPT = 4096
"""So many (resource, namespace) pairs, and so many resources, are kept apart; the smallest beyond are folded."""
SAMPLES = 12
"""Keys whose values are read to estimate the bytes of one resource."""

NO_PREFIX = "(keys without a path)"
OTHERS = "(others)"
_SPLIT_RESOURCES = {b"services": frozenset({b"specs", b"endpoints"})}  # kube-apiserver keeps these one deeper


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of one resource, in one namespace or in all; `bytes` is an estimate from sampled values."""

    resource: str
    namespace: str = ""
    keys: int
    estimated_bytes: Known[int] = Unknown("values were not sampled")


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass over the keys at `revision` counted, exactly, largest first.

    `resources` are totals, `namespaces` the same keys by (resource, namespace); `folded` says how many keys
    stand in pairs too small to be kept apart, `is_kubernetes` whether keys below `/registry/` were among them.
    `unfinished` says why the pass ended early, empty when it did not.
    """

    keys: int
    events: int
    revision: int
    resources: tuple[Group, ...]
    namespaces: tuple[Group, ...]
    folded: int = 0
    unfinished: str = ""
    is_kubernetes: bool = False


def group_of(name: bytes) -> tuple[str, str, bytes]:
    """Return the resource and namespace of a key, and the prefix that all keys of this pair share.

    The prefix is empty where keys of other groups may stand between: such keys are taken one by one.
    Kubernetes: `/registry/RESOURCE/NAMESPACE/NAME`, `/registry/RESOURCE/NAME` and, for custom resources,
    `/registry/GROUP/RESOURCE/…` (a group's name has a dot). Any other layout: the first two parts of the path.
    """
    if name.startswith(KUBERNETES_ROOT):
        return _kubernetes_group(name)
    root = 1 if name.startswith(b"/") else 0
    parts = name.split(b"/", root + 2)
    if len(parts) == root + 3:
        path = b"/".join(parts[:-1])
        return _text(path), "", path + b"/"
    return _text(b"/".join(parts[:-1])) or NO_PREFIX, "", b""


def _kubernetes_group(name: bytes) -> tuple[str, str, bytes]:
    parts = name.split(b"/", 5)
    inner = parts[3] if len(parts) > 4 else b""
    deeper = inner and (b"." in parts[2] or inner in _SPLIT_RESOURCES.get(parts[2], ()))
    at = 4 if deeper else 3
    resource = _text(b"/".join(parts[2:at]))
    if len(parts) < at + 2:
        return resource, "", b""
    return resource, _text(parts[at]), b"/".join(parts[: at + 1]) + b"/"


def _text(path: bytes) -> str:
    return path.decode("utf-8", errors="backslashreplace")


class Tally:
    """Counts pages of key names, which must come in the key space's order. Memory does not grow with the keys."""

    def __init__(self, *, sampled: bool = False) -> None:
        self.keys = 0
        self._sampled = sampled
        self._resources: dict[str, int] = {}
        self._pairs: dict[tuple[str, str], int] = {}
        self._samples: dict[str, _Samples] = {}
        self._folded = 0
        self._is_kubernetes = False

    def add(self, names: Sequence[bytes]) -> None:
        """Count one page."""
        at, end = 0, len(names)
        self._is_kubernetes |= bool(names) and names[end // 2].startswith(KUBERNETES_ROOT)
        while at < end:
            resource, namespace, prefix = group_of(names[at])
            upto = at + 1
            if prefix:  # the keys are sorted: one search finds the end of the whole group
                upto = bisect_left(names, prefix[:-1] + b"0", at)  # "0" follows "/"
            counted = self._resources.get(resource, 0)
            if self._sampled:
                self._samples.setdefault(resource, _Samples()).take(names, at, upto, counted)
            self._resources[resource] = counted + upto - at
            pair = resource, namespace
            self._pairs[pair] = self._pairs.get(pair, 0) + upto - at
            at = upto
        self.keys += end
        self._fold()

    def _fold(self) -> None:
        """Drop the smallest pairs. Those passed are complete, for keys come sorted; pairs without a namespace
        may still grow and stay."""
        if len(self._pairs) > 2 * GROUPS_KEPT:
            last = next(reversed(self._pairs))
            closed = sorted((count, pair) for pair, count in self._pairs.items() if pair[1] and pair != last)
            for count, pair in closed[: len(self._pairs) - GROUPS_KEPT]:
                self._folded += count
                del self._pairs[pair]
        if len(self._resources) > 2 * GROUPS_KEPT:
            last_resource = next(reversed(self._resources))
            smallest = sorted(
                (count, name) for name, count in self._resources.items() if name != last_resource
            )
            for count, name in smallest[: len(self._resources) - GROUPS_KEPT]:
                del self._resources[name]
                self._samples.pop(name, None)
                self._folded += self._pairs.pop((name, ""), 0)
                self._resources[OTHERS] = self._resources.get(OTHERS, 0) + count

    def samples(self) -> Mapping[str, tuple[bytes, ...]]:
        """Return for every resource, largest first, keys spread evenly over it."""
        largest = sorted(self._samples, key=lambda name: (-self._resources[name], name))
        return {name: self._samples[name].chosen() for name in largest}

    def census(
        self, revision: int, *, sizes: Mapping[str, Known[int]] | None = None, unfinished: str = ""
    ) -> Census:
        """Return what was counted; `sizes` are the estimated bytes of one key by resource."""
        per_key = sizes or {}

        def group(resource: str, namespace: str, keys: int) -> Group:
            size = per_key.get(resource, Unknown("values were not sampled"))
            total = size if isinstance(size, Unknown) else size * keys
            return Group(resource=resource, namespace=namespace, keys=keys, estimated_bytes=total)

        resources = [group(name, "", keys) for name, keys in self._resources.items()]
        pairs = [group(name, namespace, keys) for (name, namespace), keys in self._pairs.items()]
        return Census(
            keys=self.keys,
            events=self._resources.get(EVENTS, 0),
            revision=revision,
            resources=tuple(sorted(resources, key=_largest)),
            namespaces=tuple(sorted(pairs, key=_largest)),
            folded=self._folded,
            unfinished=unfinished,
            is_kubernetes=self._is_kubernetes,
        )


class _Samples:
    """At most twice SAMPLES keys of one resource: every n-th, where n doubles when there are too many."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._stride = 1
        self._next = 0

    def take(self, names: Sequence[bytes], at: int, upto: int, counted: int) -> None:
        while self._next < counted + upto - at:
            self._keys.append(names[at + self._next - counted])
            if len(self._keys) == 2 * SAMPLES:
                self._keys, self._stride = self._keys[::2], self._stride * 2
            self._next += self._stride

    def chosen(self) -> tuple[bytes, ...]:
        kept = min(SAMPLES, len(self._keys))
        return tuple(self._keys[index * len(self._keys) // kept] for index in range(kept))


def _largest(group: Group) -> tuple[int, int, str, str]:
    size = group.estimated_bytes
    return -(0 if isinstance(size, Unknown) else size), -group.keys, group.resource, group.namespace


def is_event_flood(census: Census) -> bool:
    """Tell whether events alone would explain a slow or full etcd."""
    return census.events > EVENT_FLOOD
