"""Everything sretool writes through the API server. Whoever holds no KubernetesWrites cannot change a cluster."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.gates import WriteGate
from sretool.clients.kubernetes.request import APPLY_PATCH, Request
from sretool.errors import (
    CompactedError,
    NoAnswerError,
    NotFoundError,
    NotPermittedError,
    RejectedError,
    TooManyRequestsError,
    Touched,
)

Object = Mapping[str, Any]
_OPTIONS: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
_SAID_FIRST = (CompactedError, NotPermittedError, NotFoundError, TooManyRequestsError)
"""What the deletion of a collection is answered before the first object is deleted."""


class _Deleted(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


class KubernetesWrites:
    """The writing calls to one API server, each with its deadline in seconds. Safe to share between threads.

    NoAnswerError here means that the write may have taken effect: look at the object, never send it again.
    """

    def __init__(self, connection: Connection) -> None:
        self._gate = WriteGate(connection)

    def apply(
        self, path: str, body: Object, *, field_manager: str, force: bool = False, timeout_seconds: float
    ) -> dict[str, Any]:
        """Apply `body` server-side as `field_manager`; ConflictError names the managers of fields it would take."""
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        request = Request(method="PATCH", path=path, query=query, body=body, content_type=APPLY_PATCH)
        return self._object(request, timeout_seconds=timeout_seconds)

    def patch(self, path: str, body: Any, *, content_type: str, timeout_seconds: float) -> dict[str, Any]:
        """Patch the object (`application/merge-patch+json`, `application/json-patch+json`) and return it."""
        request = Request(method="PATCH", path=path, body=body, content_type=content_type)
        return self._object(request, timeout_seconds=timeout_seconds)

    def put(self, path: str, body: Object, *, timeout_seconds: float) -> dict[str, Any]:
        """Replace the object; ConflictError when its `metadata.resourceVersion` is no longer the newest."""
        return self._object(Request(method="PUT", path=path, body=body), timeout_seconds=timeout_seconds)

    def post(self, path: str, body: Object, *, timeout_seconds: float) -> dict[str, Any]:
        """Create the object in the collection `path`; ConflictError when it exists."""
        return self._object(Request(method="POST", path=path, body=body), timeout_seconds=timeout_seconds)

    def delete(self, path: str, *, uid: str = "", resource_version: str = "", timeout_seconds: float) -> None:
        """Delete the object if it is still this one; NotFoundError when it is gone, ConflictError when changed."""
        expected = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {name: value for name, value in expected.items() if value}
        options = {**_OPTIONS, "preconditions": preconditions}
        request = Request(method="DELETE", path=path, body=options if preconditions else None)
        self._object(request, timeout_seconds=timeout_seconds)

    def delete_collection(
        self,
        path: str,
        *,
        limit: int,
        field_selector: str = "",
        label_selector: str = "",
        place: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> int:
        """Delete at most `limit` objects of the collection that match now; return how many it were.

        With the `place` of a listed page those of that page; CompactedError, nothing deleted, when etcd has its
        revision no more.

        The server deletes one after the other: where a webhook, a policy or etcd refuses one of them, those
        before it are gone. That is a NoAnswerError here too: look at what is left.
        """
        selection = {"limit": str(limit), "fieldSelector": field_selector, "labelSelector": label_selector}
        query = {name: value for name, value in {**selection, **(place or {})}.items() if value}
        # Without a body the server would also take a place's resourceVersion for that of each object.
        request = Request(method="DELETE", path=path, query=query, body=_OPTIONS if place else None)
        try:
            answer = self._gate.send(request, timeout_seconds=timeout_seconds)
        except _SAID_FIRST:
            raise
        except RejectedError as error:
            raise NoAnswerError(
                f"{error.message} (some may have been deleted before)",
                endpoint=error.endpoint,
                touched=Touched.UNKNOWN,
                then=error.then,
            ) from error
        return len(answer.decoded(_Deleted).items or [])

    def _object(self, request: Request, *, timeout_seconds: float) -> dict[str, Any]:
        return self._gate.send(request, timeout_seconds=timeout_seconds).decoded(dict[str, Any])
