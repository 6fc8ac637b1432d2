"""Events as the API server stores them in etcd, read in pages; of each as little is decoded as is needed."""

import functools
from collections.abc import Iterator
from typing import Any

from sretool.clients.etcd.connection import Connection
from sretool.clients.etcd.gates import ReadGate
from sretool.clients.etcd.reads import prefix_end
from sretool.clients.etcd.rpcs import RANGE
from sretool.errors import RejectedError
from sretool.knowledge.stored_events import NO_REASON, StoredEvent, StoredPage

_MAGIC = b"k8s\0"  # then protobuf, runtime.Unknown; JSON begins with a brace, what is encrypted with k8s:enc:
_TYPE = ("v1", "Event")  # events.k8s.io is stored in the same form
_PODS = 10  # control planes have three or five API servers

# Numbers: generated.proto of k8s.io/api/core/v1, k8s.io/apimachinery pkg/apis/meta/v1 and pkg/runtime.
# An event's times are left as bytes: many events have the same, and each message within a message costs.
_TABLE = """
Type: 1 string apiVersion, 2 string kind
Time: 1 int64 seconds
Meta: 5 string uid, 8 bytes created
Reference: 1 string kind, 3 string name
Source: 1 string component
Series: 2 bytes last
Event: 1 Meta meta, 2 Reference about, 3 string reason, 4 string message, 5 Source source, \
7 bytes last, 11 bytes series, 14 string reporter
Stored: 1 Type type, 2 Event object
Container: 3 *string command, 4 *string args
PodSpec: 2 *Container containers
Pod: 2 PodSpec spec
StoredPod: 1 Type type, 2 Pod object
Object: 1 Meta meta
StoredObject: 1 Type type, 2 Object object
"""


@functools.cache
def _classes() -> dict[str, Any]:
    from sretool.clients.etcd.messages import build_classes

    return build_classes(_TABLE)


class StoredEvents:
    """Reads of what the API server stores, from one member. Safe to share between threads.

    RejectedError where a value is not stored as it is by default: another encoding, or encrypted.
    """

    def __init__(self, connection: Connection) -> None:
        self._gate = ReadGate(connection)

    def page(
        self,
        start: bytes,
        end: bytes,
        *,
        root: bytes,
        limit: int,
        revision: int = 0,
        linearizable: bool = False,
        whole: bool = True,
        timeout_seconds: float,
    ) -> StoredPage:
        """Return at most `limit` events from the key `start` up to `end`; `root` is the prefix of all events.

        Not `whole`: without their keys, values and messages, which are most of their memory.
        """
        fields = {
            "key": start,
            "range_end": end,
            "limit": limit,
            "revision": revision,
            "serializable": not linearizable,
        }
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        decode, skipped = _classes()["Stored"].FromString, len(root)
        same: dict[str, str] = {}
        events = [_event(kv, decode, skipped, whole=whole, same=same) for kv in answer.kvs]
        following = answer.kvs[-1].key + b"\0" if answer.more else b""
        return StoredPage(events=events, following=following, revision=revision or answer.header.revision)

    def as_read(
        self,
        start: bytes,
        end: bytes,
        *,
        count: int,
        since: int,
        revision: int = 0,
        timeout_seconds: float,
    ) -> int | None:
        """Return the revision at which from `start` up to `end` there are the `count` keys that were there at the
        revision `since`, none of them written again; None when it is otherwise, or this member is behind.

        The member reads their values and sends none of them.
        """
        fields = {
            "key": start,
            "range_end": end,
            "limit": 1,
            "revision": revision,
            "min_mod_revision": since + 1,
            "keys_only": True,
            "serializable": True,
        }
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        seen = int(revision or answer.header.revision)
        return seen if seen >= since and answer.count == count and not answer.kvs else None

    def flags_of_api_servers(self, root: bytes, *, timeout_seconds: float) -> tuple[tuple[str, ...], ...]:
        """Return the command line of every API server that runs as a static pod, as stored under `root`."""
        prefix = root + b"pods/kube-system/kube-apiserver"
        fields = {"key": prefix, "range_end": prefix_end(prefix), "limit": _PODS, "serializable": True}
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        decode = _classes()["StoredPod"].FromString
        pods = [_decoded(kv, decode).object for kv in answer.kvs]
        return tuple(
            tuple(word for one in pod.spec.containers for word in (*one.command, *one.args)) for pod in pods
        )

    def uid(self, key: bytes, *, timeout_seconds: float) -> str:
        """Return the UID of the object that is stored as `key`, empty when there is none."""
        fields = {"key": key, "limit": 1, "serializable": True}
        answer = self._gate.unary(RANGE, fields, timeout_seconds=timeout_seconds)
        decode = _classes()["StoredObject"].FromString
        return str(_decoded(answer.kvs[0], decode).object.meta.uid) if answer.kvs else ""


def _event(kv: Any, decode: Any, skipped: int, *, whole: bool, same: dict[str, str]) -> StoredEvent:
    """Return the event; words that many events have are kept once, in `same`."""
    stored = _decoded(kv, decode)
    if (stored.type.apiVersion, stored.type.kind) != _TYPE:
        raise _unreadable(kv, f"it holds a {stored.type.apiVersion} {stored.type.kind}")
    key = kv.key
    namespace, _, name = key[skipped:].decode("utf-8", errors="backslashreplace").partition("/")
    event, once = stored.object, same.setdefault
    meta, about = event.meta, event.about
    reason, reporter = event.reason or NO_REASON, event.reporter or event.source.component
    kind, subject = about.kind, about.name
    try:
        created = _seconds(meta.created)
        last_seen = max(created, *_later_times(event))
    except Exception as error:  # as in `_decoded`
        raise _unreadable(kv, "a time in it is no protobuf") from error
    return StoredEvent(
        key=key if whole else b"",
        value=kv.value if whole else b"",
        mod_revision=kv.mod_revision,
        namespace=once(namespace, namespace),
        name=name,
        uid=meta.uid,
        reason=once(reason, reason),
        message=event.message if whole else "",
        reporter=once(reporter, reporter),
        kind=once(kind, kind),
        about=once(subject, subject),
        created=created,
        last_seen=last_seen,
    )


def _later_times(event: Any) -> Iterator[int]:
    """Yield when it was written again, in seconds since 1970; 0 when never."""
    yield _seconds(event.last)
    if event.series:
        yield _seconds(_classes()["Series"].FromString(event.series).last)


@functools.lru_cache(maxsize=4096)
def _seconds(time: bytes) -> int:
    return int(_classes()["Time"].FromString(time).seconds)


def _decoded(kv: Any, decode: Any) -> Any:
    value = kv.value
    if not value.startswith(_MAGIC):
        raise _unreadable(kv, "it is encrypted" if value.startswith(b"k8s:enc:") else "it is no protobuf")
    try:
        return decode(value[4:])
    except Exception as error:  # protobuf's own error class moves between its versions
        raise _unreadable(kv, "it is no protobuf") from error


def _unreadable(kv: Any, why: str) -> RejectedError:
    key = kv.key.decode("utf-8", errors="backslashreplace")
    return RejectedError(f"the value of {key} is stored in a form that sretool does not read: {why}")
