"""One connection a member, opened when first needed, shared by the readers and writers of a run."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sretool.clients.etcd import Connection, Endpoint, EtcdReads, EtcdWrites, TlsFiles, connect
from sretool.cluster.inventory import EtcdAccess, InventoryMember
from sretool.errors import UnreachableError
from sretool.model import MetricsPage, Silence, Unknown

if TYPE_CHECKING:
    from sretool.clients.etcd.certificates import CertificateDays
    from sretool.clients.etcd.stored_events import StoredEvents
    from sretool.cluster.etcd_pods import EtcdPod
    from sretool.cluster.kubernetes_connection import KubernetesConnection

FIRST_PASS_SECONDS = 1.2  # a healthy member answers in milliseconds; a silent one must not cost a look more

# What asks a member otherwise than by gRPC is imported with its first use: `cluster status` on a healthy
# cluster needs none of it.


def endpoint_of(member: InventoryMember) -> Endpoint:
    """Return where `member` is reached; UsageError when its URL cannot be used."""
    return Endpoint(name=member.name, url=member.client, server_name=member.server_name)


def tls_files_of(access: EtcdAccess) -> TlsFiles | None:
    """Return the certificate files, None where etcd is reached without TLS."""
    return TlsFiles(ca=access.ca, cert=access.cert, key=access.key) if access.ca else None


class EtcdConnections:
    """The connections of one cluster, and the threads that ask its members side by side.

    `kubernetes` is for the members that are reached through their pods; closing leaves it open.
    """

    def __init__(self, access: EtcdAccess, kubernetes: "KubernetesConnection | None" = None) -> None:
        self._members = {member.name: member for member in access.members}
        self._tls = tls_files_of(access)
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()
        # What one look leaves to the next: values that are replaced whole, for looks may go on side by side.
        self.between_looks: dict[str, Any] = {}
        self._pods = _pods(access, kubernetes)
        # A latency window takes two for each member as long as it lasts, and a playbook looks with several
        # runbooks at once: none of them may wait for a thread.
        self.pool = ThreadPoolExecutor(max_workers=8 * len(access.members), thread_name_prefix="etcd")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    @property
    def patience(self) -> float:
        """How many times longer than by gRPC one request to a member may take."""
        if not self._pods:
            return 1.0
        from sretool.cluster.etcd_pods import POD_PATIENCE

        return POD_PATIENCE

    def reads(self, name: str) -> EtcdReads:
        return self._pods[name].reads() if name in self._pods else EtcdReads(self._connection(name))

    def writes(self, name: str) -> EtcdWrites:
        return self._pods[name].writes() if name in self._pods else EtcdWrites(self._connection(name))

    def stored_events(self, name: str) -> "StoredEvents":
        from sretool.clients.etcd.stored_events import StoredEvents

        if name in self._pods:
            raise UnreachableError(
                f"{name} is reached through its pod only: stored events need its client port"
            )
        return StoredEvents(self._connection(name))

    def scrape(self, name: str, *, timeout_seconds: float) -> MetricsPage:
        if name in self._pods:
            return self._pods[name].scrape(timeout_seconds=timeout_seconds)
        from sretool.clients.metrics import read_metrics

        return read_metrics(self._members[name].metrics_url, self._tls, timeout_seconds=timeout_seconds)

    def find_silence(self, name: str, timeout_seconds: float) -> tuple[Silence, str]:
        if name in self._pods:
            return self._pods[name].find_silence(timeout_seconds)
        from sretool.clients.etcd.silence import find_silence

        return find_silence(self._endpoint(name), self._tls, self._members[name].metrics_url, timeout_seconds)

    def certificate_days(
        self, name: str, *, now: datetime.datetime, timeout_seconds: float
    ) -> "CertificateDays":
        from sretool.clients.etcd.certificates import CertificateDays, days_until_expiry

        if name in self._pods:
            from sretool.cluster.etcd_pods import NO_CERTIFICATES

            return CertificateDays(client=Unknown(NO_CERTIFICATES), server=Unknown(NO_CERTIFICATES))
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
        if name in self._pods:
            raise UnreachableError(
                f"etcd {self._pods[name].where} is reached by etcdctl only: this needs its client port",
                endpoint=self._pods[name].where,
                then="give sretool a way there: a route, or SSH to its host",
            )
        with self._lock:
            if name not in self._open:
                self._open[name] = connect(self._endpoint(name), self._tls)
            return self._open[name]


def _pods(access: EtcdAccess, kubernetes: "KubernetesConnection | None") -> "dict[str, EtcdPod]":
    """Return the members that are reached inside their pods."""
    inside = {member.name: (member, member.pod) for member in access.members if member.pod is not None}
    if not inside or kubernetes is None:
        return {}
    from sretool.cluster.etcd_pods import EtcdPod

    return {name: EtcdPod(member, pod, kubernetes) for name, (member, pod) in inside.items()}
