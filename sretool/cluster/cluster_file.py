"""A cluster file as text: written whole, for its owner alone; compared with what is there, in words."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sretool.cluster.inventory import ClusterEntry
from sretool.errors import StateError
from sretool.folders import sync_folder

_PLAIN = re.compile(r"[A-Za-z0-9/_.][A-Za-z0-9/_.:@-]*")  # what YAML reads as this very string
_WORDS = re.compile(r"(?i)(true|false|yes|no|on|off|null|y|n|~|[0-9._:-]+|0[xo].*|[0-9.]+e.*)")


def render_cluster(entry: ClusterEntry, *, first_line: str = "") -> str:
    """Return the entry as YAML that `parse_cluster` reads; what has its default is left out."""
    lines = [f"# {first_line}"] if first_line else []
    lines += _lines(_stated(entry), "")
    return "\n".join(lines) + "\n"


def write_cluster(path: Path, text: str) -> None:
    """Write the file at once or not at all, readable by its owner (0600); StateError when that is impossible."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise StateError(f"{path} cannot be written: {error.strerror}") from error


def differences(before: ClusterEntry, after: ClusterEntry) -> list[str]:
    """Return what `after` changes, one part each: `member m2, client: https://a:2379 -> https://b:2379`."""
    return [
        f"{', '.join(place)}: {_shown(old)} -> {_shown(new)}"
        for place, old, new in _compared(_stated(before), _stated(after), ())
    ]


def _stated(value: Any) -> Any:
    """Return a struct as dicts and lists, without the fields that have their defaults."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        kept = {one.name: (getattr(value, one.name), one.default) for one in fields}
        return {name: _stated(now) for name, (now, default) in kept.items() if now != default}
    return [_stated(one) for one in value] if isinstance(value, tuple) else value


def _lines(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{name}:"
            for one in value:
                yield from _item(one, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _item(value: Any, indent: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{indent}- {_scalar(value)}"
        return
    for index, line in enumerate(_lines(value, f"{indent}  ")):
        yield line if index else f"{indent}- {line.lstrip()}"


def _scalar(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    text = str(value)
    is_plain = _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text) and not text.endswith(":")
    return text if is_plain else msgspec.json.encode(text).decode()


def _compared(before: Any, after: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield place, old and new value of what differs; members are compared by their names."""
    if place == ("etcd", "members"):
        before, after = (
            {f"member {one['name']}": one for one in members or ()} for members in (before, after)
        )
        place = ()
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _compared(before.get(name), after.get(name), (*place, name))
    elif before != after:
        yield place, before, after


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items() if name != "name")
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)
