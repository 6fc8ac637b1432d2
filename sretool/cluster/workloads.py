"""Reads Deployments, who sets their number of replicas, and what of their pods finds no node."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.errors import RemoteError
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.knowledge.replica_owners import controllers_of, find_gitops, gitops_owns
from sretool.knowledge.replica_writes import PAUSE_VERB, values_of
from sretool.knowledge.workloads import RUNAWAY_GAP, Scaler, Workload
from sretool.model import Unknown

MOST_RUNAWAYS = 10  # so many are read closely; one incident has one or two
_KEDA = "/apis/keda.sh"
_LACKING = re.compile(r"Insufficient ([\w./-]*\w)")


class _Meta(msgspec.Struct, frozen=True):
    name: str
    namespace: str = ""


class _Spec(msgspec.Struct, frozen=True):
    replicas: int = 1


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    ready_replicas: int = 0


class _Row(msgspec.Struct, frozen=True):
    """Of a Deployment what a search needs."""

    metadata: _Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str = ""
    message: str = ""


class _PodStatus(msgspec.Struct, frozen=True):
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct, frozen=True):
    status: _PodStatus = _PodStatus()


def find_runaways(api: KubernetesReader, *, namespace: str = "") -> tuple[Workload, ...]:
    """Return the Deployments, of all namespaces when empty, that run away: the farthest first.

    RemoteError when they cannot be listed.
    """
    far = []
    for page in api.typed_pages(collection_path("apps/v1", "deployments", namespace=namespace), _Row):
        far += [row.metadata for row in page if row.spec.replicas - row.status.ready_replicas > RUNAWAY_GAP]
    read = (find_workload(api, one.namespace, one.name) for one in far[:MOST_RUNAWAYS])
    found = [workload for workload in read if workload and workload.is_runaway]
    return tuple(sorted(found, key=lambda one: one.ready - one.desired))


def find_workload(api: KubernetesReader, namespace: str, name: str) -> Workload | None:
    """Return one Deployment with its pods and autoscalers, None when there is none; RemoteError otherwise."""
    live = api.find(object_path("apps/v1", "deployments", name, namespace=namespace))
    if live is None:
        return None
    meta, status = live["metadata"], live.get("status") or {}
    pending, lacking = _pending(api, namespace, live["spec"].get("selector") or {})
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
        pending=pending,
        lacking=lacking,
        scalers=scalers,
        owners=controllers_of(live),
        kept_by=kept_by,
    )


def _pending(
    api: KubernetesReader, namespace: str, selector: Mapping[str, Any]
) -> tuple[int, tuple[str, ...]]:
    """Return how many of the selected pods have no node, and what resources the nodes lack for them."""
    count, lacking = 0, set[str]()
    pages = api.typed_pages(
        collection_path("v1", "pods", namespace=namespace),
        _Pod,
        field_selector="status.phase=Pending,spec.nodeName=",
        label_selector=_label_selector(selector),
    )
    for page in pages:
        count += len(page)
        for pod in page:
            for condition in pod.status.conditions or ():
                if condition.type == "PodScheduled" and condition.status == "False":
                    lacking.update(_LACKING.findall(condition.message))
    return count, tuple(sorted(lacking))


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
