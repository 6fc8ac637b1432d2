"""Tries the path to the API server link by link, then asks it for exactly the rights that each runbook needs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sretool.clients.kubernetes import IN_CLUSTER
from sretool.clients.kubernetes.kubeconfig import KubeContext, read_context
from sretool.clock import Clock, SystemClock
from sretool.cluster.inventory import KubernetesAccess
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.errors import (
    NotFoundError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    SretoolError,
    TlsError,
    UnreachableError,
    UsageError,
)
from sretool.knowledge.kubernetes_paths import object_path
from sretool.knowledge.rights import Right, needed
from sretool.knowledge.words import show_seconds
from sretool.model.checks import PathCheck, failed, missing, passed, warned

SECONDS = 5.0

Asked = Mapping[tuple[str, Right], bool]


def examine_kubernetes(access: KubernetesAccess, books: Mapping[str, Sequence[Right]]) -> list[PathCheck]:
    """Return what the path to the API server gives; `books` are the rights that each runbook needs."""
    where = "Kubernetes"
    try:
        context = None if access.kubeconfig == IN_CLUSTER else _context(access)
    except UsageError as error:
        return [failed(where, "kubeconfig", error.message, error.then)]
    said = f"{access.kubeconfig}, context {context.name}: {context.server}" if context else IN_CLUSTER
    connection = KubernetesConnection(access)
    try:
        return [
            passed(where, "kubeconfig", said),
            *_path(where, connection, context, SystemClock()),
            *_rights(where, connection, books),
        ]
    finally:
        connection.close()


def _context(access: KubernetesAccess) -> KubeContext:
    return read_context(Path(access.kubeconfig), access.context)


# -- the path --------------------------------------------------------------------------------------------


def _path(
    where: str, connection: KubernetesConnection, context: KubeContext | None, clock: Clock
) -> Iterator[PathCheck]:
    """Yield each link up to /readyz; the first that is broken ends it."""
    began = clock.now()
    try:
        server = connection.open()
    except RemoteError as error:
        yield failed(where, "credentials", error.message, error.then)
        return
    took = show_seconds((clock.now() - began).total_seconds())
    kind = context.credentials if context else "the pod's service account"
    plugin = f" {context.plugin}, which answered in {took}" if context and context.plugin else ""
    yield passed(where, "credentials", f"{kind}{plugin}")
    try:
        connection.reads.ready(timeout_seconds=SECONDS)
    except TlsError as error:
        yield passed(where, "TCP", f"{server} accepts")
        then = error.then or "compare certificate-authority and the client certificate in the kubeconfig"
        yield failed(where, "TLS", error.message, then)
    except UnreachableError as error:
        then = error.then or "see whether the API server runs there"
        yield failed(where, "TCP", error.message, f"{then}; the etcd half works without it")
    except RejectedError as error:
        yield _tls(where, server, context)
        yield failed(where, "/readyz", error.message, error.then or "see `sretool runbook etcd-latency`")
    except RemoteError as error:
        then = error.then or "it gives no usable answer: see `sretool runbook etcd-latency`"
        yield failed(where, "/readyz", error.message, then)
    else:
        yield _tls(where, server, context)
        yield passed(where, "/readyz", "ready")


def _tls(where: str, server: str, context: KubeContext | None) -> PathCheck:
    if not server.startswith("https"):
        return warned(where, "TLS", f"none: {server}", "whoever listens on the way has the credentials")
    if context and not context.verifies:
        then = "anybody may answer in its place: put certificate-authority there instead"
        return warned(where, "TLS", "unverified: the kubeconfig says insecure-skip-tls-verify", then)
    return passed(where, "TLS", f"{server} accepts")


# -- who we are, and what we may -------------------------------------------------------------------------


def _rights(
    where: str, connection: KubernetesConnection, books: Mapping[str, Sequence[Right]]
) -> Iterator[PathCheck]:
    try:
        user = str(connection.reads.whoami(timeout_seconds=SECONDS).get("username") or "")
    except NotFoundError:  # an API server before 1.28
        user = "USER"
        yield missing(where, "user", "this API server does not say", "kubectl config view --minify")
    except RejectedError as error:
        yield failed(where, "user", error.message, error.then or "without it no right can be asked for")
        return
    except RemoteError as error:
        yield missing(where, "user", error.message, "without it no right can be asked for")
        return
    else:
        yield passed(where, "user", user)
    yield _identity(where, connection)
    due = {right: None for rights in books.values() for right in needed(rights, applying=True)}
    try:
        allowed = _ask(connection, due)
    except RemoteError as error:
        yield failed(where, "rights", error.message, error.then)
        return
    for name, rights in books.items():
        yield from _runbook(name, rights, allowed, user)


def _identity(where: str, connection: KubernetesConnection) -> PathCheck:
    path = object_path("v1", "namespaces", "kube-system")
    try:
        uid = connection.reads.uid(path, timeout_seconds=SECONDS)
    except NotPermittedError as error:
        return missing(where, "identity", error.message, "without it two clusters cannot be told apart")
    except RemoteError as error:
        return failed(where, "identity", error.message, error.then)
    return passed(where, "identity", f"kube-system has the UID {uid}")


def _ask(connection: KubernetesConnection, rights: Iterable[Right]) -> dict[tuple[str, Right], bool]:
    """Return which verbs are allowed: each asked once, by its place alone."""
    asked = list(dict.fromkeys((verb, _place(right)) for right in rights for verb in right.verbs))

    def ask(one: tuple[str, Right]) -> bool:
        verb, right = one
        return connection.reads.can_i(
            verb,
            group=right.group,
            resource=right.resource,
            subresource=right.subresource,
            namespace=right.namespace,
            name=next(iter(right.names), ""),
            url=right.url,
            timeout_seconds=SECONDS,
        )

    return dict(zip(asked, connection.pool.map(ask, asked), strict=True))


def _place(right: Right) -> Right:
    return msgspec.structs.replace(right, verbs=(), writes=False, about="", only="")


def _runbook(name: str, rights: Sequence[Right], allowed: Asked, user: str) -> Iterator[PathCheck]:
    where = f"runbook {name}"
    looking = _lacking(needed(rights, applying=False), allowed)
    if looking:
        yield failed(where, "plan", f"may not {looking}", _grant(name, user, applying=False))
        return
    applying = _lacking(needed(rights, applying=True), allowed)
    if applying:
        yield passed(where, "plan", "has every right")
        yield missing(where, "apply", f"may not {applying}", _grant(name, user, applying=True))
    else:
        yield passed(where, "plan, apply", "has every right")


def _lacking(rights: Iterable[Right], allowed: Asked) -> str:
    """Return in words what is due and not allowed; what only some clusters or parameters need is not asked."""
    lacking = [
        msgspec.structs.replace(right, verbs=verbs)
        for right in rights
        if not right.only and (verbs := tuple(one for one in right.verbs if not allowed[one, _place(right)]))
    ]
    return ", ".join(str(right) for right in lacking)


def _grant(name: str, user: str, *, applying: bool) -> str:
    return f"sretool cluster role {name}{' --apply' if applying else ''} --user {user} | kubectl apply -f -"


def rights_of_runbooks() -> tuple[dict[str, tuple[Right, ...]], list[PathCheck]]:
    """Return what each runbook needs, and those that cannot be read."""
    from sretool.runbook.library import list_runbooks
    from sretool.runbook.named import read_runbook
    from sretool.runbook.rights import rights_of
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    books: dict[str, tuple[Right, ...]] = {}
    broken = []
    for name in dict.fromkeys(name for name, _ in list_runbooks()):
        try:
            books[name] = rights_of(read_runbook(name, catalogue), catalogue)
        except SretoolError as error:
            broken.append(failed(f"runbook {name}", "file", error.message, f"sretool check {name}"))
    return books, broken
