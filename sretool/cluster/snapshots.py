"""Snapshots on the local disk: streamed, hashed, never half-written under their final name."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sretool.errors import RemoteError, StateError
from sretool.model import SnapshotFile

_HASH_BYTES = 32  # etcd appends the SHA-256 of the database file
_PAGE_BYTES = 512


def save_snapshot(chunks: Iterable[bytes], path: Path, *, member: str) -> SnapshotFile:
    """Write `chunks` to `path` (0600) by way of `path.part`, and check the SHA-256 at their end.

    StateError when the local disk fails, RemoteError when the stream ends early or its hash is wrong; in both
    cases no file is left behind.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        size, tail, digest = _write(chunks, part)
        if size % _PAGE_BYTES != _HASH_BYTES or digest != tail:
            raise RemoteError(f"the snapshot of {member} arrived damaged: its SHA-256 does not match")
        os.replace(part, path)  # noqa: PTH105 - atomic, over a symlink too
        _sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"cannot write the snapshot {path}: {error.strerror}",
            then="free space there, or name a directory",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return SnapshotFile(path=str(path), size_bytes=size, sha256=digest.hex(), member=member, revision=0)


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
