"""What the API server's failures mean, by status, reason and text: one status stands for different things."""

import errno
import re
import time
from collections.abc import Mapping, Sequence

import msgspec

from sretool.clients.tcp import NotResolvedError
from sretool.clients.unreadable import UNREADABLE
from sretool.errors import (
    CompactedError,
    ConflictError,
    NoAnswerError,
    NoQuorumError,
    NoSpaceError,
    NotFoundError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    TlsError,
    TooManyRequestsError,
    Touched,
    UnreachableError,
)

_CLEARLY = 0.9  # less of a timeout was ended by something else


class ExpiredListError(CompactedError):
    """The revision of a list is gone; `continue_token` reads the rest from the newest, empty: impossible."""

    def __init__(self, message: str, *, endpoint: str, continue_token: str) -> None:
        super().__init__(message, endpoint=endpoint)
        self.continue_token = continue_token


class NoConnectionError(UnreachableError):
    """No connection to the API server's own address comes about: no route leads there, or nothing answers."""


class NobodyListensError(NoConnectionError):
    """The address answers, and refuses the connection: no API server runs there."""


class StrangeAnswerError(NoAnswerError):
    """Answered with success, and not as an API server does: the kubeconfig leads to something else."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of whom: the first half of every message."""

    request: str
    server: str
    timeout_seconds: float
    writes: bool
    began: float = msgspec.field(default_factory=time.monotonic)

    @property
    def waited(self) -> float:
        """Return the seconds that were waited: the timeout, unless another limit (connecting) ended it before."""
        waited = time.monotonic() - self.began
        return waited if waited < _CLEARLY * self.timeout_seconds else self.timeout_seconds

    def failed(self, kind: type[RemoteError], what: str, then: str = "") -> RemoteError:
        """Return the error; a write without a clear answer says that its outcome is unknown."""
        unknown = self.writes and issubclass(kind, NoAnswerError)
        return kind(
            f"API server {self.server}: {self.request} {what}",
            endpoint=self.server,
            touched=Touched.UNKNOWN if unknown else Touched.NOTHING,
            then=then,
        )


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: float = 0.0


class _Meta(msgspec.Struct, frozen=True):
    next: str = msgspec.field(default="", name="continue")


class _Status(msgspec.Struct, frozen=True):
    """The API's own `Status`; its defaults stand for an answer of a proxy that knows no such thing."""

    reason: str | None = ""
    message: str | None = ""
    details: _Details | None = None
    metadata: _Meta | None = None


class _Row(msgspec.Struct, frozen=True):
    """A status (0: any) and a pattern in the text (empty: any) → our error, what to do next, and who refused.

    `then` and `by` may hold the pattern's groups: `{0}`.
    """

    status: int
    pattern: str
    error: type[RemoteError]
    then: str = ""
    by: str = ""


_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_SHOWN_CHARACTERS = 1000  # a webhook's message may be long
_TITLE_CHARACTERS = 100
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)

_TLS = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|HANDSHAKE|KEY_VALUES_MISMATCH|PEM"
    r"|alert (bad certificate|certificate|unknown ca|handshake|protocol version|access denied|decrypt"
    r"|unrecognized name)"
)
_RUNS = "see whether the API server runs there and whether a route leads there"
_NO_NAME = "see /etc/hosts and the resolver"
_LIST_WEBHOOKS = (
    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations "
    "-o custom-columns=NAME:.metadata.name,WEBHOOKS:.webhooks[*].name"
)
_SEE_QUOTA = "kubectl -n NAMESPACE describe resourcequota {0}"
_RIGHTS = "see `sretool cluster doctor`: it names each missing right, and the command that grants it"

# The first row that fits counts. Texts: k8s.io/apiserver `pkg/admission`, `pkg/registry`, etcd `rpctypes`.
_ROWS = (
    _Row(
        401,
        "",
        NotPermittedError,
        "the kubeconfig's credentials are not, or no longer, accepted: log in anew; "
        "`kubectl get --raw /version` must work",
    ),
    # Refused before anything is stored, whatever status the webhook chose.
    _Row(
        0,
        r'failed calling webhook "([^"]+)"',
        RejectedError,
        f"{_LIST_WEBHOOKS}  # whose it is: its service must answer again",
        by="because the webhook {0} does not answer",
    ),
    _Row(
        0,
        r'admission webhook "([^"]+)" denied the request',
        RejectedError,
        f"{_LIST_WEBHOOKS}  # whose it is",
        by="by the webhook {0}",
    ),
    _Row(
        0,
        r"(\w+AdmissionPolicy) '([^']+)'",
        RejectedError,
        "kubectl get {0} {1} -o yaml",
        by="by the {0} {1}",
    ),
    _Row(
        403,
        r'violates PodSecurity "([^"]+)"',
        RejectedError,
        "kubectl get namespaces --show-labels  # pod-security.kubernetes.io/enforce",
        by="by Pod Security, level {0}",
    ),
    # A server-side apply of a value or a field that its kind does not know is a 500.
    _Row(500, r"failed to (convert new object|create typed)|field not declared", RejectedError),
    _Row(403, r"exceeded quota: ([^,\s]+)", RejectedError, _SEE_QUOTA, by="by the ResourceQuota {0}"),
    _Row(403, r"failed quota: ([^:\s]+)", RejectedError, _SEE_QUOTA, by="by the ResourceQuota {0}"),
    _Row(403, r"because it is being terminated", RejectedError, by="because its namespace is being deleted"),
    _Row(403, r"\bcannot \w+ (resource|path)\b|cannot impersonate", NotPermittedError, _RIGHTS),
    _Row(403, "", RejectedError),
    _Row(404, "", NotFoundError),
    _Row(409, "", ConflictError),
    # The API server passes etcd's refusals on as 500.
    _Row(0, r"database space exceeded", NoSpaceError, "see `sretool runbook etcd-nospace`"),
    _Row(0, r"etcdserver: no leader", NoQuorumError, "see `sretool cluster status`"),
    _Row(500, r"(readyz|livez|healthz) check failed", RejectedError),
    _Row(501, "", RejectedError),
    # A gateway between, or the server itself, gave up: the request may be carried out all the same.
    _Row(408, "", NoAnswerError, "the API server gave up waiting: see `sretool runbook etcd-latency`"),
    _Row(500, r"etcdserver|context deadline", NoAnswerError, "see `sretool runbook etcd-latency`"),
    _Row(503, "", NoAnswerError, "the API server, or the one behind it, is not ready"),
    _Row(504, "", NoAnswerError, "the API server gave up waiting: see `sretool runbook etcd-latency`"),
)


def translate_status(status: int, headers: Mapping[str, str], body: bytes, sent: Sent) -> RemoteError:
    """Return our error for an answer whose status is not 2xx. A 5xx that no row knows is unclear."""
    said = _parse_status(body)
    text = said.message or body.decode(errors="replace")
    shown = f"({status}{f' {said.reason}' if said.reason else ''}): {_shown(status, headers, text)}"
    if status == 410:
        token = said.metadata.next if said.metadata else ""
        message = sent.failed(CompactedError, f"was refused {shown}").message
        return ExpiredListError(message, endpoint=sent.server, continue_token=token)
    if status == 429:
        return _too_many(headers, said, sent, shown)
    row, groups = _row_of(status, text)
    verb = "got no usable answer" if row.error is NoAnswerError else "was refused"
    who = f"{verb} {row.by.format(*groups)}" if row.by else verb
    return sent.failed(row.error, f"{who} {shown}", row.then.format(*groups))


def _shown(status: int, headers: Mapping[str, str], text: str) -> str:
    """Return what is worth reading of an answer: not a proxy's page, nor the checks that pass."""
    if 300 <= status < 400:
        leads = headers.get("Location", "").partition("?")[0]
        return f"it leads elsewhere, to {leads or 'nowhere'}, and was not followed"
    if text.lstrip().startswith("<"):
        title = _TITLE.search(text)
        said = title[1] if title else re.sub(r"<[^>]*>", " ", text)
        return f"a page of HTML, «{_one_line(said)[:_TITLE_CHARACTERS]}»"
    failing = [line for line in text.splitlines() if line.startswith("[-]")]
    if failing:  # of /readyz?verbose, which names some fifty checks
        text = f"{'; '.join(failing)}; {text.splitlines()[-1]}"
    return _one_line(text)[:_SHOWN_CHARACTERS]


def _row_of(status: int, text: str) -> tuple[_Row, Sequence[str]]:
    """Return the first row that fits, with what its pattern's groups found."""
    for row in _ROWS:
        found = re.search(row.pattern, text) if row.status in {0, status} else None
        if found:
            return row, found.groups()
    return _Row(status, "", NoAnswerError if status >= 500 else RejectedError), ()


def translate_exception(error: Exception, sent: Sent) -> RemoteError:
    """Return our error for what the kubernetes package or urllib3 raised instead of an answer."""
    from urllib3 import exceptions as urllib3

    text = _one_line(str(error))
    if isinstance(error, urllib3.NameResolutionError):
        return sent.failed(UnreachableError, "was not sent: its host name does not resolve here", _NO_NAME)
    if isinstance(error, urllib3.ProxyError):
        cause = _cause(error.original_error)
        return sent.failed(UnreachableError, f"was not sent: the proxy does not let it through: {cause}")
    if isinstance(error, urllib3.NewConnectionError | urllib3.LocationValueError):
        return sent.failed(_kind_of(error.__cause__), f"was not sent: {_cause(error)}", _RUNS)
    if isinstance(error, urllib3.ConnectTimeoutError):
        kind = UnreachableError if isinstance(error.__cause__, NotResolvedError) else NoConnectionError
        return sent.failed(kind, "was not sent: no connection in time", _RUNS)
    if _is_unreadable_file(error):
        return sent.failed(TlsError, f"was not sent: {text}", "see the kubeconfig's certificate files")
    fault = _tls_fault(text)
    if fault:
        return sent.failed(TlsError, f"was not sent: {fault}")
    if isinstance(error, urllib3.ProtocolError) and len(error.args) > 1:
        text = _one_line(str(error.args[1]))  # the first says «Connection aborted» of everything
    if isinstance(error, urllib3.TimeoutError | TimeoutError):
        return sent.failed(NoAnswerError, f"got no answer in {sent.waited:.3g} s")
    return sent.failed(NoAnswerError, f"got no usable answer: {text or type(error).__name__}")


def _kind_of(cause: BaseException | None) -> type[UnreachableError]:
    """Return what an OSError says of a connection that did not come about; of this machine's own limits nothing."""
    if isinstance(cause, ConnectionRefusedError):
        return NobodyListensError
    is_there = isinstance(cause, OSError) and cause.errno in _NO_ROUTE
    return NoConnectionError if is_there else UnreachableError


def _parse_status(body: bytes) -> _Status:
    try:
        return msgspec.json.decode(body, type=_Status)
    except UNREADABLE:  # a proxy's page
        return _Status()


def _too_many(headers: Mapping[str, str], said: _Status, sent: Sent, shown: str) -> TooManyRequestsError:
    asked = headers.get("Retry-After", "")
    seconds = float(asked) if asked.isdecimal() else (said.details or _Details()).retry_after_seconds
    return TooManyRequestsError(
        sent.failed(RejectedError, f"was refused {shown}").message,
        endpoint=sent.server,
        then="the API server sheds load: see `sretool runbook control-plane-health`",
        retry_after_seconds=seconds,
    )


def _tls_fault(text: str) -> str:
    """Return what is wrong with the certificates, empty where the text says nothing of them.

    A TLS connection that ends without a word is no such fault: the request may have been carried out.
    """
    return text.removeprefix("(0) Reason: ") if _TLS.search(text) else ""


def _is_unreadable_file(error: Exception) -> bool:
    """Tell whether a certificate file could not be read: urllib3 says «Connection aborted» of that too."""
    return any(isinstance(part, FileNotFoundError | PermissionError) for part in error.args)


def _cause(error: Exception) -> str:
    return _one_line(str(error).rpartition(": ")[2])


def _one_line(text: str) -> str:
    return " ".join(text.split())
