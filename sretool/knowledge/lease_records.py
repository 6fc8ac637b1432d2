"""A Lease as etcd holds it: who holds it, for how long, and when it was renewed last."""

import datetime
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

_MAGIC = b"k8s\x00"  # before every object in Kubernetes' own storage format
_RAW = 2  # of runtime.Unknown: the object itself
_SPEC = 2  # of Lease
_HOLDER, _DURATION, _RENEWED = 1, 2, 4  # of LeaseSpec (k8s.io/api/coordination/v1/generated.proto)
_SECONDS = 1  # of MicroTime

_Field: TypeAlias = int | bytes


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a Lease says; `renewed_at` is None where it was never renewed."""

    holder: str
    duration_seconds: int
    renewed_at: datetime.datetime | None


def parse_lease(value: bytes) -> LeaseRecord | None:
    """Return the Lease stored as `value`; None where it is stored otherwise: encrypted, or as JSON."""
    if not value.startswith(_MAGIC):
        return None
    try:
        raw = _message(dict(_fields(value[len(_MAGIC) :])), _RAW)
        spec = dict(_fields(_message(dict(_fields(raw)), _SPEC)))
        renewed = dict(_fields(_message(spec, _RENEWED)))
    except (ValueError, IndexError):
        return None
    holder, duration, seconds = spec.get(_HOLDER, b""), spec.get(_DURATION, 0), renewed.get(_SECONDS, 0)
    return LeaseRecord(
        holder=holder.decode(errors="replace") if isinstance(holder, bytes) else "",
        duration_seconds=duration if isinstance(duration, int) else 0,
        renewed_at=datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
        if isinstance(seconds, int) and 0 < seconds < 1 << 35
        else None,
    )


def _message(fields: dict[int, _Field], number: int) -> bytes:
    found = fields.get(number, b"")
    if not isinstance(found, bytes):
        raise ValueError(f"field {number} is no message")  # noqa: TRY004  # the bytes are wrong, not our types
    return found


def _fields(message: bytes) -> Iterator[tuple[int, _Field]]:
    """Yield the fields of a protobuf message; ValueError or IndexError where it is none."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field ends after its message")
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
