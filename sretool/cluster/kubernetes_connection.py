"""One connection to the API server, opened when first needed, shared by the readers and writers of a run."""

import datetime
import functools
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
    """The API server of one cluster, and the threads that ask it side by side."""

    def __init__(self, access: KubernetesAccess, *, server: str = "") -> None:
        self._access = access
        self._others: dict[str, KubernetesConnection] = {}
        self._open = Connection(access.kubeconfig, access.context, server=server)
        self.reads = KubernetesReads(self._open)
        self.writes = KubernetesWrites(self._open)
        self.read_gate = ReadGate(self._open)
        self.write_gate = WriteGate(self._open)

    def open(self) -> str:
        """Load the kubeconfig, run its exec plugin, and return the server's address; UnreachableError."""
        return self._open.open()

    def at(self, server: str) -> "KubernetesConnection":
        """Return a connection to one of several API servers, with the same credentials; closed with this one."""
        if server not in self._others:
            self._others[server] = KubernetesConnection(self._access, server=server)
        return self._others[server]

    def certificate_days(self, *, now: datetime.datetime, timeout_seconds: float) -> "CertificateDays":
        """Return for how many days our certificate and the server's are still valid; UnreachableError."""
        from sretool.clients.etcd.certificates import days_until_expiry
        from sretool.clients.etcd.endpoint import Endpoint, TlsFiles

        tls = TlsFiles("", cert=self._open.certificate())
        parts = urlsplit(self.open())
        host = parts.netloc if parts.port else f"{parts.netloc}:{_HTTPS}"
        endpoint = Endpoint("", f"https://{host}")
        return days_until_expiry(endpoint, tls, now=now, timeout_seconds=timeout_seconds)

    @functools.cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="kubernetes")

    def close(self) -> None:
        """Close the sockets; the threads end with their calls' deadlines."""
        if "pool" in self.__dict__:
            self.pool.shutdown(wait=False, cancel_futures=True)
        for other in self._others.values():
            other.close()
        self._open.close()
