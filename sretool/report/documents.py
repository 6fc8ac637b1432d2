"""The same values as JSON: one document at the end, or one line an event."""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from sretool.engine.ending import Ending
from sretool.engine.events import Event

_PLAIN = frozenset({str, int, float, bool, type(None)})


def render_json(value: Any) -> str:
    """Return `value` as one indented JSON document: times are RFC 3339, severities and risks are words, unknown
    facts carry their reason."""
    return msgspec.json.format(msgspec.json.encode(_in_words(value)), indent=2).decode()


def render_line(value: Any) -> str:
    """Return `value` as one line of JSON, in the words of `render_json`."""
    return msgspec.json.encode(_in_words(value)).decode()


def render_event(event: Event, *, elapsed: float) -> str:
    """Return `event` as one line of JSON, with the seconds since the run began as `elapsed`."""
    return msgspec.json.encode(event_fields(event, elapsed=elapsed)).decode()


def event_fields(event: Event, *, elapsed: float) -> dict[str, Any]:
    """Return what an event says, with its name as `event`."""
    return {"elapsed": round(elapsed, 3), "event": type(event).__name__.lower(), **_in_words(event)}


def render_ended(ending: Ending, *, run: str, elapsed: float) -> str:
    """Return the last line of a run: how it ended."""
    fields = {"elapsed": round(elapsed, 3), "event": "ended", "run": run, **_in_words(ending)}
    return msgspec.json.encode(fields).decode()


def _in_words(value: Any) -> Any:
    if type(value) in _PLAIN:  # most values: an event with a change in it has a hundred
        return value
    if isinstance(value, enum.IntEnum):
        return str(value)
    if isinstance(value, msgspec.Struct):
        tag = {"unknown": True} if type(value).__struct_config__.tag == "unknown" else {}
        return tag | {field: _in_words(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): _in_words(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_in_words(one) for one in value]
    if isinstance(value, float):  # a unit of ours may be a kind of float or int
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value
