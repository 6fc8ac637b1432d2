"""Fills a lab's etcd fast, with transactions of 128 keys on several threads."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.client import open_connection
from sretool.clients.etcd import EtcdWrites, Put
from sretool.errors import NoSpaceError
from sretool.lab import Lab

KEYS_A_TXN = 128  # etcd's default of --max-txn-ops
LARGE_BYTES = 10_000  # 128 of them stay below the limit of a request, 1.5 MiB: filled in seconds
EVENT_BYTES, LEASE_BYTES = 1_000, 400  # what Kubernetes keeps most, and what it writes most
_WRITERS = 4
_SECONDS = 30.0


def put_all(lab: Lab, puts: Iterator[Put]) -> None:
    """Put everything; NoSpaceError when etcd is full before that."""
    lock = threading.Lock()

    def batch() -> Sequence[Put]:
        with lock:
            return list(itertools.islice(puts, KEYS_A_TXN))

    with open_connection(lab, lab.members[0]) as connection, ThreadPoolExecutor(_WRITERS) as pool:
        writes = EtcdWrites(connection)

        def write() -> None:
            while some := batch():
                writes.txn((), some, timeout_seconds=_SECONDS)

        for writer in [pool.submit(write) for _ in range(_WRITERS)]:
            writer.result()


def put_live(lab: Lab, *, size_bytes: int, value_bytes: int = LARGE_BYTES) -> None:
    """Put so many bytes that stay."""
    value = b"x" * value_bytes
    keys = (f"/bench/live/{number:07d}".encode() for number in range(size_bytes // value_bytes))
    put_all(lab, (Put(key=key, value=value) for key in keys))


def put_garbage_until_full(lab: Lab, *, value_bytes: int = LARGE_BYTES) -> None:
    """Put the same keys again and again until etcd raises NOSPACE."""
    value = b"x" * value_bytes
    keys = [f"/bench/garbage/{number:03d}".encode() for number in range(KEYS_A_TXN)]
    try:
        put_all(lab, (Put(key=key, value=value) for key in itertools.cycle(keys)))
    except NoSpaceError:
        return
