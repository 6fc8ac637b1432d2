"""A cluster that was opened: hands out readers, one a look, and writers to whoever may write."""

from types import TracebackType
from typing import Self

from sretool.clock import Clock, Deadline
from sretool.cluster.connections import EtcdConnections
from sretool.cluster.etcd_reader import EtcdReader
from sretool.cluster.etcd_writer import EtcdWriter
from sretool.cluster.inventory import ClusterEntry
from sretool.errors import RemoteError
from sretool.model import Identity, MemberId, Unknown, known_only


class ClusterReader:
    """Reads of one look. It has no writing method, and its connections pass no writing request."""

    def __init__(self, name: str, etcd: EtcdReader) -> None:
        self.name = name
        self.etcd = etcd

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

    def __init__(self, etcd: EtcdWriter) -> None:
        self.etcd = etcd


class Cluster:
    """The open connections to one cluster; close it, or use it in a `with`."""

    def __init__(self, entry: ClusterEntry, clock: Clock) -> None:
        self.name = entry.cluster
        self._entry = entry
        self._clock = clock
        self._etcd = EtcdConnections(entry.etcd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._etcd.close()

    def reader(self, deadline: Deadline, *, interruptible: bool = True) -> ClusterReader:
        """Return a reader that remembers nothing yet. Its waits are cut short by an interrupt, except when it
        looks after a change in flight (`interruptible=False`)."""
        etcd = EtcdReader(
            self._entry.etcd, self._etcd, clock=self._clock, deadline=deadline, interruptible=interruptible
        )
        return ClusterReader(self.name, etcd)

    def writer(self, deadline: Deadline) -> ClusterWriter:
        """Return a writer. Whoever calls this has an approved plan and the lock."""
        return ClusterWriter(EtcdWriter(self._etcd, deadline=deadline))

    def identity(self, read: ClusterReader) -> Identity:
        """Return which cluster answers; RemoteError when no member does, or members of two clusters do."""
        read.require_an_answer()
        statuses = known_only(read.etcd.status()).values()
        clusters = {status.cluster_id for status in statuses}
        if len(clusters) > 1:
            raise RemoteError(
                f"the endpoints of {self.name} belong to {len(clusters)} different etcd clusters"
            )
        members = read.etcd.member_list()
        ids = (
            {status.member_id for status in statuses}
            if isinstance(members, Unknown)
            else {member.id for member in members.members}
        )
        return Identity(
            etcd_cluster_id=f"{clusters.pop():x}",
            etcd_member_ids=tuple(sorted(str(MemberId(member)) for member in ids)),
        )
