"""The step kubernetes.scale-down: hold what scales a runaway Deployment up, then scale it down."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.state import read_leases
from sretool.cluster.workloads import find_runaways, find_workload
from sretool.errors import ConflictError, RemoteError, UsageError
from sretool.knowledge import causes
from sretool.knowledge.guard_leases import CONTROLLER_MANAGER, is_stale
from sretool.knowledge.replica_writes import (
    JSON_PATCH,
    MERGE_PATCH,
    PAUSE_VERB,
    guarded_patch_of,
    judge_write,
    patch_of,
    path_of,
)
from sretool.knowledge.rights import to_read, to_write
from sretool.knowledge.scale_down import scale_proposal
from sretool.knowledge.words import show_seconds
from sretool.knowledge.workloads import ScaleView
from sretool.model import Change, Known, Outcome, Proposal, Result, Risk, Unknown
from sretool.step import Step

LOOK_SECONDS = 0.2
# The controller deletes twenty pods a second; one HPA period without any is no progress.
STANDSTILL_SECONDS = 15.0
# A controller-manager that ended while etcd took no writes is started again by the kubelet after 5 min at most, and
# then waits for the old one's lease, 15 s.
RESTART_SECONDS = 330.0

_NAME = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"


class KubernetesScaleDownParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Deployment is scaled to how many replicas. None is named: runaways are only looked for."""

    namespace: Annotated[
        str,
        msgspec.Meta(
            pattern=_NAME,
            max_length=63,
            description="the Deployment's namespace; without a name, where to look (empty: all)",
        ),
    ] = ""
    deployment: Annotated[
        str,
        msgspec.Meta(
            pattern=_NAME,
            max_length=253,
            description="the Deployment; empty: look for runaways and change nothing",
        ),
    ] = ""
    replicas: Annotated[
        int, msgspec.Meta(ge=0, description="scale down to this many, at least 1; must be given with a name")
    ] = 0
    accept_outage: Annotated[
        bool, msgspec.Meta(description="scale below half of the replicas that are ready")
    ] = False

    def __post_init__(self) -> None:
        if self.deployment and not self.namespace:
            raise ValueError(f"deployment {self.deployment} needs its namespace")
        if self.deployment and self.replicas < 1:
            raise ValueError(
                f"deployment {self.deployment} needs replicas, at least 1: no number is the default"
            )
        if self.replicas and not self.deployment:
            raise ValueError(f"replicas {self.replicas} needs the deployment that it is for")


class KubernetesScaleDownFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The named Deployment, else the worst runaway: `hpa` is its autoscaler, empty when it has none.

    `target` is the number that was asked for; without one, how many of the worst runaway's replicas have a node,
    and at least those that are ready (1 when none has): a replica whose pod was never created has none.
    """

    runaway: Known[bool]
    namespace: Known[str]
    deployment: Known[str]
    target: Known[int]
    pending: Known[int]
    replicas: Known[int]
    ready: Known[int]
    hpa: Known[str]
    view: ScaleView


class KubernetesScaleDown(Step[KubernetesScaleDownParams, KubernetesScaleDownFacts]):
    """Scale a runaway Deployment down to a given number, after what would scale it up again is held there.

    Reads the Deployment, its pods, the HPAs and KEDA ScaledObjects that name it, and its labels,
    owners and field managers. Without a name it reads all Deployments and the pods without a node, and says which
    run away: more than 50 replicas, and more than 30 % of those desired, are not ready and no node takes the pods.
    The ten farthest are read closely, the others told by name.

    Changes, in this order and one at a time: `maxReplicas` of the HPA (and `minReplicas`, where that is more),
    or KEDA's annotation `paused-replicas`; then the scale subresource. Each is good only for the object as it
    was read, or where no more than its status moved since. Then it watches until the surplus pods are gone (a
    rollout under way may keep its `maxSurge` more); with none gone for 15 s it says so, or waits for a
    controller-manager that has not renewed its lease (it ends while etcd takes no writes), 5.5 minutes at most.
    The ReplicaSet controller deletes pending pods before ready ones.

    Refuses kube-system, kube-public and kube-node-lease; less than half of the replicas that are ready, unless
    `accept_outage`; and a Deployment or autoscaler that an operator, Argo CD or Flux would put back: the command
    or the commit that does it is shown. Held while its autoscalers cannot be read. Never to 0.

    Undo puts back the autoscaler's bounds, then the replicas: only where nobody changed them since. The events
    of the pods stay until they expire. PodDisruptionBudgets do not apply to scaling.

    Sources: pkg/controller/podautoscaler/horizontal.go (above `maxReplicas` it scales at once),
    pkg/controller/replicaset, keda.sh docs «Pausing autoscaling».
    """

    uses = "kubernetes.scale-down"
    risk = Risk.DISRUPTIVE
    causes = causes.WORKLOADS
    reads_by_hand = (
        "kubectl get deployments,hpa -A",
        "kubectl get pods -A --field-selector=status.phase=Pending",
    )
    rights = (
        to_read("get list", "deployments", "apps"),
        to_read("list", "horizontalpodautoscalers", "autoscaling"),
        to_read("list", "scaledobjects", "keda.sh", only="where KEDA is installed"),
        to_read("list", "pods", about="which of them find no node"),
        to_write("patch", "deployments/scale", "apps"),
        to_write("get patch", "horizontalpodautoscalers", "autoscaling", about="holds the autoscaler first"),
        to_write("get patch", "scaledobjects", "keda.sh", only="where KEDA is installed"),
    )

    def look(self, read: ClusterReader, params: KubernetesScaleDownParams) -> KubernetesScaleDownFacts:
        view = _read_view(read, params)
        if view.missing:
            unread = Unknown(view.missing)
            return KubernetesScaleDownFacts(
                runaway=unread,
                namespace=unread,
                deployment=unread,
                target=unread,
                pending=unread,
                replicas=unread,
                ready=unread,
                hpa=unread,
                view=view,
            )
        first = view.workloads[0] if view.workloads else None
        none = Unknown("no Deployment runs away")
        return KubernetesScaleDownFacts(
            runaway=view.has_runaway,
            namespace=first.namespace if first else none,
            deployment=first.name if first else none,
            target=(params.replicas or first.fitting) if first else none,
            pending=first.pending if first else 0,
            replicas=first.desired if first else 0,
            ready=first.ready if first else 0,
            hpa=first.scalers[0].name if first and first.scalers else "",
            view=view,
        )

    def plan(
        self, params: KubernetesScaleDownParams, facts: KubernetesScaleDownFacts, earlier: Sequence[Change]
    ) -> Proposal:
        return scale_proposal(
            facts.view, replicas=params.replicas, accept_outage=params.accept_outage, uses=self.uses
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        if not change.reverses:
            try:
                write.kubernetes.patch(path_of(change), patch_of(change), content_type=MERGE_PATCH)
            except ConflictError:
                if change.verb == PAUSE_VERB:
                    raise
            else:
                return
        # A runaway's status moves all the time; what was approved is about the spec.
        write.kubernetes.patch(path_of(change), guarded_patch_of(change), content_type=JSON_PATCH)

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        began, first = read.etcd.now(), None
        while True:
            try:
                outcome = judge_write(change, read.kubernetes.find(path_of(change, whole=True)))
            except RemoteError as error:
                return Outcome(result=Result.CANNOT_TELL, evidence=error.message)
            if outcome.result is not Result.STILL_GOING:
                return outcome
            there = outcome.measured["replicas"]
            if first is not None and there < first:
                return outcome
            first = there
            if read.etcd.now() - began > STANDSTILL_SECONDS:
                return _standstill(read, change, outcome)
            read.wait(LOOK_SECONDS)


def _standstill(read: ClusterReader, change: Change, outcome: Outcome) -> Outcome:
    """The number is set and no pod goes. That may change while the controller-manager is away, and only then."""
    since = read.etcd.between_looks.setdefault(f"standstill of {change.key}", read.etcd.now())
    seconds = read.etcd.now() - since + STANDSTILL_SECONDS
    away = _controller_away(read)
    words = f"{outcome.evidence}: the number is set, but no pod went in {seconds:.0f} s; "
    if away and seconds < RESTART_SECONDS:
        return msgspec.structs.replace(outcome, evidence=f"{words}{away}")
    return msgspec.structs.replace(
        outcome,
        result=Result.PARTLY,
        evidence=f"{words}{away or 'does the controller-manager run?'}",
        commands=(
            f"kubectl -n kube-system get lease {CONTROLLER_MANAGER}",
            f"kubectl -n {change.selection['namespace']} describe deployment {change.selection['name']}",
        ),
    )


def _controller_away(read: ClusterReader) -> str:
    """Return since when the controller-manager has not renewed its lease; empty when it does or nobody knows."""
    leases = read_leases(read.etcd)
    for lease in () if isinstance(leases, Unknown) else leases:
        if (
            lease.name == CONTROLLER_MANAGER
            and is_stale(lease)
            and not isinstance(lease.age_seconds, Unknown)
        ):
            return f"the controller-manager has not renewed its lease for {show_seconds(lease.age_seconds)}"
    return ""


def _read_view(read: ClusterReader, params: KubernetesScaleDownParams) -> ScaleView:
    if not params.deployment:
        return find_runaways(read.kubernetes, namespace=params.namespace)
    try:
        found = find_workload(read.kubernetes, params.namespace, params.deployment)
    except RemoteError as error:
        return ScaleView(workloads=(), is_named=True, missing=error.message)
    if found is None:
        raise UsageError(
            f"there is no Deployment {params.namespace}/{params.deployment} in {read.name}",
            then=f"kubectl -n {params.namespace} get deployments",
        )
    return ScaleView(workloads=(found,), is_named=True)
