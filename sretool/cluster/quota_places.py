"""What a quota rollout finds: the chosen namespaces, their objects, their use, and what the server refuses."""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import msgspec

from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.errors import (
    NoQuorumError,
    NoSpaceError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    TooManyRequestsError,
)
from sretool.knowledge.field_ownership import applied_fields
from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.namespaces import Namespace, Selection, choose_namespaces, is_system
from sretool.knowledge.quantities import NANO, parse_quantity
from sretool.knowledge.quota_rollout import FIELD_MANAGER, body_of, path_of, selection_of
from sretool.knowledge.quota_view import Place, RolloutView, State
from sretool.knowledge.quotas import (
    COUNTED,
    LIMIT_RANGE,
    PLURALS,
    RESOURCE_QUOTA,
    CountedObject,
    ObjectName,
    Pod,
    Tally,
    Template,
    Use,
)
from sretool.model import Known, Unknown

Object = Mapping[str, Any]


class _Asked(msgspec.Struct, frozen=True):
    """Of an object that was asked for by its name, which one it is."""

    metadata: ObjectName


_ASKED = msgspec.json.Decoder(_Asked)

_FEW = 8  # so many namespaces are asked for their pods one by one; more cost less in one list
_SAMPLE = 12  # new namespaces of which the server is asked for a dry run, evenly spread over their names

# The server's No that is about this moment, or about us, and not about one namespace's objects.
_NOT_ABOUT_THE_OBJECT = (NotPermittedError, NoQuorumError, NoSpaceError, TooManyRequestsError)


def read_rollout(
    kubernetes: KubernetesReader, selection: Selection, *, template: Template, names: Mapping[str, str]
) -> RolloutView:
    """Return what the namespaces of `selection` have and use; `names` are the objects', by kind.

    Three lists; where something differs from `template` also pods, what else it counts, and dry runs.
    """
    asked: tuple[Callable[[], Known[tuple[Object, ...]]], ...] = (
        kubernetes.namespaces,
        kubernetes.resource_quotas,
        kubernetes.limit_ranges,
    )
    listed, quotas, ranges = map(_required, kubernetes.side_by_side(asked, lambda read: read()))
    namespaces = [_namespace(one) for one in listed]
    with_quota = {one["metadata"]["namespace"] for one in quotas}
    without = sum(one.name not in with_quota and not is_system(one) for one in namespaces)
    choice = choose_namespaces(namespaces, selection)
    live = {
        kind: {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in objects}
        for kind, objects in ((LIMIT_RANGE, ranges), (RESOURCE_QUOTA, quotas))
    }
    others: dict[str, dict[str, frozenset[str]]] = {}
    for one in ranges:
        if one["metadata"]["name"] != names[LIMIT_RANGE] and (defaults := _defaults_of(one)):
            others.setdefault(one["metadata"]["namespace"], {})[one["metadata"]["name"]] = defaults
    wanted: Mapping[str, State] = {kind: {"spec": spec} for kind, spec in template.specs.items()}
    places = [_place(name, wanted, names, live, others.get(name, {})) for name in choice.names]
    due = [place for place in places if place.is_due]
    uses = _uses(kubernetes, template, [place.name for place in due]) if due else {}
    known = {place.name: place for place in _all_tried(kubernetes, due, names)}
    return RolloutView(
        template=template,
        names=names,
        places=tuple(
            msgspec.structs.replace(known[place.name], use=uses[place.name]) if place.is_due else place
            for place in places
        ),
        refusal=choice.refusal,
        without_quota=without,
    )


def _place(
    name: str,
    wanted: Mapping[str, State],
    names: Mapping[str, str],
    live: Mapping[str, Mapping[tuple[str, str], Object]],
    others: Mapping[str, frozenset[str]],
) -> Place:
    there = {kind: live[kind].get((name, names[kind])) for kind in wanted}
    exist = {kind: one for kind, one in there.items() if one is not None}
    quota = exist.get(RESOURCE_QUOTA)
    now = {kind: state_of(one) for kind, one in there.items()}
    return Place(
        name=name,
        now=now,
        wanted=wanted,
        found={
            kind: json.dumps(one.get("spec", {}), sort_keys=True, separators=(",", ":"))
            for kind, one in exist.items()
            if now[kind] != wanted[kind]  # of thousands that are as they should be nothing is told
        },
        uids={kind: one["metadata"]["uid"] for kind, one in exist.items()},
        others=tuple(sorted(others)),
        defaults=frozenset().union(*others.values()),
        is_uncounted=quota is not None and not _is_counted(quota),
    )


def _all_tried(kubernetes: KubernetesReader, due: Sequence[Place], names: Mapping[str, str]) -> list[Place]:
    """Return `due`, with what the server refused in dry runs.

    Tried is every namespace where an object exists, because its fields may be another's. Where both are new,
    namespaces are alike for the server unless a webhook or a policy tells them apart: a sample is tried, and
    all of them when one is refused. A dry run costs the server as much as the apply.
    """
    new = [place for place in due if not place.found]
    sample = {place.name for place in new[:: max(1, len(new) // _SAMPLE)]}

    def tried(places: Sequence[Place]) -> list[Place]:
        return kubernetes.side_by_side(places, lambda place: _tried(kubernetes, place, names))

    known = {place.name: place for place in tried([one for one in due if one.found or one.name in sample])}
    if any(known[name].refusal for name in sample):
        known |= {place.name: place for place in tried([one for one in new if one.name not in sample])}
    return [known.get(place.name, place) for place in due]


def _tried(kubernetes: KubernetesReader, place: Place, names: Mapping[str, str]) -> Place:
    """Return `place` with the server's refusal of a dry run, if it refuses."""
    selection = selection_of(place, names)
    for kind in place.differing:
        state = place.wanted[kind]
        path = path_of(place.name, kind, names[kind])
        try:
            kubernetes.dry_run_apply(path, body_of(selection, kind, state or {}), field_manager=FIELD_MANAGER)
        except _NOT_ABOUT_THE_OBJECT:
            raise
        except RejectedError as error:
            live = f"{path.rsplit('/', 2)[1]} {names[kind]} -o yaml --show-managed-fields"
            by_hand = error.then.replace("NAMESPACE", place.name) or f"kubectl -n {place.name} get {live}"
            return msgspec.structs.replace(place, refusal=error.message, refused_commands=(by_hand,))
    return place


def _uses(kubernetes: KubernetesReader, template: Template, names: Sequence[str]) -> dict[str, Use]:
    tallies = {name: Tally(template) for name in names}
    namespaces = names if len(names) <= _FEW else ("",)
    for namespace in namespaces:
        for page in kubernetes.typed_pages(collection_path("v1", "pods", namespace=namespace), Pod):
            for pod in page:
                if tally := tallies.get(pod.metadata.namespace):
                    tally.add_pod(pod)
    for name in template.hard:
        path = COUNTED.get("persistentvolumeclaims" if name == "requests.storage" else name)
        for objects in kubernetes.typed_pages(path, CountedObject) if path else ():
            for one in objects:
                if tally := tallies.get(one.metadata.namespace):
                    tally.add(name, _amount(name, one))
    return {name: tally.use() for name, tally in tallies.items()}


def _amount(name: str, one: CountedObject) -> int:
    if name != "requests.storage":
        return NANO
    return parse_quantity(one.spec.resources.requests.get("storage", "0"))


def live_objects(
    kubernetes: KubernetesReader, selections: Sequence[Mapping[str, Any]]
) -> list[dict[str, Object]]:
    """Return by kind what is there now of each selection (of a change); RemoteError when it cannot be read.

    Few are read one by one, many from one list of each kind and name.
    """
    wanted = [(one["namespace"], kind, name) for one in selections for kind, name in one["names"].items()]
    namespaces = frozenset(one["namespace"] for one in selections)
    found: dict[tuple[str, str, str], Object | None] = {}
    if len(selections) <= _FEW:
        paths = [path_of(*one) for one in wanted]
        found |= zip(wanted, kubernetes.side_by_side(paths, kubernetes.find), strict=True)
    else:
        lists = sorted({(kind, name) for _, kind, name in wanted})
        for (kind, name), objects in zip(
            lists,
            kubernetes.side_by_side(lists, lambda one: _named(kubernetes, *one, namespaces)),
            strict=True,
        ):
            found |= {(namespace, kind, name): one for namespace, one in objects.items()}
    return [
        {
            kind: one
            for kind, name in place["names"].items()
            if (one := found.get((place["namespace"], kind, name))) is not None
        }
        for place in selections
    ]


def _named(
    kubernetes: KubernetesReader, kind: str, name: str, namespaces: Container[str]
) -> dict[str, Object]:
    """Return by namespace the objects of a name. Of the others, which are all of a rollout, nothing is built."""
    pages = kubernetes.typed_pages(
        collection_path("v1", PLURALS[kind]), msgspec.Raw, field_selector=f"metadata.name={name}"
    )
    return {
        namespace: msgspec.json.decode(one, type=dict[str, Any])
        for page in pages
        for one in page
        if (namespace := _ASKED.decode(one).metadata.namespace) in namespaces
    }


def state_of(live: Object | None) -> State:
    """Return what of an object is ours: None when there is no object."""
    return None if live is None else applied_fields(live, FIELD_MANAGER)


def _required(objects: Known[tuple[Object, ...]]) -> tuple[Object, ...]:
    if isinstance(objects, Unknown):
        raise RemoteError(objects.reason, then=objects.then)
    return objects


def _namespace(one: Object) -> Namespace:
    return Namespace(
        name=one["metadata"]["name"],
        labels=one["metadata"].get("labels", {}),
        terminating=one.get("status", {}).get("phase") == "Terminating",
    )


def _defaults_of(limit_range: Object) -> frozenset[str]:
    """Return what it gives containers that name none: `requests.cpu`, `limits.memory`."""
    return frozenset(
        f"{side}.{resource}"
        for item in limit_range.get("spec", {}).get("limits", ())
        if item.get("type") == "Container"
        for side, key in (("limits", "default"), ("requests", "defaultRequest"))
        for resource in item.get(key) or ()
    )


def _is_counted(quota: Object) -> bool:
    return set(quota.get("spec", {}).get("hard", {})) <= set(quota.get("status", {}).get("hard", {}))
