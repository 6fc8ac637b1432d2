"""Faults of the database: filled to its quota, or fragmented."""

import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from sretool.errors import RefusedError, RejectedError, SretoolError, UsageError
from sretool.lab.faults.options import FaultOptions
from sretool.lab.faults.servers import require_running
from sretool.lab.lab import Lab
from sretool.lab.members import read_metrics
from sretool.lab.spec import LabMember

_KEYS = 128  # etcd's default of --max-txn-ops
_VALUE_BYTES = 11_000  # 128 of them stay below etcd's limit of a request, 1.5 MiB
_WRITERS = 3
_TOLD_EVERY_SECONDS = 5.0
_LONG_SECONDS = 300.0
_FRAGMENT_BYTES = 64 << 20
_FULL = "database space exceeded"


def fill(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Write until etcd raises NOSPACE: live keys, or the same keys again and again."""
    _check_prefix(options)
    began = time.monotonic()
    written = _write(lab, member, options, limit_bytes=None)
    seconds = time.monotonic() - began
    keys = f"{written >> 20} MiB of {options.content} keys below {options.prefix}"
    return f"NOSPACE after {keys} in {seconds:.1f} s"


def fragment(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Write, delete and compact, so that the file of every member holds so much free space."""
    _check_prefix(options)
    size = options.size_bytes or _FRAGMENT_BYTES
    metrics = read_metrics(member)
    quota, used = (
        metrics.get(f"etcd_{name}", 0.0)
        for name in ("server_quota_backend_bytes", "mvcc_db_total_size_in_bytes")
    )
    if quota and used + size > 0.9 * quota:
        raise RefusedError(
            f"{size >> 20} MiB more would bring the database to NOSPACE: {int(used) >> 20} MiB of"
            f" {int(quota) >> 20} MiB are used",
            then="choose a smaller --size",
        )
    began = time.monotonic()
    _write(lab, member, msgspec.structs.replace(options, content="live"), limit_bytes=size)
    _drop_keys(lab, member, options)
    return f"{size >> 20} MiB are free in the file of every member, in {time.monotonic() - began:.1f} s"


def empty(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Delete what was written, compact, defragment every running member, disarm NOSPACE."""
    _check_prefix(options)
    _drop_keys(lab, member, options)
    for one in lab.members:
        if one.pid:
            _require(lab, "defrag", f"--endpoints={one.client_url}", f"--command-timeout={_LONG_SECONDS:g}s")
    if "NOSPACE" in _require(lab, "alarm", "list"):
        _require(lab, "alarm", "disarm")
    return f"no key is left below {options.prefix}, every running member is defragmented"


def _check_prefix(options: FaultOptions) -> None:
    if not options.prefix or not options.prefix.isprintable() or set(options.prefix) & set(" '\"\\"):
        raise UsageError(
            f"{options.prefix!r} cannot be the prefix of the keys: no space, no quote, not empty"
        )


class _Filling:
    """What the writers share: the number of the next batch, the bytes written, the end."""

    def __init__(self, options: FaultOptions, *, limit_bytes: int | None) -> None:
        self._options = options
        self._limit_bytes = limit_bytes
        self._run = secrets.token_hex(3)
        self._lock = threading.Lock()
        self._batches = 0
        self._told = time.monotonic()
        self.written_bytes = 0
        self.full = threading.Event()

    def next_batch(self) -> str | None:
        """Return a transaction as etcdctl reads it, or None when it is enough."""
        with self._lock:
            asked = self._batches * _KEYS * _VALUE_BYTES
            if self.full.is_set() or (self._limit_bytes is not None and asked >= self._limit_bytes):
                return None
            number = self._batches
            self._batches += 1
        first = number * _KEYS if self._options.content == "live" else 0
        run = f"{self._run}-" if self._options.content == "live" else ""
        value = "x" * _VALUE_BYTES
        puts = (f"put {self._options.prefix}{run}{first + index:06d} {value}" for index in range(_KEYS))
        return "\n" + "\n".join(puts) + "\n\n\n"

    def count(self) -> None:
        """Count a batch that was written, and tell every few seconds how far it is."""
        with self._lock:
            self.written_bytes += _KEYS * _VALUE_BYTES
            if time.monotonic() - self._told > _TOLD_EVERY_SECONDS:
                self._told = time.monotonic()
                self._options.progress(f"{self.written_bytes >> 20} MiB are written")


def _write(lab: Lab, member: LabMember, options: FaultOptions, *, limit_bytes: int | None) -> int:
    """Write keys until `limit_bytes`, or until etcd is full when it is None; return the bytes written."""
    require_running(lab, member)
    filling = _Filling(options, limit_bytes=limit_bytes)

    def write() -> None:
        while (batch := filling.next_batch()) is not None:
            answer = lab.etcdctl(
                "txn", f"--endpoints={member.client_url}", "--command-timeout=20s", stdin=batch
            )
            if answer.returncode == 0:
                filling.count()
            elif _FULL in answer.stderr:
                filling.full.set()
            else:
                raise _rejected("txn", answer.stderr)

    with ThreadPoolExecutor(_WRITERS) as pool:
        try:
            for writer in [pool.submit(write) for _ in range(_WRITERS)]:
                writer.result()
        except BaseException:
            filling.full.set()  # ends the other writers
            raise
    if limit_bytes is not None and filling.full.is_set():
        raise RejectedError(
            f"etcd was full after {filling.written_bytes >> 20} MiB", then="fault fill --undo"
        )
    return filling.written_bytes


def _drop_keys(lab: Lab, member: LabMember, options: FaultOptions) -> None:
    """Delete the keys below the prefix and compact, on every member, to the revision that is then current."""
    endpoint = f"--endpoints={member.client_url}"
    timeout = f"--command-timeout={_LONG_SECONDS:g}s"
    _require(lab, "del", "--prefix", options.prefix, endpoint, timeout)
    status = json.loads(_require(lab, "endpoint", "status", "--write-out=json", endpoint))
    revision = str(status[0]["Status"]["header"]["revision"])
    _require(lab, "compact", "--physical", revision, endpoint, timeout, fine="has been compacted")


def _require(lab: Lab, *arguments: str, fine: str = "\0") -> str:
    """Run etcdctl and return what it says; RejectedError when it fails otherwise than with `fine`."""
    answer = lab.etcdctl(*arguments, timeout_seconds=_LONG_SECONDS)
    if answer.returncode != 0 and fine not in answer.stderr:
        raise _rejected(arguments[0], answer.stderr)
    return answer.stdout


def _rejected(command: str, said: str) -> SretoolError:
    words = said.strip().splitlines()
    return RejectedError(f"etcdctl {command} failed: {words[-1][:300] if words else 'no reason given'}")
