"""Rights that a step needs of the Kubernetes API, as data, and the RBAC rules that give exactly those."""

from collections.abc import Iterable
from typing import Any

import msgspec

from sretool.knowledge.lease_lock import NAME, NAMESPACE

READING = frozenset({"get", "list", "watch"})


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """Verbs on one resource, as RBAC words them, or on a `url` such as /metrics.

    `writes`: only applying and undoing need it. A right to write that looking or planning needs is for
    server-side dry runs, which RBAC cannot tell from writes. `namespace` and `names` narrow it down.
    `about` says what for; `only`, where not every cluster or run needs it, which does.
    """

    verbs: tuple[str, ...]
    group: str = ""
    resource: str = ""
    subresource: str = ""
    url: str = ""
    namespace: str = ""
    names: tuple[str, ...] = ()
    writes: bool = False
    about: str = ""
    only: str = ""

    @property
    def object(self) -> str:
        """What it is a right to, in one word: `deployments.apps/scale`."""
        if self.url:
            return self.url
        named = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{named}/{self.subresource}" if self.subresource else named

    @property
    def is_dry_run(self) -> bool:
        """Whether looking and planning need a verb of writing."""
        return not self.writes and not READING.issuperset(self.verbs) and not self.url

    def __str__(self) -> str:
        narrowed = f" {', '.join(self.names)}" if self.names else ""
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{'/'.join(self.verbs)} {self.object}{narrowed}{where}"


def to_read(
    verbs: str, what: str, group: str = "", *, namespace: str = "", about: str = "", only: str = ""
) -> Right:
    """Return a right of looking and planning: `to_read("get list", "deployments", "apps")`.

    `what` is a resource, a subresource such as `deployments/scale`, or a path such as `/metrics`.
    """
    if what.startswith("/"):
        return Right(verbs=tuple(verbs.split()), url=what, about=about, only=only)
    resource, _, subresource = what.partition("/")
    return Right(
        verbs=tuple(verbs.split()),
        group=group,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        about=about,
        only=only,
    )


def to_write(
    verbs: str, what: str, group: str = "", *, namespace: str = "", about: str = "", only: str = ""
) -> Right:
    """Return a right of applying and undoing, in the words of `to_read`."""
    right = to_read(verbs, what, group, namespace=namespace, about=about, only=only)
    return msgspec.structs.replace(right, writes=True)


def _on_lease(verbs: str, about: str, *, writes: bool = False, names: tuple[str, ...] = (NAME,)) -> Right:
    return Right(
        verbs=tuple(verbs.split()),
        group="coordination.k8s.io",
        resource="leases",
        namespace=NAMESPACE,
        names=names,
        writes=writes,
        about=about,
    )


_BY_POD = "where etcd is reached through its pods"

EVERY_RUN = (
    Right(
        verbs=("get",), resource="namespaces", names=("kube-system",), about="its UID tells clusters apart"
    ),
    # A WebSocket is opened by a GET; from Kubernetes 1.35 on it needs the right to create as well.
    to_read("get create", "pods/exec", namespace="kube-system", only=_BY_POD),
    to_read("get create", "pods/portforward", namespace="kube-system", only=_BY_POD),
)
"""What every run asks of the API server, whatever its steps are."""

LOCK = (
    _on_lease("get update", "the lock that other machines see"),
    _on_lease("create", "the lock, while there is none: RBAC cannot bind that to a name", names=()),
    _on_lease("delete", "gives the lock back", writes=True),
)
"""What a run asks that may change something: whoever only reads takes no lock."""


def needed(rights: Iterable[Right], *, applying: bool) -> tuple[Right, ...]:
    """Return the rights of looking and planning, when `applying` also those of writing: one a resource, sorted."""
    merged: dict[tuple[str, ...], Right] = {}
    for right in rights:
        if right.writes and not applying:
            continue
        place = (right.namespace, right.url, right.group, right.resource, right.subresource, *right.names)
        before = merged.get(place, right)
        merged[place] = msgspec.structs.replace(
            right,
            verbs=tuple(dict.fromkeys((*before.verbs, *right.verbs))),
            writes=before.writes and right.writes,
            about="; ".join(dict.fromkeys(one for one in (before.about, right.about) if one)),
            only=right.only if before.only else "",
        )
    return tuple(merged[place] for place in sorted(merged))


def rule_of(right: Right) -> dict[str, Any]:
    """Return the rule that gives `right`, as an RBAC role holds it."""
    if right.url:
        return {"nonResourceURLs": [right.url], "verbs": list(right.verbs)}
    resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
    rule: dict[str, Any] = {"apiGroups": [right.group], "resources": [resource]}
    if right.names:
        rule["resourceNames"] = list(right.names)
    return rule | {"verbs": list(right.verbs)}
