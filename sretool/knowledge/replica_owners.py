"""Who decides a workload's number of replicas, and who would put it back: labels, field managers, owners."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

JsonObject = Mapping[str, Any]

# Field managers of GitOps controllers: Argo CD, Flux, Rancher Fleet, Config Sync.
_GITOPS_MANAGER = re.compile(
    r"argocd.*|kustomize-controller|helm-controller|flux.*|fleet.*|.*gitops.*|configsync.*|config-sync.*"
)
_FLUX = {"kustomize.toolkit.fluxcd.io": "kustomization", "helm.toolkit.fluxcd.io": "helmrelease"}
_ARGO_MARKS = ("argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever keeps an object as it is written elsewhere; `suspend` is the command that stops it."""

    name: str
    suspend: str


def find_gitops(live: JsonObject) -> Source | None:
    """Return the GitOps controller that keeps `live`, by its labels, annotations and field managers.

    None where there is none, or where Flux was told to leave this object alone.
    """
    meta = live.get("metadata", {})
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    for group, kind in _FLUX.items():
        if f"{group}/name" in labels:
            if annotations.get(f"{group}/reconcile") == "disabled":
                return None
            name, space = labels[f"{group}/name"], labels.get(f"{group}/namespace", "flux-system")
            return Source(
                name=f"Flux {kind} {space}/{name}", suspend=f"flux suspend {kind} {name} -n {space}"
            )
    for mark in _ARGO_MARKS:
        if text := labels.get(mark) or annotations.get(mark):
            name = text.split(":")[0]  # a tracking id is APP:GROUP/KIND:NAMESPACE/NAME
            return Source(
                name=f"Argo CD application {name}", suspend=f"argocd app set {name} --sync-policy none"
            )
    for entry in meta.get("managedFields") or ():
        manager = str(entry.get("manager", ""))
        if _GITOPS_MANAGER.fullmatch(manager):
            return Source(name=f"field manager {manager}", suspend=f"# stop what writes as {manager}")
    return None


def gitops_owns(live: JsonObject, *field: str) -> bool:
    """Tell whether a GitOps field manager owns `spec.FIELD` of `live`."""
    return any(_GITOPS_MANAGER.fullmatch(manager) for manager in owners_of(live, *field))


def owners_of(live: JsonObject, *field: str) -> tuple[str, ...]:
    """Return the field managers that own `spec.FIELD` of `live`, the scale subresource's among them."""
    return tuple(sorted(set(_owners(live, ("spec", *field)))))


def controllers_of(live: JsonObject) -> tuple[str, ...]:
    """Return the objects that own `live` as its controller, as `Kind/name`: they keep it as they want it."""
    owners = live.get("metadata", {}).get("ownerReferences") or ()
    return tuple(f"{one.get('kind')}/{one.get('name')}" for one in owners if one.get("controller"))


def _owners(live: JsonObject, path: tuple[str, ...]) -> Iterator[str]:
    for entry in live.get("metadata", {}).get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for name in path:
            fields = fields.get(f"f:{name}")
            if fields is None:
                break
        else:
            yield str(entry.get("manager") or "somebody")
