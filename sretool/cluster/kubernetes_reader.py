"""Kubernetes, read: everything a step may ask of the API server, remembered for the length of one look."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sretool.clock import Deadline
from sretool.errors import RemoteError
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.model import Known, Unknown

if TYPE_CHECKING:
    from sretool.clients.etcd.certificates import CertificateDays
    from sretool.cluster.kubernetes_connection import KubernetesConnection

T = TypeVar("T")
R = TypeVar("R")
Object = Mapping[str, Any]

READY_SECONDS = 2.0  # a healthy API server answers in milliseconds
IDENTITY_SECONDS = 1.2  # every wave asks it; without an answer the etcd half goes on
READ_SECONDS = 10.0
PAGE_SECONDS = 30.0  # 500 objects, from a server that is under the load we were called for
PAGE_SIZE = 500


class KubernetesReader:
    """Reads of one look. What answers with `Known` is asked once a look; the rest asks each time.

    Objects are the API's JSON as dicts. Methods without `Known` raise RemoteError: UnreachableError and
    NoAnswerError when the API server is away, RejectedError with its reason when it refuses.
    """

    def __init__(self, connection: "KubernetesConnection", *, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._remembered: dict[object, object] = {}

    # -- the server -----------------------------------------------------------------------------------

    def ready(self, *, timeout_seconds: float) -> None:
        """Return where the API server is ready now (`/readyz`); RejectedError names the checks that fail."""
        self._connection.reads.ready(timeout_seconds=self._deadline.cap(timeout_seconds))

    def open(self) -> str:
        """Return the address of the server that is asked; UnreachableError when the kubeconfig is no use."""
        return self._connection.open()

    def at(self, server: str) -> "KubernetesReader":
        """Return a reader of one of several API servers, by its URL, with the same credentials."""
        return KubernetesReader(self._connection.at(server), deadline=self._deadline)

    def certificate_days(self, *, now: datetime.datetime) -> Known["CertificateDays"]:
        """Return for how many days our certificate and the server's are still valid."""
        return self.remember(
            "certificate_days",
            lambda: self._connection.certificate_days(
                now=now, timeout_seconds=self._deadline.cap(READY_SECONDS)
            ),
        )

    def server_version(self) -> Known[str]:
        """Return the server's version, such as v1.34.2."""
        return self.remember(
            "server_version",
            lambda: str(self.get("/version", timeout_seconds=READY_SECONDS).get("gitVersion", "")),
        )

    def kube_system_uid(self) -> Known[str]:
        """Return the UID of the namespace kube-system: the cluster's identity."""
        path = object_path("v1", "namespaces", "kube-system")
        return self.remember(
            "kube_system_uid",
            lambda: self._connection.reads.uid(path, timeout_seconds=self._deadline.cap(IDENTITY_SECONDS)),
        )

    def can_i(
        self, verb: str, *, group: str = "", resource: str, subresource: str = "", namespace: str = ""
    ) -> Known[bool]:
        """Tell whether these credentials may do it, in every namespace when `namespace` is empty."""
        return self.remember(
            ("can_i", verb, group, resource, subresource, namespace),
            lambda: self._connection.reads.can_i(
                verb,
                group=group,
                resource=resource,
                subresource=subresource,
                namespace=namespace,
                timeout_seconds=self._deadline.cap(READ_SECONDS),
            ),
        )

    # -- whole lists, remembered ------------------------------------------------------------------------

    def objects(
        self, path: str, *, field_selector: str = "", label_selector: str = ""
    ) -> Known[tuple[Object, ...]]:
        """Return every object of the collection `path`. For kinds that are few: pods and events have pages."""
        return self.remember(
            ("objects", path, field_selector, label_selector),
            lambda: tuple(
                one
                for page in self.pages(path, field_selector=field_selector, label_selector=label_selector)
                for one in page
            ),
        )

    def namespaces(self, *, label_selector: str = "") -> Known[tuple[Object, ...]]:
        return self.objects(collection_path("v1", "namespaces"), label_selector=label_selector)

    def deployments(self, namespace: str = "") -> Known[tuple[Object, ...]]:
        return self.objects(collection_path("apps/v1", "deployments", namespace=namespace))

    def hpas(self, namespace: str = "") -> Known[tuple[Object, ...]]:
        return self.objects(
            collection_path("autoscaling/v2", "horizontalpodautoscalers", namespace=namespace)
        )

    def resource_quotas(self, namespace: str = "") -> Known[tuple[Object, ...]]:
        return self.objects(collection_path("v1", "resourcequotas", namespace=namespace))

    def limit_ranges(self, namespace: str = "") -> Known[tuple[Object, ...]]:
        return self.objects(collection_path("v1", "limitranges", namespace=namespace))

    # -- pages, for what may be many --------------------------------------------------------------------

    def pages(
        self, path: str, *, limit: int = PAGE_SIZE, field_selector: str = "", label_selector: str = ""
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the collection `path` in pages of at most `limit` objects; only one page is held at a time."""
        return self.typed_pages(
            path, dict[str, Any], limit=limit, field_selector=field_selector, label_selector=label_selector
        )

    def typed_pages(
        self,
        path: str,
        item: type[T],
        *,
        limit: int = PAGE_SIZE,
        field_selector: str = "",
        label_selector: str = "",
    ) -> Iterator[list[T]]:
        """Yield pages as `pages` does, each object decoded into the msgspec struct `item`.

        Only the fields that `item` names are built: several times faster, and smaller, than dicts.
        """
        return self._connection.reads.typed_pages(
            path,
            item,
            limit=limit,
            field_selector=field_selector,
            label_selector=label_selector,
            timeout_seconds=lambda: self._deadline.cap(PAGE_SECONDS),
        )

    def event_pages(
        self, namespace: str = "", *, limit: int = PAGE_SIZE, field_selector: str = ""
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the events (core/v1) of `namespace`, of all when empty."""
        path = collection_path("v1", "events", namespace=namespace)
        return self.pages(path, limit=limit, field_selector=field_selector)

    # -- asked now, nothing remembered ------------------------------------------------------------------

    def get(self, path: str, *, timeout_seconds: float = READ_SECONDS, **query: str) -> dict[str, Any]:
        """Return one object or one list answer as it is now; NotFoundError when there is none."""
        return self._connection.reads.get(path, timeout_seconds=self._deadline.cap(timeout_seconds), **query)

    def find(self, path: str, *, timeout_seconds: float = READ_SECONDS) -> dict[str, Any] | None:
        """Return one object as it is now, None when there is no such object or kind."""
        return self._connection.reads.find(path, timeout_seconds=self._deadline.cap(timeout_seconds))

    def text(self, path: str, *, timeout_seconds: float = READ_SECONDS, **query: str) -> str:
        """Return what is no JSON: `/metrics`, `/readyz?verbose`."""
        return self._connection.reads.text(path, timeout_seconds=self._deadline.cap(timeout_seconds), **query)

    def dry_run(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout_seconds: float = READ_SECONDS,
        **query: str,
    ) -> dict[str, Any]:
        """Return what the server would answer to this write (`dryRun=All`): nothing is stored.

        RejectedError with the webhook's or policy's name when it would be refused.
        """
        return self._connection.reads.dry_run(
            method,
            path,
            body,
            content_type=content_type,
            timeout_seconds=self._deadline.cap(timeout_seconds),
            **query,
        )

    def dry_run_apply(
        self, path: str, body: Object, *, field_manager: str, timeout_seconds: float = READ_SECONDS
    ) -> dict[str, Any]:
        """Return what `apply` would store; ConflictError naming the field managers that own a field."""
        return self.dry_run(
            "PATCH",
            path,
            body,
            content_type="application/apply-patch+yaml",
            timeout_seconds=timeout_seconds,
            fieldManager=field_manager,
            force="false",
        )

    # -- how --------------------------------------------------------------------------------------------

    def side_by_side(self, what: Iterable[T], ask: Callable[[T], R]) -> list[R]:
        """Return `ask` of each, asked on sixteen threads; what one of them raises is raised."""
        return list(self._connection.pool.map(ask, what))

    def remember(self, what: object, read: Callable[[], T]) -> Known[T]:
        """Return what `read` returned the first time in this look, Unknown for its RemoteError."""
        if what not in self._remembered:
            try:
                self._remembered[what] = read()
            except RemoteError as error:
                self._remembered[what] = Unknown(error.message, then=error.then)
        return cast("Known[T]", self._remembered[what])
