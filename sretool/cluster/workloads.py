"""Reads Deployments, who sets their number of replicas, and what of their pods finds no node."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.errors import RemoteError
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.knowledge.namespaces import parse_label_selector
from sretool.knowledge.replica_owners import controllers_of, find_gitops, gitops_owns
from sretool.knowledge.replica_writes import PAUSE_VERB, values_of
from sretool.knowledge.rollouts import find_rollout
from sretool.knowledge.workloads import Scaler, ScaleView, Workload, is_far, runs_away
from sretool.model import Unknown

MOST_RUNAWAYS = 10  # so many are read closely; one incident has one or two
_Labelled: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
_KEDA = "/apis/keda.sh"
_LACKING = re.compile(r"Insufficient ([\w./-]*\w)")
_WITHOUT_NODE = "status.phase=Pending,spec.nodeName="
_UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    labels: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class _Spec(msgspec.Struct, frozen=True):
    replicas: int = 1
    selector: dict[str, Any] = {}


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    ready_replicas: int = 0


class _Row(msgspec.Struct, frozen=True):
    """Of a Deployment what a search needs."""

    metadata: _Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def counts(self) -> dict[str, int]:
        return {"desired": self.spec.replicas, "ready": self.status.ready_replicas}


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str = ""
    message: str = ""


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""


class _PodStatus(msgspec.Struct, frozen=True):
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _Pods(msgspec.Struct, frozen=True):
    """How many pods have a node, how many have none, and what resources the nodes lack for those."""

    placed: int
    pending: int
    lacking: tuple[str, ...]


def find_runaways(api: KubernetesReader, *, namespace: str = "", most: int = MOST_RUNAWAYS) -> ScaleView:
    """Return the Deployments, of all namespaces when empty, that run away: the farthest first.

    Every Deployment is judged, at most `most`, the farthest, are read closely. RemoteError when one cannot be read.
    """
    far = []
    for page in api.typed_pages(collection_path("apps/v1", "deployments", namespace=namespace), _Row):
        far += [row for row in page if is_far(**row.counts)]
    waiting = _without_node(api, namespace) if far else Counter()
    away = [row for row in far if runs_away(**row.counts, pending=_selected(row, waiting))]
    away.sort(key=lambda row: row.status.ready_replicas - row.spec.replicas)
    read = (find_workload(api, row.metadata.namespace, row.metadata.name) for row in away[:most])
    found = [workload for workload in read if workload and workload.is_runaway]
    return ScaleView(
        workloads=tuple(sorted(found, key=lambda one: one.ready - one.desired)),
        is_named=False,
        besides=tuple(f"{row.metadata.namespace}/{row.metadata.name}" for row in away[most:]),
    )


def _without_node(api: KubernetesReader, namespace: str) -> Counter[_Labelled]:
    """Return how many pods have no node, by namespace and labels: those of one template have the same."""
    path = collection_path("v1", "pods", namespace=namespace)
    return Counter(
        (pod.metadata.namespace, frozenset((pod.metadata.labels or {}).items()))
        for page in api.typed_pages(path, _Pod, field_selector=_WITHOUT_NODE)
        for pod in page
    )


def _selected(row: _Row, pods: Counter[_Labelled]) -> int:
    """Return how many of `pods` are the Deployment's."""
    requirements = parse_label_selector(_label_selector(row.spec.selector))
    return sum(
        count
        for (namespace, labels), count in pods.items()
        if namespace == row.metadata.namespace and all(holds(dict(labels)) for holds in requirements)
    )


def find_workload(api: KubernetesReader, namespace: str, name: str) -> Workload | None:
    """Return one Deployment with its pods and autoscalers, None when there is none; RemoteError otherwise."""
    live = api.find(object_path("apps/v1", "deployments", name, namespace=namespace))
    if live is None:
        return None
    meta, status = live["metadata"], live.get("status") or {}
    pods = _pods(api, namespace, live["spec"].get("selector") or {})
    scalers = (*_hpas(api, namespace, name), *_scaled_objects(api, namespace, name))
    kept_by = find_gitops(live)
    if scalers and not gitops_owns(live, "replicas"):
        kept_by = None  # what sets the number is the autoscaler
    return Workload(
        namespace=namespace,
        name=name,
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        desired=int(live["spec"].get("replicas", 1)),
        ready=int(status.get("readyReplicas", 0)),
        pending=pods.pending,
        placed=pods.placed,
        lacking=pods.lacking,
        rollout=find_rollout(live),
        scalers=scalers,
        owners=controllers_of(live),
        kept_by=kept_by,
    )


def _pods(api: KubernetesReader, namespace: str, selector: Mapping[str, Any]) -> _Pods:
    placed, pending, lacking = 0, 0, set[str]()
    pages = api.typed_pages(
        collection_path("v1", "pods", namespace=namespace),
        _Pod,
        field_selector=_UNFINISHED,
        label_selector=_label_selector(selector),
    )
    for pod in (pod for page in pages for pod in page if not pod.metadata.deletion_timestamp):
        if pod.spec.node_name:
            placed += 1
            continue
        pending += 1
        for condition in pod.status.conditions or ():
            if condition.type == "PodScheduled" and condition.status == "False":
                lacking.update(_LACKING.findall(condition.message))
    return _Pods(placed, pending, tuple(sorted(lacking)))


def _label_selector(selector: Mapping[str, Any]) -> str:
    parts = [f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(words.get(one["operator"], f"!{key}"))
    return ",".join(parts)


def _hpas(api: KubernetesReader, namespace: str, name: str) -> Iterator[Scaler]:
    found = api.hpas(namespace)
    if isinstance(found, Unknown):
        raise RemoteError(f"the HPAs of {namespace} cannot be read: {found.reason}", then=found.then)
    for live in found:
        target = live["spec"].get("scaleTargetRef") or {}
        owners = controllers_of(live)
        if (target.get("kind"), target.get("name")) != ("Deployment", name):
            continue
        if any(owner.startswith("ScaledObject/") for owner in owners):
            continue  # KEDA's own: it follows the ScaledObject
        yield _scaler(
            "HPA",
            live,
            minimum=int(live["spec"].get("minReplicas", 1)),
            maximum=int(live["spec"]["maxReplicas"]),
            desired=int((live.get("status") or {}).get("desiredReplicas", 0)),
        )


def _scaled_objects(api: KubernetesReader, namespace: str, name: str) -> Iterator[Scaler]:
    if api.find(_KEDA) is None:
        return
    for page in api.pages(collection_path("keda.sh/v1alpha1", "scaledobjects", namespace=namespace)):
        for live in page:
            spec = live.get("spec") or {}
            target = spec.get("scaleTargetRef") or {}
            if (target.get("kind", "Deployment"), target.get("name")) == ("Deployment", name):
                yield _scaler(
                    "ScaledObject",
                    live,
                    minimum=int(spec.get("minReplicaCount", 0)),
                    maximum=int(spec.get("maxReplicaCount", 100)),
                    paused=values_of(PAUSE_VERB, live)["paused"],
                )


def _scaler(kind: str, live: Mapping[str, Any], **values: Any) -> Scaler:
    meta = live["metadata"]
    return Scaler(
        kind=kind,
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        owners=controllers_of(live),
        kept_by=find_gitops(live),
        **values,
    )
