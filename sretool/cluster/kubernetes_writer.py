"""Kubernetes, written: each method is one request. Only the executor of an approved plan holds a writer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sretool.clock import Deadline
from sretool.knowledge.kubernetes_paths import object_path

if TYPE_CHECKING:
    from sretool.clients.kubernetes import ListedPage
    from sretool.cluster.kubernetes_connection import KubernetesConnection

T = TypeVar("T")
R = TypeVar("R")

PAGE_SIZE = 500
WRITE_SECONDS = 10.0
PROBE_SECONDS = 2.0
COLLECTION_SECONDS = 60.0  # the API server's own limit for a request


class KubernetesWriter:
    """Every write that a step may make through the API server. Nothing here retries.

    Raises RemoteError: NoAnswerError means the write may have happened, every other kind that it did not.
    """

    def __init__(self, connection: "KubernetesConnection", *, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def apply(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        timeout_seconds: float = WRITE_SECONDS,
    ) -> dict[str, Any]:
        """Apply `body` server-side and return the object; ConflictError names whose fields it would take."""
        return self._connection.writes.apply(
            path,
            body,
            field_manager=field_manager,
            force=force,
            timeout_seconds=self._deadline.cap(timeout_seconds),
        )

    def patch(
        self, path: str, body: Any, *, content_type: str, timeout_seconds: float = WRITE_SECONDS
    ) -> dict[str, Any]:
        """Patch an object and return it; a `metadata.resourceVersion` in a merge patch is a precondition."""
        return self._connection.writes.patch(
            path, body, content_type=content_type, timeout_seconds=self._deadline.cap(timeout_seconds)
        )

    def put(
        self, path: str, body: Mapping[str, Any], *, timeout_seconds: float = WRITE_SECONDS
    ) -> dict[str, Any]:
        """Replace an object; ConflictError when its `metadata.resourceVersion` is no longer the newest."""
        return self._connection.writes.put(path, body, timeout_seconds=self._deadline.cap(timeout_seconds))

    def post(
        self, path: str, body: Mapping[str, Any], *, timeout_seconds: float = WRITE_SECONDS
    ) -> dict[str, Any]:
        """Create an object in the collection `path`; ConflictError when it exists."""
        return self._connection.writes.post(path, body, timeout_seconds=self._deadline.cap(timeout_seconds))

    def delete(
        self,
        path: str,
        *,
        uid: str = "",
        resource_version: str = "",
        timeout_seconds: float = WRITE_SECONDS,
    ) -> None:
        """Delete one object, only if it is still this one; NotFoundError when it is gone, else ConflictError."""
        self._connection.writes.delete(
            path,
            uid=uid,
            resource_version=resource_version,
            timeout_seconds=self._deadline.cap(timeout_seconds),
        )

    def delete_collection(
        self,
        path: str,
        *,
        limit: int,
        field_selector: str = "",
        label_selector: str = "",
        place: Mapping[str, str] | None = None,
        timeout_seconds: float = COLLECTION_SECONDS,
    ) -> int:
        """Delete at most `limit` objects of the collection `path`, new ones that match as well; return how many.

        With the `place` of a listed page only what was listed there; CompactedError when that cannot be told any
        more, and nothing was deleted.
        NoAnswerError also where one of them was refused: those before it are gone.
        """
        return self._connection.writes.delete_collection(
            path,
            limit=limit,
            field_selector=field_selector,
            label_selector=label_selector,
            place=place,
            timeout_seconds=self._deadline.cap(timeout_seconds),
        )

    def read_one_object(self) -> None:
        """Read one small object, as other clients do: for what our writes cost them."""
        path = object_path("v1", "namespaces", "kube-system")
        self._connection.reads.get(path, timeout_seconds=self._deadline.cap(PROBE_SECONDS))

    def listed_pages(
        self, path: str, *, limit: int, most: int, field_selector: str = ""
    ) -> Iterator["ListedPage"]:
        """Yield the first `most` objects of the collection `path` in pages of `limit`, all of one revision."""
        return self._connection.reads.listed_pages(
            path,
            limit=limit,
            most=most,
            field_selector=field_selector,
            timeout_seconds=lambda: self._deadline.cap(COLLECTION_SECONDS),
        )

    def raw_pages(self, path: str, *, field_selector: str = "") -> Iterator[list[msgspec.Raw]]:
        """Yield the collection `path` as JSON, unread: what is about to be deleted is exported first."""
        return self._connection.reads.typed_pages(
            path,
            msgspec.Raw,
            limit=PAGE_SIZE,
            field_selector=field_selector,
            timeout_seconds=lambda: self._deadline.cap(COLLECTION_SECONDS),
        )

    def side_by_side(self, what: Iterable[T], act: Callable[[T], R]) -> list[R]:
        """Return `act` of each, on sixteen threads; what one of them raises is raised when all have ended."""
        ended = [self._connection.pool.submit(act, one) for one in what]
        for future in ended:
            future.exception()
        return [future.result() for future in ended]
