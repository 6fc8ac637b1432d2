"""The two gates to the API server: what a reader may send, and what a writer may send, into pods too."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sretool.clients.command import CommandOutput
from sretool.clients.kubernetes.connection import Answer, Connection
from sretool.clients.kubernetes.request import Request
from sretool.errors import SretoolError
from sretool.model import MetricsPage

if TYPE_CHECKING:
    from sretool.clients.kubernetes.exec import Container

_REVIEWS = re.compile(
    r"/apis/(authorization\.k8s\.io/v1/selfsubject(access|rules)reviews|authentication\.k8s\.io/v1/selfsubjectreviews)"
)
# A GET of these opens a way to the inside of a pod, a node or a service: whatever it does there is no reading.
_TUNNELS = re.compile(
    r"/api/v1/(namespaces/[^/]+/)?(pods|services|nodes)/[^/]+/(exec|attach|portforward|proxy)(/.*)?"
)
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class ReadGate:
    """Passes GET, every verb that carries dryRun=All, POST of the self-access reviews, reviewed reading commands
    in a pod, and GET of a pod's metrics; nothing else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, request: Request, *, timeout_seconds: float) -> Answer:
        """Send one request and return its answer; SretoolError, nothing sent, when it does not only read."""
        if not _only_reads(request):
            raise SretoolError(
                f"a reader was asked to send {request} to the API server; nothing was sent",
                then="this is a bug in sretool: please report it",
            )
        return self._connection.send(request, timeout_seconds=timeout_seconds, writes=False)

    def run(self, container: "Container", words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        """Run a reviewed reading command in a container; SretoolError, nothing sent, for any other."""
        from sretool.clients.etcdctl.commands import is_reading
        from sretool.clients.kubernetes.exec import run_command

        if not is_reading(words):
            raise _no_command(words, who="reader")
        return run_command(self._connection, container, words, timeout_seconds=timeout_seconds, writes=False)

    def metrics(self, pod: "Container", url: str, *, timeout_seconds: float) -> MetricsPage:
        """Return the metrics page at `url`, as the pod sees it; nothing but this GET goes through the forward."""
        from sretool.clients.kubernetes.port_forward import open_forward
        from sretool.clients.metrics import read_metrics

        return read_metrics(
            url,
            None,
            timeout_seconds=timeout_seconds,
            connect=lambda _, port, *, ends: open_forward(
                self._connection, pod, port, timeout_seconds=timeout_seconds, ends=ends
            ),
        )


class WriteGate:
    """Passes writing requests, and the listed writing commands in a pod."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, request: Request, *, timeout_seconds: float) -> Answer:
        """Send one request and return its answer. An unclear end says that the outcome is unknown."""
        if request.method not in _WRITING:
            raise SretoolError(f"a writer was asked to send {request}; nothing was sent")
        return self._connection.send(request, timeout_seconds=timeout_seconds, writes=True)

    def run(self, container: "Container", words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        """Run one of the listed writing commands in a pod; an unclear end says that the outcome is unknown."""
        from sretool.clients.etcdctl.commands import is_writing
        from sretool.clients.kubernetes.exec import run_command

        if not is_writing(words):
            raise _no_command(words, who="writer")
        return run_command(self._connection, container, words, timeout_seconds=timeout_seconds, writes=True)


def _no_command(words: tuple[str, ...], *, who: str) -> SretoolError:
    return SretoolError(
        f"a {who} was asked to run «{' '.join(words)}» in a pod; nothing was sent",
        then="this is a bug in sretool: please report it",
    )


def _only_reads(request: Request) -> bool:
    if _TUNNELS.fullmatch(request.path):
        return False
    if request.method == "GET":
        return True
    if request.method == "POST" and _REVIEWS.fullmatch(request.path):
        return True
    return request.method in _WRITING and _is_dry(request)


def _is_dry(request: Request) -> bool:
    """Tell whether the server will store nothing: of a DELETE with a body it reads the options there only."""
    if request.query.get("dryRun") != "All":
        return False
    if request.method != "DELETE" or request.body is None:
        return True
    return isinstance(request.body, Mapping) and _dry_options(request.body)


def _dry_options(options: Mapping[str, Any]) -> bool:
    return options.get("dryRun") == ["All"]
