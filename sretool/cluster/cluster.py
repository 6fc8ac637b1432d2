"""A cluster that was opened: hands out readers, one a look, and writers to whoever may write."""

from types import TracebackType
from typing import Self, TypeVar

from sretool.clock import Clock, Deadline
from sretool.cluster.connections import EtcdConnections
from sretool.cluster.etcd_reader import EtcdReader
from sretool.cluster.etcd_writer import EtcdWriter
from sretool.cluster.inventory import ADD_KUBECONFIG, ClusterEntry
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.cluster.lease import ClusterLease
from sretool.errors import RemoteError, UnreachableError
from sretool.knowledge.membership import clusters_told
from sretool.model import Identity, Known, MemberId, Unknown, known_only

T = TypeVar("T")


class ClusterReader:
    """Reads of one look. It has no writing method, and its connections pass no writing request."""

    def __init__(
        self,
        name: str,
        etcd: EtcdReader,
        kubernetes: KubernetesReader | None = None,
        api_server_flags: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.etcd = etcd
        self._kubernetes = kubernetes
        self.api_server_flags = api_server_flags
        """The API servers' flags that the cluster file remembers."""

    @property
    def has_kubernetes(self) -> bool:
        """Whether the cluster's entry names a kubeconfig; whether its API server answers is another question."""
        return self._kubernetes is not None

    @property
    def kubernetes(self) -> KubernetesReader:
        """The API server; UnreachableError when the cluster's entry names no kubeconfig."""
        return _require_kubernetes(self._kubernetes, self.name)

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass; InterruptedRunError when the run was asked to stop meanwhile."""
        self.etcd.wait(seconds)

    def require_an_answer(self) -> None:
        """Raise RemoteError, with what is seen of each member, when none answers."""
        if not self.etcd.answering():
            silent = "; ".join(
                f"{name}: {silence}, {why}" for name, (silence, why) in self.etcd.silences().items()
            )
            raise RemoteError(
                f"no etcd member of {self.name} answers ({silent})",
                then=f"see `sretool cluster doctor --cluster {self.name}`",
            )


class ClusterWriter:
    """Writes. Only `apply` of a step receives one, for one change at a time."""

    def __init__(self, name: str, etcd: EtcdWriter, kubernetes: KubernetesWriter | None = None) -> None:
        self.name = name
        self.etcd = etcd
        self._kubernetes = kubernetes

    @property
    def kubernetes(self) -> KubernetesWriter:
        """The API server; UnreachableError when the cluster's entry names no kubeconfig."""
        return _require_kubernetes(self._kubernetes, self.name)


class Cluster:
    """The open connections to one cluster; close it, or use it in a `with`."""

    def __init__(self, entry: ClusterEntry, clock: Clock) -> None:
        self.name = entry.cluster
        self._entry = entry
        self._clock = clock
        self._kubernetes = KubernetesConnection(entry.kubernetes) if entry.kubernetes else None
        self.lease = ClusterLease(self._kubernetes, clock) if self._kubernetes else None
        """The lock that other machines see; none without an API server. Only whoever holds a plan touches it."""
        self._etcd = EtcdConnections(entry.etcd, self._kubernetes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._etcd.close()
        if self._kubernetes is not None:
            self._kubernetes.close()

    def reader(self, deadline: Deadline, *, interruptible: bool = True) -> ClusterReader:
        """Return a reader that remembers nothing yet. Its waits are cut short by an interrupt, except when it
        looks after a change in flight (`interruptible=False`)."""
        etcd = EtcdReader(
            self._entry.etcd, self._etcd, clock=self._clock, deadline=deadline, interruptible=interruptible
        )
        api = KubernetesReader(self._kubernetes, deadline=deadline) if self._kubernetes else None
        return ClusterReader(
            self.name, etcd, api, self._entry.kubernetes.flags if self._entry.kubernetes else ()
        )

    def writer(self, deadline: Deadline) -> ClusterWriter:
        """Return a writer. Whoever calls this has an approved plan and the lock."""
        api = KubernetesWriter(self._kubernetes, deadline=deadline) if self._kubernetes else None
        return ClusterWriter(self.name, EtcdWriter(self._etcd, deadline=deadline), api)

    def identity(self, read: ClusterReader) -> Identity:
        """Return which cluster answers; RemoteError when no member does, or members of two clusters do.

        The API server, where one is known, is asked meanwhile; while it is away its part is empty.
        """
        uid = self._kubernetes.pool.submit(read.kubernetes.kube_system_uid) if self._kubernetes else None
        read.require_an_answer()
        answered = known_only(read.etcd.status())
        statuses = answered.values()
        if told := clusters_told(answered):
            raise RemoteError(
                f"the endpoints of {self.name} belong to different etcd clusters: {told}",
                then="correct those that lead elsewhere in the cluster file, or leave them out",
            )
        members = read.etcd.member_list()
        ids = (
            {status.member_id for status in statuses}
            if isinstance(members, Unknown)
            else {member.id for member in members.members}
        )
        return Identity(
            etcd_cluster_id=f"{next(iter(statuses)).cluster_id:x}",
            etcd_member_ids=tuple(sorted(str(MemberId(member)) for member in ids)),
            kubernetes_uid=_known(uid.result()) if uid else "",
        )


def _known(uid: Known[str]) -> str:
    return "" if isinstance(uid, Unknown) else uid


def _require_kubernetes(kubernetes: T | None, name: str) -> T:
    if kubernetes is None:
        raise UnreachableError(
            f"cluster {name} has no `kubernetes` section: its API server cannot be asked",
            then=ADD_KUBECONFIG.format(name=name),
        )
    return kubernetes
