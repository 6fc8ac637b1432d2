"""The lab's own way to its API server: JSON over http.client, with the administrator's certificate."""

import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from sretool.errors import (
    ConflictError,
    NoAnswerError,
    NotFoundError,
    NotPermittedError,
    RejectedError,
    Touched,
    UnreachableError,
)

_SECONDS = 20.0
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_ERRORS = {401: NotPermittedError, 403: NotPermittedError, 404: NotFoundError, 409: ConflictError}
_PAGE = 500


class Api:
    """One connection to the API server, for one thread. A write without an answer is never sent again."""

    def __init__(self, host: str, port: int, *, ca: Path, cert: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(cert), str(key))
        self.url = f"https://{host}:{port}"
        self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, path: str, *, timeout_seconds: float = _SECONDS, **query: str | int) -> dict[str, Any]:
        """Return the object or the first page of the list at `path`; NotFoundError when there is none."""
        return self._json("GET", path, query=query, timeout_seconds=timeout_seconds)

    def text(self, path: str, *, timeout_seconds: float = _SECONDS) -> str:
        """Return what a path such as /readyz says; RejectedError when it does not say 200."""
        return self._send("GET", path, None, "", timeout_seconds).decode(errors="replace")

    def items(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Return every object of the list at `path`, read in pages."""
        found: list[dict[str, Any]] = []
        going_on: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = self._json("GET", path, query={**query, **going_on})
            found += page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                return found
            going_on["continue"] = token

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in the collection `path`; ConflictError when its name is taken."""
        return self._json("POST", path, body=body)

    def ensure(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object in the collection `path` unless there is one of its name."""
        try:
            self.create(path, body)
        except ConflictError:
            return

    def patch(self, path: str, body: Mapping[str, Any], *, kind: str = "merge") -> dict[str, Any]:
        """Patch an object; `kind` is merge or strategic."""
        return self._json("PATCH", path, body=body, content=_PATCHES[kind])

    def delete(self, path: str, **query: str | int) -> None:
        """Delete what is at `path` (an object, or a whole collection); nothing there is fine."""
        try:
            self._json("DELETE", path, query=query)
        except NotFoundError:
            return

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        timeout_seconds: float = _SECONDS,
    ) -> dict[str, Any]:
        target = f"{path}?{urlencode(query)}" if query else path
        encoded = None if body is None else msgspec.json.encode(body)
        answer = self._send(method, target, encoded, content, timeout_seconds)
        return msgspec.json.decode(answer, type=dict[str, Any])

    def _send(
        self, method: str, target: str, body: bytes | None, content: str, timeout_seconds: float
    ) -> bytes:
        headers = {"Accept": "application/json"} | ({"Content-Type": content} if body is not None else {})
        connection = self._connection
        connection.timeout = timeout_seconds
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # a failed handshake leaves a socket without TLS
            raise UnreachableError(f"the API server does not answer: {error}", endpoint=self.url) from error
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            touched = Touched.NOTHING if method == "GET" else Touched.UNKNOWN
            raise NoAnswerError(
                f"{method} {target} got no answer: {error}", endpoint=self.url, touched=touched
            ) from error
        if answer.status >= http.client.BAD_REQUEST:
            kind = _ERRORS.get(answer.status, RejectedError)
            raise kind(f"{method} {target}: {answer.status} {_message(said)}", endpoint=self.url)
        return said


def _message(said: bytes) -> str:
    """Return the message of a Status object, else the first words of the body."""
    try:
        status = msgspec.json.decode(said, type=dict[str, Any])
    except msgspec.DecodeError:
        return said[:300].decode(errors="replace")
    return str(status.get("message", ""))
