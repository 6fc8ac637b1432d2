"""Clients that use etcd while it is worked on, and keep count of what that does to them."""

import contextlib
import threading
import time
from collections.abc import Iterator

from sretool.clients.etcd import Endpoint, EtcdReads, EtcdWrites, TlsFiles, connect
from sretool.clients.etcd.connection import Connection
from sretool.errors import RemoteError, SretoolError
from sretool.lab import Lab, LabMember

_REQUEST_SECONDS = 5.0  # etcdctl's own command timeout
_PAUSE_SECONDS = 0.02
_MISSING = b"/bench/no such key"


def open_connection(lab: Lab, member: LabMember) -> Connection:
    """Return a connection to one member of the lab; close it."""
    endpoint = Endpoint(name=member.name, url=member.client_url)
    return connect(endpoint, TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key)))


class Client:
    """One client of one member: reads and writes in turn, both through consensus, a short pause between.

    The write deletes a key that does not exist: etcd takes it under NOSPACE too, and no revision is used. As
    etcd's own client does (client/v3/retry.go), a read that was answered «leader changed» is asked again, and a
    write is sent once.
    """

    def __init__(self, lab: Lab, member: LabMember) -> None:
        self.requests = 0
        self.failures: list[str] = []
        self.longest_gap_seconds = 0.0
        self._connection = open_connection(lab, member)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._use, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let the request under way end, then stop."""
        self._ended.set()
        self._thread.join()
        self._connection.close()

    def _use(self) -> None:
        reads, writes = EtcdReads(self._connection), EtcdWrites(self._connection)
        answered = time.monotonic()
        while not self._ended.is_set():
            try:
                if self.requests % 2:
                    writes.delete_range(_MISSING, timeout_seconds=_REQUEST_SECONDS)
                else:
                    _read(reads)
            except SretoolError as error:
                self.failures.append(f"after {time.monotonic() - answered:.1f} s: {error}")
            else:
                now = time.monotonic()
                self.longest_gap_seconds = max(self.longest_gap_seconds, now - answered)
                answered = now
            self.requests += 1
            self._ended.wait(_PAUSE_SECONDS)
        self.longest_gap_seconds = max(self.longest_gap_seconds, time.monotonic() - answered)


def _read(reads: EtcdReads) -> None:
    ends = time.monotonic() + _REQUEST_SECONDS
    while True:
        try:
            reads.range_page(_MISSING, limit=1, timeout_seconds=max(ends - time.monotonic(), 0.001))
        except RemoteError as error:
            if "leader changed" not in error.message:
                raise
        else:
            return


@contextlib.contextmanager
def clients_of_every_member(lab: Lab) -> Iterator[list[Client]]:
    """Let one client use each member for the time of the block; their figures are whole after it."""
    clients = [Client(lab, member) for member in lab.members]
    try:
        yield clients
    finally:
        for client in clients:
            client.end()


class FirstWrite:
    """Tries to put a key until etcd takes it, and remembers when that was (wall clock, seconds)."""

    def __init__(self, lab: Lab) -> None:
        self.at: float | None = None
        self._connection = open_connection(lab, lab.members[0])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._try, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop trying."""
        self._ended.set()
        self._thread.join()
        self._connection.close()

    def _try(self) -> None:
        writes = EtcdWrites(self._connection)
        while not self._ended.wait(_PAUSE_SECONDS):
            with contextlib.suppress(SretoolError):
                writes.put(b"/bench/first write", b"", timeout_seconds=_REQUEST_SECONDS)
                self.at = time.time()
                return


@contextlib.contextmanager
def first_write(lab: Lab) -> Iterator[FirstWrite]:
    """Wait for the first successful write in the time of the block."""
    waiting = FirstWrite(lab)
    try:
        yield waiting
    finally:
        waiting.end()
