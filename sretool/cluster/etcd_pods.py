"""A member that is reached inside its pod: etcdctl by exec, metrics by port-forward, through the API server."""

from typing import TYPE_CHECKING

from sretool.clients.command import CommandOutput
from sretool.clients.etcd import EtcdReads, EtcdWrites
from sretool.clients.etcdctl import Etcdctl, EtcdctlConnection
from sretool.clients.kubernetes.exec import Container
from sretool.clients.kubernetes.gates import ReadGate, WriteGate
from sretool.cluster.inventory import InventoryMember, PodAccess
from sretool.errors import NoAnswerError, RemoteError, TlsError, UnreachableError
from sretool.knowledge.metric_names import DEFRAG_INFLIGHT
from sretool.model import MetricsPage, Silence

if TYPE_CHECKING:
    from sretool.cluster.kubernetes_connection import KubernetesConnection

POD_PATIENCE = 6.0
"""So many times what a member may take by gRPC: each request starts a program there, through three servers."""

NO_CERTIFICATES = "its certificates are inside its pod, where sretool only runs etcdctl"


class EtcdPod:
    """One member's pod. Reading commands go through the reading gate, writing ones through the writing gate."""

    def __init__(self, member: InventoryMember, pod: PodAccess, kubernetes: "KubernetesConnection") -> None:
        self._metrics_url = f"{member.metrics.rstrip('/')}/metrics" if member.metrics else ""
        self._kubernetes = kubernetes
        self._box = Container(namespace=pod.namespace, pod=pod.name, container=pod.container)
        self._etcdctl = Etcdctl(
            endpoint=pod.endpoint,
            ca=pod.ca,
            cert=pod.cert,
            key=pod.key,
            by_hand=pod.by_hand,
        )
        self.where = f"{member.name} (in pod {self._box})"

    def reads(self) -> EtcdReads:
        return EtcdReads(self._by_etcdctl(self._kubernetes.read_gate))

    def writes(self) -> EtcdWrites:
        return EtcdWrites(self._by_etcdctl(self._kubernetes.write_gate))

    def scrape(self, *, timeout_seconds: float) -> MetricsPage:
        """Return the metrics page; UnreachableError when the inventory names no listener of its own for them.

        On the client port they want a client certificate, and those stay inside the pod.
        """
        if not self._metrics_url:
            raise UnreachableError(
                f"the metrics of {self.where} cannot be read: the cluster file names no `metrics` listener",
                then="see --listen-metrics-urls in the pod; without metrics nothing is defragmented",
            )
        return self._kubernetes.read_gate.metrics(
            self._box, self._metrics_url, timeout_seconds=timeout_seconds
        )

    def find_silence(self, timeout_seconds: float) -> tuple[Silence, str]:
        """Return why the member gives no Status, and the evidence: by its metrics, else by what etcdctl says."""
        half = timeout_seconds / 2
        try:
            page = self.scrape(timeout_seconds=half)
        except RemoteError:
            return self._silence_by_etcdctl(half)
        if page.value(DEFRAG_INFLIGHT) == 1:
            return Silence.DEFRAGMENTING, f"its metrics say {DEFRAG_INFLIGHT} 1"
        return Silence.SLOW, "its metrics answer, Status does not"

    def _silence_by_etcdctl(self, timeout_seconds: float) -> tuple[Silence, str]:
        try:
            self.reads().status(timeout_seconds=timeout_seconds)
        except RemoteError as error:
            if error.endpoint != self.where:  # the API server's answer, or none of it
                return Silence.UNREACHABLE, error.message
            kinds = {TlsError: Silence.TLS, UnreachableError: Silence.DEAD, NoAnswerError: Silence.FROZEN}
            return kinds.get(type(error), Silence.UNREACHABLE), error.message
        return Silence.SLOW, "Status came at the second try"

    def _by_etcdctl(self, gate: ReadGate | WriteGate) -> EtcdctlConnection:
        def run(words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
            return gate.run(self._box, words, timeout_seconds=timeout_seconds)

        return EtcdctlConnection(self.where, self._etcdctl, run)
