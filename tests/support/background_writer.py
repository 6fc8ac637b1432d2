"""A client that keeps writing, as Kubernetes does, so that a window has samples."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial

from sretool.clients.etcd import Endpoint, EtcdWrites, TlsFiles, connect
from sretool.errors import RemoteError
from sretool.lab import Lab
from tests.support.beside import beside


@contextlib.contextmanager
def writing(lab: Lab, *, every_seconds: float = 0.1) -> Iterator[None]:
    """Write small keys through every member, each on a thread of its own, until the block ends."""
    tls = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))

    def write(name: str, url: str, ended: threading.Event) -> None:
        with connect(Endpoint(name=name, url=url), tls) as connection:
            writes = EtcdWrites(connection)
            while not ended.wait(every_seconds):
                with contextlib.suppress(RemoteError):
                    writes.put(f"background/{name}".encode(), b"x" * 100, timeout_seconds=0.5)

    with beside(*(partial(write, member.name, member.client_url) for member in lab.members)):
        yield
