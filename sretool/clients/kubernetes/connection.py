"""One connection to an API server: sends a request once, within a deadline; every failure becomes our error."""

import threading
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from sretool.clients.kubernetes.errors import Sent, StrangeAnswerError, translate_exception, translate_status
from sretool.clients.kubernetes.request import Request
from sretool.clients.unreadable import UNREADABLE
from sretool.errors import RemoteError, UnreachableError

T = TypeVar("T")

_CONNECT_SECONDS = 3.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with a status of 2xx, and what was asked."""

    sent: Sent
    body: bytes

    def decoded(self, kind: type[T]) -> T:
        """Return the JSON as `kind`; StrangeAnswerError when it is something else: no API server's answer."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except UNREADABLE as error:
            raise self.sent.failed(
                StrangeAnswerError, f"answered, but not as an API server does: {error}"
            ) from error


class Connection:
    """A lazy client for one API server, safe to share between threads. Close it when done."""

    def __init__(self, kubeconfig: str, context: str = "", *, server: str = "") -> None:
        """`server` is asked instead of the kubeconfig's, with the same credentials: one of several."""
        self._server = server
        self._kubeconfig = kubeconfig
        self._context = context
        self._lock = threading.Lock()
        self._client: Any = None
        self._closed = False
        self._shown = b""

    def close(self) -> None:
        """Close the sockets; a call under way ends with its answer or its deadline."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def open(self) -> str:
        """Load the kubeconfig, run its exec plugin if it has one, and return the server's address.

        UnreachableError when that fails. Nothing is sent to the server.
        """
        return self._host(self._opened("a first request"))

    def certificate(self) -> bytes:
        """Return our client certificate (PEM), empty where we show none; UnreachableError as `open`."""
        return bytes(self._opened("a first request").own_certificate)

    def shown_certificate(self) -> bytes:
        """Return the certificate (DER) that the server showed on this connection, through whatever proxy it is;
        empty before the first answer, and without TLS."""
        return self._shown

    def send(self, request: Request, *, timeout_seconds: float, writes: bool) -> Answer:
        """Send `request` once and return its answer, or raise a RemoteError within `timeout_seconds`.

        The first call also loads the kubeconfig and may run its exec plugin, which has its own limit.
        """
        client = self._opened(request)
        sent = Sent(
            request=str(request),
            server=self._host(client),
            timeout_seconds=timeout_seconds,
            writes=writes,
        )
        url, headers = self._addressed(client, request)
        body = None if request.body is None else msgspec.json.encode(request.body)
        try:
            # Below the package's own `request`: it rewrites content types, and hides urllib3's errors.
            response = client.rest_client.pool_manager.request(
                request.method,
                url,
                body=body,
                headers=headers,
                timeout=_timeout(timeout_seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            self._shown = self._shown or _certificate(response)
            answer = bytes(response.read())
        except Exception as error:
            raise translate_exception(error, sent) from error
        if not 200 <= response.status < 300:
            raise translate_status(response.status, response.headers, answer, sent)
        return Answer(sent=sent, body=answer)

    def addressed(self, request: Request) -> tuple[str, dict[str, str], Any]:
        """Return URL, headers with the credentials, and the package's client: for a stream over them."""
        client = self._opened(request)
        return (*self._addressed(client, request), client)

    def _opened(self, request: object) -> Any:
        from sretool.clients.kubernetes.configuration import is_worn_out, open_client

        with self._lock:
            if self._closed:
                raise UnreachableError(f"{request} was not sent: the connection is closed")
            if self._client is not None and is_worn_out(self._client):
                self._client.close()  # what is under way goes on
                self._client = None
            if self._client is None:
                self._client = open_client(self._kubeconfig, self._context)
            return self._client

    def _host(self, client: Any) -> str:
        """Not the configuration's alone: whenever it looks for a new token, the package writes the kubeconfig's
        server there."""
        return self._server or str(client.configuration.host)

    def _addressed(self, client: Any, request: Request) -> tuple[str, dict[str, str]]:
        """Return URL and headers with the credentials: a token that has expired is fetched anew first."""
        headers = {"Accept": "application/json, */*;q=0.5"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        path = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        try:
            with self._lock:
                _, _, complete, _, _ = client.param_serialize(
                    request.method, path, header_params=headers, auth_settings=["BearerToken"]
                )
        except RemoteError:
            raise
        except Exception as error:  # whatever the package trips over where it looks for a new token
            from sretool.clients.kubernetes.kubeconfig import why_unusable

            raise UnreachableError(f"{request} was not sent: no new token: {why_unusable(error)}") from error
        if not all(_may_stand_in_a_header(value) for value in complete.values()):
            raise UnreachableError(  # without the value: it is the token
                f"{request} was not sent: the credentials hold a line break or another character "
                "that no header may hold",
                then="see the token in the kubeconfig, or what its exec plugin answers",
            )
        return f"{self._host(client)}{path}", complete


def _may_stand_in_a_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _timeout(seconds: float) -> Any:
    """Return the limit of the whole request, and of its connection, which is made in milliseconds or not at all."""
    from urllib3 import Timeout

    return Timeout(total=seconds, connect=min(_CONNECT_SECONDS, seconds))


def _certificate(response: Any) -> bytes:
    shown = getattr(getattr(response.connection, "sock", None), "getpeercert", None)
    return bytes(shown(binary_form=True) or b"") if shown else b""
