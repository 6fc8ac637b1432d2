"""The two gates to a connection: what a reader may send, and what a writer may send."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from sretool.clients.etcd.rpcs import ALARM, ALARM_GET, READING, WRITING, Rpc
from sretool.errors import SretoolError


class Answers(Protocol):
    """The answers to one request, one after the other; `cancel` ends it from any thread."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def cancel(self) -> None: ...


class SendsRequests(Protocol):
    """A way to one member: by gRPC, or by etcdctl. Raises a RemoteError within the call's deadline."""

    @property
    def endpoint(self) -> object:
        """The member, as messages name it."""

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float, writes: bool) -> Any:
        """Send one request and return its answer."""

    def stream(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Answers:
        """Send one request and return the stream of its answers."""


class ReadGate:
    """Passes the listed reading requests, and nothing else: an Alarm only with action GET."""

    def __init__(self, connection: SendsRequests) -> None:
        self._connection = connection

    @property
    def endpoint(self) -> str:
        return str(self._connection.endpoint)

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """Send one request and return its answer; SretoolError, nothing sent, when it does not only read."""
        self._require_reading(rpc, fields)
        return self._connection.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=False)

    def stream(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Answers:
        """Send one request with many answers; SretoolError, nothing sent, when it does not only read."""
        self._require_reading(rpc, fields)
        return self._connection.stream(rpc, fields, timeout_seconds=timeout_seconds)

    def _require_reading(self, rpc: Rpc, fields: Mapping[str, Any]) -> None:
        action = fields.get("action", ALARM_GET)
        if rpc not in READING or (rpc == ALARM and action != ALARM_GET):
            detail = f" with action {action}" if rpc == ALARM else ""
            raise SretoolError(
                f"a reader was asked to send {rpc}{detail} to etcd {self.endpoint}; nothing was sent",
                then="this is a bug in sretool: please report it",
            )


class WriteGate:
    """Passes the listed writing requests."""

    def __init__(self, connection: SendsRequests) -> None:
        self._connection = connection

    @property
    def endpoint(self) -> str:
        return str(self._connection.endpoint)

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """Send one request and return its answer. An unclear end says that the outcome is unknown."""
        if rpc not in WRITING:
            raise SretoolError(f"a writer was asked to send {rpc} to etcd {self.endpoint}; nothing was sent")
        return self._connection.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=True)
