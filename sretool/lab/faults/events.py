"""An event flood: events written straight into etcd, in the API server's own format, faster than it can."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sretool.clients.etcd import (
    Connection,
    Delete,
    Endpoint,
    EtcdReads,
    EtcdWrites,
    Put,
    TlsFiles,
    connect,
    prefix_end,
)
from sretool.errors import RefusedError, RejectedError, RemoteError, Touched, UsageError
from sretool.lab.event_encoding import EventKind, event_encoder
from sretool.lab.faults.kubernetes import ensure_namespaces, remove_namespaces
from sretool.lab.faults.options import FaultOptions
from sretool.lab.lab import Lab

_EVENTS = "/registry/events/"
_NAMESPACES = b"/registry/namespaces/"
_MARK = "flood-"  # begins the name of every event of a flood, and of no other
_COUNT = 100_000
_NAMESPACE = "flood"
_PODS = 500
_PUTS = 100  # in a transaction; etcd takes 128
_WRITERS = 4
_SECONDS = 30.0
_TOLD_EVERY_SECONDS = 5.0
_SCHEDULING = "FailedScheduling"
_UNSCHEDULABLE = (
    "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory. preemption: 0/3 nodes are available:"
    " 3 No preemption victims found for incoming pod."
)


def flood(lab: Lab, options: FaultOptions) -> str:
    """Write so many Warning events about pods that do not exist, made one after another in the last minutes.

    They do not expire: unlike those that the API server writes they have no lease.
    """
    count = options.count or _COUNT
    if options.minutes < 1:
        raise UsageError(f"events cannot be spread over {options.minutes} minutes")
    namespaces = options.namespaces or (_NAMESPACE,)
    with lab.api() as api:
        ensure_namespaces(api, namespaces, fault="event-flood")
    kinds = [_kind(space, reason) for space in namespaces for reason in options.reasons or (_SCHEDULING,)]
    began = time.monotonic()
    _write(lab, _Flood(kinds, count=count, options=options))
    seconds = time.monotonic() - began
    return (
        f"{count} events in {len(namespaces)} namespace{'' if len(namespaces) == 1 else 's'},"
        f" written in {seconds:.1f} s"
    )


def drain(lab: Lab, _options: FaultOptions) -> str:
    """Delete the events of every flood, and the namespaces that were made for them."""
    lab.require_kubernetes()
    removed = 0
    with _connect(lab, 0) as connection:
        reads, writes = EtcdReads(connection), EtcdWrites(connection)
        keys, _, _ = reads.key_names(_NAMESPACES, prefix_end(_NAMESPACES), limit=0, timeout_seconds=_SECONDS)
        for key in keys:
            prefix = f"{_EVENTS}{key.removeprefix(_NAMESPACES).decode()}/{_MARK}".encode()
            result = writes.txn([], [Delete(key=prefix, range_end=prefix_end(prefix))], timeout_seconds=120.0)
            removed += result.deleted
    try:
        return f"{removed} events deleted, {remove_namespaces(lab, fault='event-flood')}"
    except RemoteError as error:
        raise RejectedError(
            f"{removed} events deleted, but not the namespaces made for them: {error}",
            touched=Touched.CHANGED,
            then="with the API server up and NOSPACE disarmed, run the undo again",
        ) from error


class _Flood:
    """The events to write, and what the writers share: which batch is next, when to tell, when to end."""

    def __init__(self, kinds: Sequence[EventKind], *, count: int, options: FaultOptions) -> None:
        self._encoders: list[tuple[EventKind, Callable[[str, str, str, int], bytes]]] = [
            (kind, event_encoder(kind)) for kind in kinds
        ]
        self._count = count
        self._run = secrets.token_hex(4)
        self._newest = int(time.time())
        self._span_seconds = options.minutes * 60
        self._progress = options.progress
        self._lock = threading.Lock()
        self._next = 0
        self._told = time.monotonic()
        self.ended = threading.Event()

    def next_batch(self) -> list[Put]:
        """Return the puts of one transaction; none when all have been given out."""
        with self._lock:
            first = self._next
            self._next = min(first + _PUTS, self._count)
            last = self._next
            if time.monotonic() - self._told > _TOLD_EVERY_SECONDS:
                self._told = time.monotonic()
                self._progress(f"{first} of {self._count} events are written")
        return [] if self.ended.is_set() else [self._put(number) for number in range(first, last)]

    def _put(self, number: int) -> Put:
        kind, encode = self._encoders[number % len(self._encoders)]
        pod = f"{_MARK}{number // len(self._encoders) % _PODS:04d}"
        name = f"{pod}.{self._run}{number:08x}"
        uid = f"{self._run}-0000-4000-8000-{number:012x}"
        seconds = self._newest - self._span_seconds * (self._count - number) // self._count
        return Put(key=f"{_EVENTS}{kind.namespace}/{name}".encode(), value=encode(name, uid, pod, seconds))


def _write(lab: Lab, flood: _Flood) -> None:
    def write(number: int) -> None:
        with _connect(lab, number) as connection:
            writes = EtcdWrites(connection)
            while batch := flood.next_batch():
                writes.txn([], batch, timeout_seconds=_SECONDS)

    with ThreadPoolExecutor(_WRITERS) as pool:
        try:
            for writer in [pool.submit(write, number) for number in range(_WRITERS)]:
                writer.result()
        finally:
            flood.ended.set()  # ends the other writers


def _connect(lab: Lab, number: int) -> Connection:
    """Return a connection to a member that runs, a different one for each number as long as there are any."""
    running = [member for member in lab.members if member.pid]
    if not running:
        raise RefusedError(
            f"no etcd member of the lab {lab.name} runs", then=f"sretool lab up --name {lab.name}"
        )
    member = running[number % len(running)]
    tls = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))
    return connect(Endpoint(member.name, member.client_url), tls)


def _kind(namespace: str, reason: str) -> EventKind:
    scheduling = reason == _SCHEDULING
    return EventKind(
        namespace=namespace,
        reason=reason,
        message=_UNSCHEDULABLE if scheduling else f"{reason}: an event of a flood, written by sretool lab",
        component="default-scheduler" if scheduling else "kubelet",
        modern=scheduling,
    )
