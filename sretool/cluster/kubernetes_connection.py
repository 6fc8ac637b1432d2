"""One connection to the API server, opened when first needed, shared by the readers and writers of a run."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sretool.clients.kubernetes import Connection, KubernetesReads, KubernetesWrites
from sretool.clients.kubernetes.gates import ReadGate, WriteGate
from sretool.cluster.inventory import KubernetesAccess

_HTTPS = 443

if TYPE_CHECKING:
    from sretool.clients.etcd.certificates import CertificateDays

THREADS = 16


class KubernetesConnection:
    """The API server of one cluster, and the threads that ask it side by side. Safe to share between threads."""

    def __init__(self, access: KubernetesAccess, *, server: str = "") -> None:
        self._access = access
        self._others: dict[str, KubernetesConnection] = {}
        self._lock = threading.Lock()
        self._open = Connection(access.kubeconfig, access.context, server=server)
        self.reads = KubernetesReads(self._open)
        self.writes = KubernetesWrites(self._open)
        self.read_gate = ReadGate(self._open)
        self.write_gate = WriteGate(self._open)
        self.pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="kubernetes")

    def open(self) -> str:
        """Load the kubeconfig, run its exec plugin, and return the server's address; UnreachableError."""
        return self._open.open()

    def at(self, server: str) -> "KubernetesConnection":
        """Return a connection to one of several API servers, with the same credentials; closed with this one."""
        with self._lock:
            if server not in self._others:
                self._others[server] = KubernetesConnection(self._access, server=server)
            return self._others[server]

    def certificate_days(self, *, now: datetime.datetime, timeout_seconds: float) -> "CertificateDays":
        """Return for how many days our certificate and the server's are still valid; UnreachableError."""
        from sretool.clients.etcd import certificates as dates
        from sretool.clients.etcd.endpoint import Endpoint

        ours, shown = self._open.certificate(), self._open.shown_certificate()
        if shown:
            server = dates.days_left(dates.validity_of(shown), now=now, why="it cannot be read")
        else:
            parts = urlsplit(self.open())
            host = parts.netloc if parts.port else f"{parts.netloc}:{_HTTPS}"
            server = dates.shown_days(
                Endpoint("", f"https://{host}"), now=now, timeout_seconds=timeout_seconds
            )
        why = "it cannot be read" if ours else "we show none"
        client = dates.days_left(dates.pem_validity(ours), now=now, why=why)
        return dates.CertificateDays(client=client, server=server)

    def close(self) -> None:
        """Close the sockets; the threads end with their calls' deadlines."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            others = tuple(self._others.values())
        for other in others:
            other.close()
        self._open.close()
