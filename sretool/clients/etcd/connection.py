"""One connection to one member: sends a request with a deadline, and turns every failure into our errors."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from sretool.clients.etcd.endpoint import Endpoint, TlsFiles, read_pem
from sretool.clients.etcd.errors import Failure, is_of_the_transport, translate
from sretool.clients.etcd.rpcs import WATCH, Rpc
from sretool.errors import RemoteError, TlsError, UnreachableError

_PROBE_SECONDS = 1.0


def connect(endpoint: Endpoint, tls: TlsFiles | None) -> "Connection":
    """Return a connection to `endpoint`; nothing is opened or read until the first call."""
    return Connection(endpoint, tls)


class Connection:
    """A lazy channel to one member, safe to share between threads. Close it, or use it in a `with`."""

    def __init__(self, endpoint: Endpoint, tls: TlsFiles | None, *, channel: Any = None) -> None:
        self.endpoint = endpoint
        self.tls = tls
        self._lock = threading.Lock()
        self._channel = channel
        self._owns_channel = channel is None
        self._bound: dict[tuple[Rpc, str], Callable[..., Any]] = {}
        self._has_answered = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a call under way ends with NoAnswerError."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
            self._bound.clear()
        if channel is not None and self._owns_channel:
            channel.close()

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float, writes: bool) -> Any:
        """Send one request and return its answer, or raise a RemoteError within `timeout_seconds`."""
        from sretool.clients.etcd.channel import RpcError
        from sretool.clients.etcd.messages import CLASSES

        began = time.monotonic()
        request = CLASSES[rpc.request](**fields)
        call = self._callable(rpc, "unary_unary")
        try:
            answer = call(request, timeout=timeout_seconds)
        except RpcError as error:
            raise self._translated(
                error, rpc, began=began, timeout_seconds=timeout_seconds, writes=writes
            ) from error
        except ValueError as error:  # gRPC's word for a channel that was closed meanwhile
            raise self._closed_error(rpc) from error
        self._has_answered = True
        return answer

    def stream(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> "AnswerStream":
        """Send one request and return the stream of its answers, which ends within `timeout_seconds`."""
        from sretool.clients.etcd.messages import CLASSES

        request = CLASSES[rpc.request](**fields)
        kind, sent = ("stream_stream", iter([request])) if rpc == WATCH else ("unary_stream", request)
        call = self._callable(rpc, kind)
        try:
            answers = call(sent, timeout=timeout_seconds)
        except ValueError as error:
            raise self._closed_error(rpc) from error
        return AnswerStream(answers, self, rpc, timeout_seconds=timeout_seconds)

    def _callable(self, rpc: Rpc, kind: str) -> Callable[..., Any]:
        with self._lock:
            if self._closed:
                raise self._closed_error(rpc)
            if (rpc, kind) not in self._bound:
                from sretool.clients.etcd.channel import bind

                if self._channel is None:
                    self._channel = self._open(rpc)
                self._bound[rpc, kind] = bind(self._channel, rpc, kind)
            return self._bound[rpc, kind]

    def _open(self, rpc: Rpc) -> Any:
        from sretool.clients.etcd.channel import open_channel

        if not self.endpoint.is_tls or self.tls is None:
            return open_channel(self.endpoint, ca=None, cert=None, key=None, is_tls=self.endpoint.is_tls)
        paths = (self.tls.ca, self.tls.cert, self.tls.key)
        ca, cert, key = (self._read(path, rpc) if path else None for path in paths)
        return open_channel(self.endpoint, ca=ca, cert=cert, key=key, is_tls=True)

    def _read(self, path: str, rpc: Rpc) -> bytes:
        try:
            content = read_pem(path)
        except OSError as error:
            raise TlsError(
                f"etcd {self.endpoint}: {rpc} was not sent: {path} cannot be read: {error.strerror}",
                endpoint=str(self.endpoint),
                then="on kubeadm nodes the files are in /etc/kubernetes/pki/etcd, readable by root only",
            ) from error
        if b"-----BEGIN" not in content:  # gRPC aborts the whole process on an empty certificate
            raise TlsError(
                f"etcd {self.endpoint}: {rpc} was not sent: {path} holds nothing in PEM form",
                endpoint=str(self.endpoint),
            )
        return content

    def _closed_error(self, rpc: Rpc) -> UnreachableError:
        return UnreachableError(
            f"etcd {self.endpoint}: {rpc} was not sent: the connection is closed",
            endpoint=str(self.endpoint),
        )

    def _translated(
        self, error: Any, rpc: Rpc, *, began: float, timeout_seconds: float, writes: bool
    ) -> RemoteError:
        failure = Failure(
            code=error.code().name,
            text=error.details() or "",
            rpc=str(rpc),
            endpoint=str(self.endpoint),
            timeout_seconds=timeout_seconds,
            writes=writes,
        )
        ours = translate(failure)
        if not is_of_the_transport(failure):
            self._has_answered = True
        elif failure.code == "UNAVAILABLE" and (isinstance(ours, UnreachableError) or not self._has_answered):
            left = began + timeout_seconds - time.monotonic()
            return (self._tls_error(rpc, timeout_seconds=left) if left > 0 else None) or ours
        return ours

    def _tls_error(self, rpc: Rpc, *, timeout_seconds: float) -> TlsError | None:
        """Ask why the handshake failed: gRPC says the same of six different causes.

        Only where the request cannot have been served: nothing was sent, or no handshake ever succeeded.
        """
        from sretool.clients.etcd.tls_probe import find_tls_fault

        fault = find_tls_fault(self.endpoint, self.tls, timeout_seconds=min(_PROBE_SECONDS, timeout_seconds))
        if fault is None:
            return None
        return TlsError(
            f"etcd {self.endpoint}: {rpc} was not sent: {fault.cause}",
            endpoint=str(self.endpoint),
            then=fault.then,
        )


class AnswerStream:
    """The answers to one request, one after the other; `cancel` ends it from any thread."""

    def __init__(self, answers: Any, connection: Connection, rpc: Rpc, *, timeout_seconds: float) -> None:
        self._answers = answers
        self._connection = connection
        self._rpc = rpc
        self._began = time.monotonic()
        self._timeout_seconds = timeout_seconds

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        from sretool.clients.etcd.channel import RpcError

        try:
            answer = next(self._answers)
        except RpcError as error:
            raise self._connection._translated(  # noqa: SLF001 - the stream is the connection's other half
                error, self._rpc, began=self._began, timeout_seconds=self._timeout_seconds, writes=False
            ) from error
        self._connection._has_answered = True  # noqa: SLF001 - as above
        return answer

    def cancel(self) -> None:
        self._answers.cancel()
