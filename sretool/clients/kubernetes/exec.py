"""Runs one command in a container through the API server, and returns its end."""

import contextlib
import re

import msgspec

from sretool.clients.command import CommandOutput
from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.errors import Sent
from sretool.clients.kubernetes.request import Request
from sretool.clients.kubernetes.websocket_stream import open_stream
from sretool.clients.unreadable import UNREADABLE
from sretool.errors import NoAnswerError, RejectedError, RemoteError

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_LIMIT_BYTES = 64 << 20
_NOT_STARTED = re.compile(
    r"executable file not found|no such file or directory|permission denied|container not found|not running"
)


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container of a pod."""

    namespace: str
    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}"

    def path(self, subresource: str) -> str:
        """The path of the pod's subresource in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/{subresource}"


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[_Cause, ...] = ()


class _End(msgspec.Struct, frozen=True):
    """The API's `Status` that ends a command."""

    status: str = ""
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def run_command(
    connection: Connection,
    container: Container,
    words: tuple[str, ...],
    *,
    timeout_seconds: float,
    writes: bool,
) -> CommandOutput:
    """Run `words` in `container` without a shell and return their end, or raise within `timeout_seconds`.

    NoAnswerError when the end did not come: the command may still run there, so it needs a limit of its own.
    """
    request = Request(method="GET", path=container.path("exec"))
    parameters = [
        ("container", container.container),
        ("stdout", "true"),
        ("stderr", "true"),
        *(("command", word) for word in words),
    ]
    stream, sent = open_stream(
        connection,
        request,
        parameters,
        protocols=_PROTOCOLS,
        timeout_seconds=timeout_seconds,
        writes=writes,
    )
    printed: dict[int, bytearray] = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
    with stream:
        while (message := stream.receive()) is not None:
            channel, content = message
            if channel in printed:
                printed[channel] += content
            if sum(map(len, printed.values())) > _LIMIT_BYTES:
                # It ran, and may still run: that is no refusal of a write.
                kind = NoAnswerError if writes else RejectedError
                raise sent.failed(kind, f"printed more than {_LIMIT_BYTES >> 20} MiB")
            if channel == _STATUS and _is_whole(printed[_STATUS]):
                break
    return CommandOutput(
        exit_code=_exit_code(bytes(printed[_STATUS]), sent),
        stdout=bytes(printed[_STDOUT]),
        stderr=bytes(printed[_STDERR]),
    )


def _is_whole(status: bytearray) -> bool:
    with contextlib.suppress(*UNREADABLE):
        return bool(msgspec.json.decode(status, type=_End).status)
    return False


def _exit_code(status: bytes, sent: Sent) -> int:
    try:
        end = msgspec.json.decode(status, type=_End)
    except UNREADABLE as error:
        raise sent.failed(NoAnswerError, "ended without saying how the command ended") from error
    if end.status == "Success":
        return 0
    causes = end.details.causes if end.details else ()
    code = next((cause.message for cause in causes if cause.reason == "ExitCode"), "")
    if end.reason == "NonZeroExitCode" and code.isdecimal():
        return int(code)
    raise _not_run(end, sent)


def _not_run(end: _End, sent: Sent) -> RemoteError:
    if _NOT_STARTED.search(end.message):
        return sent.failed(RejectedError, f"could not start the command: {end.message}")
    return sent.failed(NoAnswerError, f"got no end of the command: {end.message or end.reason}")
