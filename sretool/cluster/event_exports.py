"""Keeps as JSON lines what is deleted, before it is deleted."""

import datetime
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.errors import StateError
from sretool.folders import state_folder, sync_folder
from sretool.knowledge.event_groups import selector_of
from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.stored_events import StoredEvent

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_ENCODER = msgspec.json.Encoder()


def exports_folder(cluster: str) -> Path:
    """Return where deleted events of `cluster` are kept: `$XDG_STATE_HOME/sretool/events/CLUSTER`."""
    return state_folder() / "events" / cluster


def export_events(write: KubernetesWriter, selection: Mapping[str, Any]) -> None:
    """Write the selected events as JSON lines (0600), under the final name only when all are written."""
    path = Path(selection["path"])
    part = path.with_suffix(".part")
    pages = write.raw_pages(
        collection_path("v1", "events", namespace=selection["namespace"]),
        field_selector=selector_of(selection["reason"]),
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, _FLAGS | os.O_TRUNC, 0o600), "wb") as file:
            for page in pages:
                file.writelines(bytes(event) + b"\n" for event in page)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(f"cannot export events to {path}: {error.strerror}") from error


def append_stored_events(events: Iterable[StoredEvent], path: Path) -> None:
    """Add `events` to an export as JSON lines (0600), on disk when it returns.

    `value` is the key's value in base64: put under `key` it brings the event back.
    """
    lines = _ENCODER.encode_lines([_line_of(event) for event in events])
    if not lines:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, _FLAGS | os.O_APPEND, 0o600), "ab") as file:
            file.write(lines)  # one write: threads that export side by side do not mix their lines
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StateError(f"cannot export events to {path}: {error.strerror}") from error


def count_lines(path: Path) -> int | None:
    """Return how many events an export holds, None when it is not there."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return None


def _line_of(event: StoredEvent) -> dict[str, Any]:
    return {
        "key": event.key.decode(errors="backslashreplace"),
        "modRevision": event.mod_revision,
        "namespace": event.namespace,
        "name": event.name,
        "reason": event.reason,
        "message": event.message,
        "object": f"{event.kind}/{event.about}",
        "reporter": event.reporter,
        "lastSeen": _shown(event.last_seen),
        "value": event.value,  # bytes: written as base64
    }


@functools.lru_cache(maxsize=4096)
def _shown(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
