"""The journal: append-only records, each sealed with the hash of the one before, fsynced before any effect."""

import contextlib
import datetime
import errno
import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from sretool.clock import Clock
from sretool.engine.interrupts import held_back
from sretool.errors import StateError
from sretool.folders import sync_folder
from sretool.model import Result

_FIRST = "0" * 64
_NEEDED = {  # what every reader of a record may rely on
    "begin": ("runbook", "text", "origin", "given", "cluster"),
    "intent": ("change",),
    "outcome": ("key", "outcome"),
    "end": ("exit_code", "sentence"),
}


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal. `seal` is the SHA-256 of the line before it (zeros in the first).

    `scope` is the part of a playbook that wrote it, `STAGE/RUNBOOK`; empty for the run as a whole.
    """

    number: int
    at: datetime.datetime
    kind: (
        str  # begin, plan, retry, approval, intent, outcome, dropped, resume, undo, verify, end, stage, facts
    )
    body: Mapping[str, Any]
    seal: str
    scope: str = ""


class JournalView(Protocol):
    """What one operation needs of a journal: its own records, and a place for more."""

    @property
    def records(self) -> Sequence[Record]:
        """Return the records so far."""

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Append one record."""

    def write_all(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Append several records with one fsync."""


class WholeJournal(JournalView, Protocol):
    """A journal with parts: what a playbook needs of one."""

    def write_all(self, entries: Sequence[tuple[str, Mapping[str, Any]]], *, scope: str = "") -> None:
        """Append several records of one part with one fsync."""


class Scoped:
    """Of a journal the records of one part of a playbook: to its operation it is the whole journal."""

    def __init__(self, journal: WholeJournal, scope: str) -> None:
        self._journal = journal
        self._scope = scope

    @property
    def records(self) -> Sequence[Record]:
        return [record for record in self._journal.records if record.scope == self._scope]

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        self.write_all([(kind, body)])

    def write_all(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._journal.write_all(entries, scope=self._scope)


class Journal:
    """An open journal, or one kept in memory only (`path` None) for a look whose state cannot be stored."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seal = _FIRST
        self._descriptor: int | None = None
        self.records: list[Record] = []

    @classmethod
    def create(cls, folder: Path, clock: Clock) -> "Journal":
        """Return a new journal in `folder`, which is made (0700)."""
        journal = cls(folder / "journal.jsonl", clock)
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise _cannot_keep(journal._path, error) from error
        try:
            journal._open(os.O_CREAT | os.O_EXCL)
            sync_folder(folder)
        except OSError as error:
            journal.discard()
            raise _cannot_keep(journal._path, error) from error
        return journal

    @classmethod
    def reopen(cls, folder: Path, clock: Clock) -> "Journal":
        """Return the journal of an earlier run, ready for more records; a torn last line is cut off."""
        journal = cls(folder / "journal.jsonl", clock)
        records, whole, seal = _read(folder / "journal.jsonl")
        try:
            journal._open(0)
            os.ftruncate(journal._require_descriptor(), whole)
        except OSError as error:
            journal.close()
            raise _cannot_use(folder / "journal.jsonl", error, to="write") from error
        journal.records, journal._seal = records, seal
        return journal

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Append one record and fsync it; StateError when it is not safely on disk."""
        self.write_all([(kind, body)])

    def write_all(self, entries: Sequence[tuple[str, Mapping[str, Any]]], *, scope: str = "") -> None:
        """Append several records with one fsync. A signal waits until they are on disk: a record written and
        not remembered would break the chain. Of no record there is nothing to sync."""
        if not entries:
            return
        with held_back():
            self._append([(kind, body, scope) for kind, body in entries])

    def _append(self, entries: Sequence[tuple[str, Mapping[str, Any], str]]) -> None:
        lines = b""
        for kind, body, scope in entries:
            record = Record(
                number=len(self.records),
                at=self._clock.now(),
                kind=kind,
                body=msgspec.to_builtins(body, enc_hook=plain_number),
                seal=self._seal,
                scope=scope,
            )
            line = msgspec.json.encode(record)
            self._seal = hashlib.sha256(line).hexdigest()
            self.records.append(record)
            lines += line + b"\n"
        if self._descriptor is None:
            return
        try:
            written = os.write(self._descriptor, lines)
            if written != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError as error:
            self.close()  # half a line may stand at the end: nothing may ever follow it
            raise _cannot_keep(self._path, error) from error

    def close(self) -> None:
        """Close the file; records can still be read."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Close the file and remove it with its folder: the run did not begin. What cannot be removed stays."""
        self.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
                self._path.parent.rmdir()

    def _open(self, flags: int) -> None:
        if self._path is not None:
            flags |= os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)

    def _require_descriptor(self) -> int:
        if self._descriptor is None:
            raise StateError(f"the journal {self._path} is not open")
        return self._descriptor


def plain_number(value: object) -> object:
    """Return a unit of ours (Duration, Quantity, Percent) as the number that it is; TypeError for the rest."""
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    raise TypeError(f"{type(value).__name__} has no place in a journal")


def done_outcomes(records: Sequence[Record]) -> list[Mapping[str, Any]]:
    """Return the bodies of the outcomes that say a change was made and seen."""
    outcomes = (record.body for record in records if record.kind == "outcome")
    return [body for body in outcomes if body["outcome"]["result"] == Result.DONE]


def read_journal(folder: Path) -> list[Record]:
    """Return the records of the run in `folder`; StateError when the journal is damaged beyond a torn end."""
    return _read(folder / "journal.jsonl")[0]


def _read(path: Path) -> tuple[list[Record], int, str]:
    """Return the records, the length of the file's whole lines, and the seal for the next record."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _cannot_use(path, error, to="read") from error
    records: list[Record] = []
    seal, whole = _FIRST, 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1]):
        try:
            record = msgspec.json.decode(line, type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _damaged(path, number, f"not a record ({error})") from error
        if record.seal != seal or record.number != number:
            raise _damaged(
                path, number, "it does not follow from the line before: edited, or lines are missing"
            )
        missing = [key for key in _NEEDED.get(record.kind, ()) if key not in record.body]
        if missing:
            raise _damaged(path, number, f"its «{record.kind}» lacks {', '.join(missing)}")
        seal = hashlib.sha256(line).hexdigest()
        whole += len(line) + 1
        records.append(record)
    return records, whole, seal


def _damaged(path: Path, number: int, what: str) -> StateError:
    return StateError(
        f"{path}:{number + 1}: the journal is damaged: {what}",
        then="nothing is resumed or undone from it; read it by eye, look at the cluster with a new run",
    )


def _cannot_keep(path: Path | None, error: OSError) -> StateError:
    return StateError(
        f"cannot keep the journal {path}: {error.strerror}",
        then="free space there, or point XDG_STATE_HOME at another disk",
    )


def _cannot_use(path: Path, error: OSError, *, to: str) -> StateError:
    return StateError(
        f"cannot {to} the journal {path}: {error.strerror}",
        then=f"look what is there, and who may {to} it: ls -ld {shlex.quote(str(path))}",
    )
