"""The two gates to a connection: what a reader may send, and what a writer may send."""

from collections.abc import Mapping
from typing import Any

from sretool.clients.etcd.connection import AnswerStream, Connection
from sretool.clients.etcd.rpcs import ALARM, ALARM_GET, READING, WRITING, Rpc
from sretool.errors import SretoolError


class ReadGate:
    """Passes the listed reading requests, and nothing else: an Alarm only with action GET."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def endpoint(self) -> str:
        return str(self._connection.endpoint)

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """Send one request and return its answer; SretoolError, nothing sent, when it does not only read."""
        self._require_reading(rpc, fields)
        return self._connection.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=False)

    def stream(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> AnswerStream:
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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def endpoint(self) -> str:
        return str(self._connection.endpoint)

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """Send one request and return its answer. An unclear end says that the outcome is unknown."""
        if rpc not in WRITING:
            raise SretoolError(f"a writer was asked to send {rpc} to etcd {self.endpoint}; nothing was sent")
        return self._connection.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=True)
