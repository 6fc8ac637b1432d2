"""One gRPC connection a member, opened when first needed, shared by the readers and writers of a run."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sretool.clients.etcd import Connection, Endpoint, EtcdReads, EtcdWrites, TlsFiles, connect
from sretool.cluster.inventory import EtcdAccess, InventoryMember
from sretool.model import MetricsPage, Silence

if TYPE_CHECKING:
    from sretool.clients.etcd.certificates import CertificateDays

# What asks a member otherwise than by gRPC is imported with its first use: `cluster status` on a healthy
# cluster needs none of it.


def endpoint_of(member: InventoryMember) -> Endpoint:
    """Return where `member` is reached; UsageError when its URL cannot be used."""
    return Endpoint(name=member.name, url=member.client, server_name=member.server_name)


def tls_files_of(access: EtcdAccess) -> TlsFiles | None:
    """Return the certificate files, None where etcd is reached without TLS."""
    return TlsFiles(ca=access.ca, cert=access.cert, key=access.key) if access.ca else None


class EtcdConnections:
    """The connections of one cluster, and the threads that ask its members side by side."""

    def __init__(self, access: EtcdAccess) -> None:
        self._members = {member.name: member for member in access.members}
        self._tls = tls_files_of(access)
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()
        # Three looks may overlap (a latency window, a status, an observation): never wait for a thread.
        self.pool = ThreadPoolExecutor(max_workers=4 * len(access.members), thread_name_prefix="etcd")

    def reads(self, name: str) -> EtcdReads:
        return EtcdReads(self._connection(name))

    def writes(self, name: str) -> EtcdWrites:
        return EtcdWrites(self._connection(name))

    def scrape(self, name: str, *, timeout_seconds: float) -> MetricsPage:
        from sretool.clients.metrics import read_metrics

        return read_metrics(self._members[name].metrics_url, self._tls, timeout_seconds=timeout_seconds)

    def find_silence(self, name: str, timeout_seconds: float) -> tuple[Silence, str]:
        from sretool.clients.etcd.silence import find_silence

        return find_silence(self._endpoint(name), self._tls, self._members[name].metrics_url, timeout_seconds)

    def certificate_days(
        self, name: str, *, now: datetime.datetime, timeout_seconds: float
    ) -> "CertificateDays":
        from sretool.clients.etcd.certificates import days_until_expiry

        return days_until_expiry(
            self._endpoint(name), self._tls or TlsFiles(ca=""), now=now, timeout_seconds=timeout_seconds
        )

    def close(self) -> None:
        """Close every channel; the threads end with their calls' deadlines."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()

    def _endpoint(self, name: str) -> Endpoint:
        return endpoint_of(self._members[name])

    def _connection(self, name: str) -> Connection:
        with self._lock:
            if name not in self._open:
                self._open[name] = connect(self._endpoint(name), self._tls)
            return self._open[name]
