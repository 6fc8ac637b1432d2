"""The step kubernetes.control-plane: are the API servers and those who hold its leases well?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.control_plane import ControlPlane, read_control_plane
from sretool.knowledge import causes
from sretool.knowledge.control_plane_findings import control_plane_findings
from sretool.knowledge.rights import to_read
from sretool.model import Change, Known, Proposal, Risk, Unknown
from sretool.step import Duration, Step

_LONGEST_WINDOW = 600.0


class KubernetesControlPlaneParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to measure."""

    window: Annotated[
        Duration, msgspec.Meta(description="count requests, lists and refusals for this long")
    ] = Duration.parse("5s")

    def __post_init__(self) -> None:
        if not 0 < self.window <= _LONGEST_WINDOW:
            raise ValueError(f"window: {self.window:g}s is not more than nothing and at most 10m")


class KubernetesControlPlaneFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. Seconds and days are the worst of all servers, unknown where one could not be asked."""

    servers: int
    ready: int
    get_seconds: Known[float]
    stale_leases: Known[tuple[str, ...]]
    certificate_days: Known[float]
    plane: ControlPlane


class KubernetesControlPlane(Step[KubernetesControlPlaneParams, KubernetesControlPlaneFacts]):
    """Look at the control plane: each API server, what presses on it, who holds the leases, certificates.

    Reads of every API server (the kubeconfig's, and those that register themselves in the endpoint slice
    `default/kubernetes`): /readyz with the checks that fail, the time of a few small reads that go through to etcd,
    two pages of metrics at both ends of `window`, and its certificate. Reads the leases of kube-system in etcd, so
    that their age and holder are known while no API server answers: before and after the window, as a renewal in
    between is seen whatever the clocks say.

    Finds `api-down`, `api-silent`, `api-not-ready`, `api-slow`, `api-overloaded` (priority levels that hold
    requests back or refuse them), `list-pressure` and `watch-pressure` (by resource, with the flow schemas: metrics
    name no single client), `lease-stale`, `api-server-gone`, `certificate-expiring`. Stale leases follow from a
    control plane that is down, and from NOSPACE. What may not be read is told, and the answer is «cannot tell»;
    so is an API server to which no way leads from here while another one is ready.

    Changes nothing, writes nothing, proposes nothing.

    Sources: Kubernetes' API SLOs for latency, component-base for lease timings (15 s, renewed every 2 s), apiserver
    identity leases (renewed every 10 s); thresholds of list and watch pressure are ours.
    """

    uses = "kubernetes.control-plane"
    risk = Risk.READ
    causes = causes.CONTROL_PLANE
    reads_by_hand = (
        "kubectl get --raw '/readyz?verbose'",
        "kubectl -n kube-system get leases",
        "kubectl get --raw /metrics | grep -E 'current_inflight|flowcontrol_(current|rejected)|storage_list'",
    )
    rights = (
        to_read("get", "/readyz"),
        to_read("get", "/metrics"),
        to_read(
            "get", "endpointslices", "discovery.k8s.io", namespace="default", about="the other API servers"
        ),
    )

    def look(self, read: ClusterReader, params: KubernetesControlPlaneParams) -> KubernetesControlPlaneFacts:
        plane = read_control_plane(read, window=params.window)
        # We need not have a certificate; each server has one.
        days = [server.certificate_days for server in plane.servers]
        if not isinstance(plane.client_certificate_days, Unknown):
            days.append(plane.client_certificate_days)
        return KubernetesControlPlaneFacts(
            servers=len(plane.servers),
            ready=len(plane.ready),
            get_seconds=_worst([server.get_seconds for server in plane.servers], max),
            stale_leases=_stale(plane),
            certificate_days=_worst(days, min),
            plane=plane,
        )

    def plan(
        self,
        params: KubernetesControlPlaneParams,
        facts: KubernetesControlPlaneFacts,
        earlier: Sequence[Change],
    ) -> Proposal:
        return Proposal(findings=control_plane_findings(facts.plane))


def _stale(plane: ControlPlane) -> Known[tuple[str, ...]]:
    if isinstance(plane.leases, Unknown):
        return plane.leases
    return next(iter(plane.undated.values()), None) or tuple(lease.name for lease in plane.stale)


def _worst(values: Sequence[Known[float]], choose: Callable[[Iterable[float]], float]) -> Known[float]:
    """Return the worst; unknown where one is, which could be worse."""
    known = [value for value in values if not isinstance(value, Unknown)]
    if known and len(known) == len(values):
        return choose(known)
    return next((value for value in values if isinstance(value, Unknown)), Unknown("there is none"))
