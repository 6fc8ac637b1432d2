"""ResourceQuota and LimitRange as text pairs, and what pods use of them: the API server's own arithmetic."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.quantities import NANO, canonical_quantity, parse_quantity, write_binary, write_decimal

COMPUTE = ("cpu", "memory", "ephemeral-storage")
LIMIT_RANGE, RESOURCE_QUOTA = "LimitRange", "ResourceQuota"
KINDS = (LIMIT_RANGE, RESOURCE_QUOTA)  # in this order: the defaults stand before the quota demands them
PLURALS = {LIMIT_RANGE: "limitranges", RESOURCE_QUOTA: "resourcequotas"}

# Not secrets: counting them would read every one of them in clear.
_CORE = ("services", "configmaps", "persistentvolumeclaims", "replicationcontrollers")
_GROUPED = {
    "apps": ("deployments", "statefulsets", "daemonsets", "replicasets"),
    "batch": ("jobs", "cronjobs"),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "autoscaling": ("horizontalpodautoscalers",),
}
COUNTED_KINDS = (
    *(("", name) for name in _CORE),
    *((group, name) for group, names in _GROUPED.items() for name in names),
)
"""API group and plural of what a quota may count, pods excepted: what the right to count them is about."""

COUNTED: Mapping[str, str] = {
    **{name: collection_path("v1", name) for name in _CORE},
    **{f"count/{name}": collection_path("v1", name) for name in _CORE},
    **{
        f"count/{name}.{group}": collection_path(f"{group}/v1", name)
        for group, names in _GROUPED.items()
        for name in names
    },
}
"""Object counts of a quota, and the collection in which they are counted."""

_COMPUTE_QUOTA = frozenset(
    (*COMPUTE, *(f"{side}.{one}" for side in ("requests", "limits") for one in COMPUTE))
)
_EXTENDED = re.compile(r"requests\.([a-z0-9][a-z0-9.-]*\.[a-z0-9.-]+/[A-Za-z0-9][A-Za-z0-9._-]*)")
_FINISHED = ("Succeeded", "Failed")


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What each namespace is to have, in canonical quantities."""

    hard: Mapping[str, str]
    default_limits: Mapping[str, str] = {}
    default_requests: Mapping[str, str] = {}

    @property
    def specs(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the `spec` of each kind that the template holds, in the order in which they are applied."""
        found: dict[str, Mapping[str, Any]] = {}
        limits, requests = self.default_limits, self.default_requests
        if limits or requests:
            sides = {"default": dict(limits), "defaultRequest": dict(requests)}
            item = {"type": "Container"} | {name: side for name, side in sides.items() if side}
            found[LIMIT_RANGE] = {"limits": [item]}
        if self.hard:
            found[RESOURCE_QUOTA] = {"hard": dict(self.hard)}
        return found

    def must_be_named(self, others: Iterable[str] = ()) -> frozenset[str]:
        """Return the limits that a new container must name itself: the quota demands them, and no default gives
        them, neither the template's nor `others` (`requests.cpu`).
        """
        given = {*others, *(f"limits.{name}" for name in self.default_limits)}
        given |= {f"requests.{name}" for name in self.default_requests}
        return frozenset(
            name for name in self.hard if name in _COMPUTE_QUOTA and not {name, f"requests.{name}"} & given
        )


def parse_template(*, hard: str, default_limits: str, default_requests: str) -> Template:
    """Return the template of `pods=50,requests.cpu=20` and the defaults of containers; ValueError otherwise.

    A default limit without a default request is its request too, as the API server sets it.
    """
    allowed = _pairs(hard)
    for name, quantity in allowed.items():
        _require_countable(name)
        if name not in _COMPUTE_QUOTA and name != "requests.storage" and parse_quantity(quantity) % NANO:
            raise ValueError(f"{name}={quantity}: it counts things, so it must be a whole number")
    limits, requests = _pairs(default_limits), _pairs(default_requests)
    for name in (*limits, *requests):
        if name not in COMPUTE:
            raise ValueError(f"{name}: a default is one of {', '.join(COMPUTE)}")
    requests = {name: limits[name] for name in limits if name not in requests} | requests
    for name in limits:
        if parse_quantity(requests[name]) > parse_quantity(limits[name]):
            raise ValueError(f"the default request {name}={requests[name]} is above the limit {limits[name]}")
    return Template(hard=allowed, default_limits=limits, default_requests=dict(sorted(requests.items())))


def write_amount(name: str, nanos: int) -> str:
    """Return an amount of the quota's resource `name` as a person writes it."""
    return write_binary(nanos) if "memory" in name or "storage" in name else write_decimal(nanos)


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, quantity = (word.strip() for word in part.partition("="))
        if not name or not equals:
            raise ValueError(f"{part[:60]!r} is no pair such as pods=50 or requests.cpu=20")
        if name in found:
            raise ValueError(f"{name} stands twice")
        if parse_quantity(quantity) < 0:
            raise ValueError(f"{name}={quantity}: a limit is not negative")
        found[name] = canonical_quantity(quantity)
    return dict(sorted(found.items()))


def _require_countable(name: str) -> None:
    known = name in _COMPUTE_QUOTA or name in COUNTED or name in ("pods", "count/pods", "requests.storage")
    if known or _EXTENDED.fullmatch(name):
        return
    if name in ("events", "count/events", "count/events.events.k8s.io"):
        raise ValueError(
            f"{name}: a quota does not count events; only the admission plugin EventRateLimit does"
        )
    raise ValueError(
        f"{name}: its use cannot be counted; {', '.join((*sorted(_COMPUTE_QUOTA), 'pods'))} can, "
        f"and {', '.join(COUNTED)}"
    )


# -- what pods use -------------------------------------------------------------------------------------------


class Resources(msgspec.Struct, frozen=True):
    """Requests and limits of a container or a pod."""

    requests: Mapping[str, str] = {}
    limits: Mapping[str, str] = {}

    def side(self, name: str) -> dict[str, int]:
        """Return `requests` or `limits` in billionths."""
        texts = self.requests if name == "requests" else self.limits
        return {resource: parse_quantity(text) for resource, text in texts.items()}


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a container that a quota looks at."""

    resources: Resources = Resources()
    restart_policy: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a pod's spec that a quota looks at."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    overhead: Mapping[str, str] = {}
    resources: Resources = Resources()


class ObjectName(msgspec.Struct, frozen=True):
    """Which object it is."""

    name: str
    namespace: str


class PodStatus(msgspec.Struct, frozen=True):
    """Whether it is over."""

    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    """A pod as it is read for counting."""

    metadata: ObjectName
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class CountedObject(msgspec.Struct, frozen=True):
    """An object that only counts; of a volume claim also `spec.resources`."""

    metadata: ObjectName
    spec: PodSpec = PodSpec()


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace uses of each limit, in billionths; `largest` is the pod that uses most of it.

    `unnamed` counts the pods with a container that does not name a limit which the quota demands. `above` is, by
    resource, the most that a container without a limit requests beyond the template's default limit, and its pod.
    """

    used: Mapping[str, int]
    largest: Mapping[str, tuple[int, str]] = {}
    unnamed: Mapping[str, int] = {}
    above: Mapping[str, tuple[int, str]] = {}


class Tally:
    """Adds up pods and objects of one namespace, for the limits that a template names."""

    def __init__(self, template: Template) -> None:
        self._default_limits = {
            name: parse_quantity(limit) for name, limit in template.default_limits.items()
        }
        self._used = dict.fromkeys(template.hard, 0)
        self._largest: dict[str, tuple[int, str]] = {}
        self._unnamed: dict[str, int] = {}
        self._above: dict[str, tuple[int, str]] = {}

    def add_pod(self, pod: Pod) -> None:
        """Count `pod`: a finished one only under `count/pods`."""
        is_over = pod.status.phase in _FINISHED
        needs = {"count/pods": NANO} if is_over else pod_needs(pod.spec)
        for name in self._used:
            need = needs.get(name, 0)
            self._used[name] += need
            if need > self._largest.get(name, (0, ""))[0]:
                self._largest[name] = need, pod.metadata.name
            if name in _COMPUTE_QUOTA and not is_over and not _names_everywhere(pod.spec, name):
                self._unnamed[name] = self._unnamed.get(name, 0) + 1

        for name, limit in () if is_over else self._default_limits.items():
            need = _without_limit(pod.spec, name)
            if need > max(limit, self._above.get(name, (0, ""))[0]):
                self._above[name] = need, pod.metadata.name

    def add(self, name: str, nanos: int) -> None:
        """Count `nanos` of the limit `name`."""
        self._used[name] += nanos

    def use(self) -> Use:
        return Use(used=self._used, largest=self._largest, unnamed=self._unnamed, above=self._above)


def pod_needs(spec: PodSpec) -> dict[str, int]:
    """Return what one unfinished pod counts for in a quota, in billionths by the quota's own names.

    The sum of its containers, or the largest init container with the sidecars started before it when that is
    more; pod-level resources instead where there are some; plus the overhead. Source: k8s.io/component-helpers
    resource.PodRequests, pkg/quota/v1/evaluator/core/pods.go.
    """
    requests, limits = _total(spec, "requests"), _total(spec, "limits")
    for name, text in spec.overhead.items():
        requests[name] = requests.get(name, 0) + parse_quantity(text)
        if name in limits:
            limits[name] += parse_quantity(text)
    found = {"pods": NANO, "count/pods": NANO}
    found |= {name: amount for name, amount in requests.items() if name in COMPUTE}
    found |= {f"requests.{name}": amount for name, amount in requests.items()}
    return found | {f"limits.{name}": amount for name, amount in limits.items()}


def _total(spec: PodSpec, side: str) -> dict[str, int]:
    running: dict[str, int] = {}
    for container in spec.containers:
        _add(running, container.resources.side(side))
    sidecars: dict[str, int] = {}
    highest: dict[str, int] = {}
    for container in spec.init_containers:
        own = container.resources.side(side)
        if container.restart_policy == "Always":
            _add(running, own)
            _add(sidecars, own)
            own = {}
        started = dict(sidecars)
        _add(started, own)
        highest = {name: max(highest.get(name, 0), started.get(name, 0)) for name in {*highest, *started}}
    total = {name: max(running.get(name, 0), highest.get(name, 0)) for name in {*running, *highest}}
    return total | spec.resources.side(side)


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _names_everywhere(spec: PodSpec, limit: str) -> bool:
    side, dot, resource = limit.partition(".")
    side, resource = (side, resource) if dot else ("requests", limit)
    if resource in spec.resources.side(side):
        return True
    return all(resource in one.resources.side(side) for one in (*spec.containers, *spec.init_containers))


def _without_limit(spec: PodSpec, resource: str) -> int:
    """Return the most that a container requests which names no limit."""
    every = (one.resources for one in (*spec.containers, *spec.init_containers))
    return max(
        (one.side("requests").get(resource, 0) for one in every if resource not in one.limits), default=0
    )
