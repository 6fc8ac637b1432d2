"""The folder of a lab on disk: its record, its lock, and files that are written whole or not at all."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sretool.errors import LockHeldError, StateError
from sretool.lab.spec import LabSpec

_RECORD = "lab.json"


class LabRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a lab was started from; written before its first process. `version` is etcd's."""

    spec: LabSpec
    version: str
    block: int
    kubernetes: str = ""


class RaisedFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that is in force on a member, written before it is raised, removed after its undo."""

    fault: str
    member: str
    detail: str = ""


def read_record(lab_dir: Path) -> LabRecord | None:
    """Return the record; None when there is none (no lab, or one that was killed while it was prepared)."""
    try:
        return msgspec.json.decode((lab_dir / _RECORD).read_bytes(), type=LabRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(
            f"the record of the lab in {lab_dir} cannot be read: {error}",
            then=f"sretool lab down --name {lab_dir.name} removes the lab",
        ) from error


def write_record(lab_dir: Path, record: LabRecord) -> None:
    """Write the record."""
    write_whole(lab_dir / _RECORD, msgspec.json.encode(record))


def read_faults(lab_dir: Path) -> tuple[RaisedFault, ...]:
    """Return the faults that are in force, oldest first."""
    try:
        return msgspec.json.decode((lab_dir / "faults.json").read_bytes(), type=tuple[RaisedFault, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"the faults of the lab in {lab_dir} cannot be read: {error}") from error


def write_faults(lab_dir: Path, faults: tuple[RaisedFault, ...]) -> None:
    """Write which faults are in force."""
    write_whole(lab_dir / "faults.json", msgspec.json.encode(faults))


def unfinished(path: Path) -> Path:
    """Return where `write_whole` writes what `path` will hold: a kill leaves it there."""
    return path.with_name(f".{path.name}.new")


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once; a reader sees the old content or the new."""
    try:
        unfinished(path).write_bytes(content)
        unfinished(path).replace(path)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error}") from error


@contextlib.contextmanager
def locked(lab_dir: Path, *, seconds: float = 60.0) -> Iterator[bool]:
    """Hold the lab's lock; yield False when the folder is gone. LockHeldError after `seconds`.

    The folder itself is locked: nothing is left behind, and the kernel frees the lock of a killed holder.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            descriptor = os.open(lab_dir, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield False
            return
        try:
            if _lock(descriptor, lab_dir):
                yield True
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise LockHeldError(
                f"another sretool lab command is at work on the lab {lab_dir.name}",
                then=f"wait for it, or find it: fuser {lab_dir}",
            )
        time.sleep(0.05)


def _lock(descriptor: int, lab_dir: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), lab_dir.stat())
    except FileNotFoundError:
        return False  # another `lab down` removed it; look again
