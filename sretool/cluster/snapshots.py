"""Snapshots on the local disk: streamed, hashed, never half-written under their final name."""

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sretool.errors import RemoteError, StateError
from sretool.folders import state_folder, sync_folder
from sretool.knowledge.snapshots import SavedSnapshot, parse_snapshot_name

_HASH_BYTES = 32  # etcd appends the SHA-256 of the database file
_PAGE_BYTES = 512


def save_snapshot(chunks: Iterable[bytes], path: Path, *, member: str) -> None:
    """Write `chunks` to `path` (0600) by way of `path.part`, and check the SHA-256 at their end.

    StateError when the local disk fails, RemoteError when the stream ends early or its hash is wrong; in both
    cases no file is left behind.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        size, tail, digest = _write(chunks, part)
        if size % _PAGE_BYTES != _HASH_BYTES or digest != tail:
            raise RemoteError(f"the snapshot of {member} arrived damaged: its SHA-256 does not match")
        os.replace(part, path)  # noqa: PTH105 - atomic, over a symlink too
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"cannot write the snapshot {path}: {error.strerror}",
            then="free space there, or name a directory",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # whatever went wrong before this is what is told
            part.unlink(missing_ok=True)


def is_intact(path: Path) -> bool:
    """Tell whether the file's trailing SHA-256 matches the rest of it."""
    try:
        size = path.stat().st_size
        digest, left = hashlib.sha256(), size - _HASH_BYTES
        with path.open("rb") as file:
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            return size % _PAGE_BYTES == _HASH_BYTES and digest.digest() == file.read()
    except OSError:
        return False


def snapshots_folder(cluster: str) -> Path:
    """Return where snapshots of `cluster` are kept: `$XDG_STATE_HOME/sretool/snapshots/CLUSTER`."""
    return state_folder() / "snapshots" / cluster


def list_snapshots(folder: Path, cluster_id: int) -> tuple[SavedSnapshot, ...]:
    """Return the snapshots of this etcd cluster in `folder` by their names, newest first; StateError when it
    cannot be read."""
    try:
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise StateError(f"cannot read the snapshots in {folder}: {error.strerror}") from error
    found = (parse_snapshot_name(name, path=str(folder / name)) for name in names)
    ours = [one for one in found if one is not None and one.cluster_id == f"{cluster_id:x}"]
    return tuple(sorted(ours, key=lambda one: (one.at, one.revision), reverse=True))


def prune_snapshots(path: Path, *, keep: int) -> None:
    """Delete older snapshots of the same etcd cluster beside `path`, a verified one, beyond the newest `keep`;
    also what an interrupted saving left. StateError when that fails."""
    saved = parse_snapshot_name(path.name, path=str(path))
    if saved is None:
        return
    older = [one for one in list_snapshots(path.parent, int(saved.cluster_id, 16)) if one.at < saved.at]
    try:
        for one in older[max(0, keep - 1) :]:
            Path(one.path).unlink(missing_ok=True)
        for rest in path.parent.glob(f"etcd-{saved.cluster_id}-*.db.part"):
            rest.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"cannot remove an old snapshot in {path.parent}: {error.strerror}") from error


def _write(chunks: Iterable[bytes], part: Path) -> tuple[int, bytes, bytes]:
    digest, size, tail = hashlib.sha256(), 0, b""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            size += len(chunk)
            held = tail + chunk
            digest.update(held[:-_HASH_BYTES])
            tail = held[-_HASH_BYTES:]
        file.flush()
        os.fsync(file.fileno())
    return size, tail, digest.digest()
