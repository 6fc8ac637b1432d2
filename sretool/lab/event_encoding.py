"""Events as the API server stores them in etcd: its magic, then protobuf.

Field numbers are those of generated.proto in k8s.io/api/core/v1, k8s.io/apimachinery/pkg/apis/meta/v1 and
pkg/runtime; they never change. Written out here because the lab needs one kind and one direction only.
"""

from collections.abc import Callable

import msgspec

_MAGIC = b"k8s\x00"
_VARINT, _BYTES = 0, 2
_CORE_FIELDS = (
    "count",
    "firstTimestamp",
    "involvedObject",
    "lastTimestamp",
    "message",
    "reason",
    "source",
    "type",
)
_MODERN_FIELDS = (
    "action",
    "eventTime",
    "note",
    "reason",
    "regarding",
    "reportingController",
    "reportingInstance",
    "type",
)


class EventKind(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one namespace and reason have in common.

    `modern` events are written through events.k8s.io, as the scheduler's: they have an eventTime and no
    first or last timestamp; others are as the kubelet's.
    """

    namespace: str
    reason: str
    message: str
    component: str
    modern: bool


def event_encoder(kind: EventKind) -> Callable[[str, str, str, int], bytes]:
    """Return a function of (name, uid, pod, seconds since 1970) that gives the stored bytes of an event.

    `uid` is the event's and stands for the pod's too. What does not vary is encoded once: it is most of it.
    """
    namespace = _text(3, kind.namespace)
    involved_before = _text(1, "Pod") + _text(2, kind.namespace)
    involved_after = _text(5, "v1") + _text(6, "1")
    managed_before, managed_after = _managed_fields(kind)
    words = _text(3, kind.reason) + _text(4, kind.message)
    about_before = words if kind.modern else words + _field(5, _text(1, kind.component))
    reporter = _text(14, kind.component) + _text(15, f"{kind.component}-lab")
    about_after = (
        _number(8, 0 if kind.modern else 1)
        + _text(9, "Warning")
        + (_text(12, "Scheduling") + reporter if kind.modern else b"")
    )
    prefix = _MAGIC + _field(1, _text(1, "v1") + _text(2, "Event"))

    def encode(name: str, uid: str, pod: str, seconds: int) -> bytes:
        at = _number(1, seconds) + _number(2, 0)
        managed = managed_before + _field(4, at) + managed_after
        metadata = _text(1, name) + namespace + _text(5, uid) + _field(8, at) + _field(17, managed)
        involved = involved_before + _text(3, pod) + _text(4, uid) + involved_after
        times = _field(10, at) if kind.modern else _field(6, at) + _field(7, at)
        raw = _field(1, metadata) + _field(2, involved) + about_before + times + about_after
        return prefix + _field(2, raw)

    return encode


def _managed_fields(kind: EventKind) -> tuple[bytes, bytes]:
    """Return the one entry of the event's managedFields, before and after its time."""
    version, fields = ("events.k8s.io/v1", _MODERN_FIELDS) if kind.modern else ("v1", _CORE_FIELDS)
    manager = "kube-scheduler" if kind.modern else kind.component
    owned = msgspec.json.encode({f"f:{name}": {} for name in fields})
    before = _text(1, manager) + _text(2, "Update") + _text(3, version)
    return before, _text(6, "FieldsV1") + _field(7, _field(1, owned))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
