"""Everything sretool reads from the API server. There is no method here that changes anything stored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.errors import ExpiredListError
from sretool.clients.kubernetes.gates import ReadGate
from sretool.clients.kubernetes.request import JSON, ListedPage, Request
from sretool.errors import NoAnswerError, NotFoundError

T = TypeVar("T")

_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_IDENTITY_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class _ListMeta(msgspec.Struct, frozen=True, rename={"next": "continue", "version": "resourceVersion"}):
    next: str = ""
    version: str = ""


class _Page(msgspec.Struct, Generic[T], frozen=True):
    items: list[T] | None = None
    metadata: _ListMeta = _ListMeta()


class _Meta(msgspec.Struct, frozen=True):
    uid: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta


class _Access(msgspec.Struct, frozen=True):
    allowed: bool = False


class _AccessReview(msgspec.Struct, frozen=True):
    status: _Access


class _Identity(msgspec.Struct, frozen=True, rename="camel"):
    user_info: dict[str, Any]


class _IdentityReview(msgspec.Struct, frozen=True):
    status: _Identity


class KubernetesReads:
    """The reading calls to one API server, each with its deadline in seconds. Safe to share between threads.

    Every method raises UnreachableError (TlsError), NoAnswerError or RejectedError, naming server and request.
    """

    def __init__(self, connection: Connection) -> None:
        self._gate = ReadGate(connection)

    def get(self, path: str, *, timeout_seconds: float, **query: str) -> dict[str, Any]:
        """Return the object or the list at `path`; NotFoundError when there is none."""
        request = Request(method="GET", path=path, query=query)
        return self._gate.send(request, timeout_seconds=timeout_seconds).decoded(dict[str, Any])

    def find(self, path: str, *, timeout_seconds: float) -> dict[str, Any] | None:
        """Return the object at `path`, None when there is no such object or kind."""
        try:
            return self.get(path, timeout_seconds=timeout_seconds)
        except NotFoundError:
            return None

    def text(self, path: str, *, timeout_seconds: float, **query: str) -> str:
        """Return what is no JSON: `/metrics`, `/readyz`."""
        request = Request(method="GET", path=path, query=query)
        return self._gate.send(request, timeout_seconds=timeout_seconds).body.decode(errors="replace")

    def ready(self, *, timeout_seconds: float) -> None:
        """Return where the server is ready; RejectedError names the checks that fail.

        NoAnswerError too where what answers is no API server: a proxy's page says 200 as well.
        """
        request = Request(method="GET", path="/readyz", query={"verbose": "true"})
        answer = self._gate.send(request, timeout_seconds=timeout_seconds)
        if b"readyz check passed" not in answer.body:
            raise answer.sent.failed(NoAnswerError, "answered, but not as an API server does")

    def uid(self, path: str, *, timeout_seconds: float) -> str:
        """Return the UID of the object at `path`, never empty."""
        answer = self._gate.send(Request(method="GET", path=path), timeout_seconds=timeout_seconds)
        uid = answer.decoded(_Object).metadata.uid
        if not uid:
            raise answer.sent.failed(NoAnswerError, "answered, but not as an API server does: without a UID")
        return uid

    def pages(
        self,
        path: str,
        *,
        limit: int = 500,
        field_selector: str = "",
        label_selector: str = "",
        timeout_seconds: float,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the collection `path` in pages of at most `limit` objects, each page within its own deadline."""
        return self.typed_pages(
            path,
            dict[str, Any],
            limit=limit,
            field_selector=field_selector,
            label_selector=label_selector,
            timeout_seconds=lambda: timeout_seconds,
        )

    def typed_pages(
        self,
        path: str,
        item: type[T],
        *,
        limit: int,
        field_selector: str = "",
        label_selector: str = "",
        timeout_seconds: Callable[[], float],
    ) -> Iterator[list[T]]:
        """Yield pages with each object decoded into `item`; `timeout_seconds` is asked before every page.

        The list is of one revision while that lasts. Where etcd has compacted it meanwhile (410), the rest
        comes from the newest revision, beginning after the last object: nothing twice. CompactedError when
        the server offers no such way on.
        """
        selection = {"limit": str(limit), "fieldSelector": field_selector, "labelSelector": label_selector}
        query = {name: value for name, value in selection.items() if value}
        while True:
            try:
                answer = self._gate.send(
                    Request(method="GET", path=path, query=query), timeout_seconds=timeout_seconds()
                )
            except ExpiredListError as error:
                if not error.continue_token or error.continue_token == query.get("continue"):
                    raise
                query["continue"] = error.continue_token
                continue
            page: _Page[T] = answer.decoded(_Page[item])  # type: ignore[valid-type]  # a type made at run time
            yield page.items or []
            if not page.metadata.next:
                return
            query["continue"] = page.metadata.next

    def listed_pages(
        self,
        path: str,
        *,
        limit: int,
        most: int,
        field_selector: str = "",
        timeout_seconds: Callable[[], float],
    ) -> Iterator[ListedPage]:
        """Yield pages of at most `limit` objects, `most` in all, of one revision; CompactedError when that goes.

        `timeout_seconds` is asked before every page.
        """
        place: dict[str, str] = {}
        while most > 0:
            selection = {"limit": str(min(limit, most)), "fieldSelector": field_selector, **place}
            query = {name: value for name, value in selection.items() if value}
            request = Request(method="GET", path=path, query=query)
            page: _Page[msgspec.Raw] = self._gate.send(request, timeout_seconds=timeout_seconds()).decoded(
                _Page[msgspec.Raw]
            )
            # No token leads to the first page: it is told by its revision.
            first = {"resourceVersion": page.metadata.version, "resourceVersionMatch": "Exact"}
            objects = len(page.items or [])
            if objects:
                yield ListedPage(objects=objects, limit=min(limit, most), place=place or first)
            if not page.metadata.next:
                return
            most -= objects
            place = {"continue": page.metadata.next}

    def can_i(
        self,
        verb: str,
        *,
        group: str = "",
        resource: str = "",
        subresource: str = "",
        namespace: str = "",
        name: str = "",
        url: str = "",
        timeout_seconds: float,
    ) -> bool:
        """Tell whether these credentials may do it, in every namespace when `namespace` is empty.

        Asked is a `resource`, or a `url` that is none, such as /metrics.
        """
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        spec = (
            {"nonResourceAttributes": {"verb": verb, "path": url}}
            if url
            else {"resourceAttributes": attributes}
        )
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
        request = Request(method="POST", path=_ACCESS_REVIEWS, body=review)
        answer = self._gate.send(request, timeout_seconds=timeout_seconds)
        return answer.decoded(_AccessReview).status.allowed

    def whoami(self, *, timeout_seconds: float) -> dict[str, Any]:
        """Return the user that the server takes these credentials for: `username`, `groups`."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        request = Request(method="POST", path=_IDENTITY_REVIEWS, body=review)
        answer = self._gate.send(request, timeout_seconds=timeout_seconds)
        return answer.decoded(_IdentityReview).status.user_info

    def dry_run(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        timeout_seconds: float,
        **query: str,
    ) -> dict[str, Any]:
        """Return what the server would answer to this write, through admission and webhooks; nothing is stored."""
        if method == "DELETE" and isinstance(body, Mapping):  # the server would not look at the query
            body = {**body, "dryRun": ["All"]}
        request = Request(
            method=method,
            path=path,
            query={**query, "dryRun": "All"},
            body=body,
            content_type=content_type,
        )
        return self._gate.send(request, timeout_seconds=timeout_seconds).decoded(dict[str, Any])
