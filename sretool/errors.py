"""Every error that sretool raises; its class decides the exit code, its text what a person reads.

    SretoolError                         1  a bug, or something nobody foresaw
    ├── UsageError                       2  the person's input: words, parameters, documents
    │   └── DocumentError                2  a YAML document, with every problem's file:line:column
    ├── RefusedError                     4  before the first write
    │   ├── ForbiddenError               4  a rule forbids it to everybody, by hand too
    │   ├── LockHeldError                4  another run is at work on this cluster
    │   ├── WrongClusterError            4  not the cluster that was planned for
    │   └── StalePlanError               4  the cluster has moved away from what was approved
    ├── StateError                       4  the local state directory: full, unreadable, damaged
    ├── InterruptedRunError        130/143  a signal asked the run to stop
    └── RemoteError                      8  a remote call failed
        ├── UnreachableError             8  nothing was sent: refused, no route, TLS
        │   └── TlsError                 8  the cause is in the certificates
        ├── NoAnswerError                8  sent, and no answer in time: the outcome is unknown
        └── RejectedError                8  the server answered no
            ├── NoSpaceError             8  etcd: the quota is exhausted
            ├── NoQuorumError            8  etcd: no leader, or the request needs a majority
            ├── NotLeaderError           8  etcd: only the leader does this
            ├── CompactedError           8  that revision is gone (Kubernetes: 410)
            ├── ConflictError            8  Kubernetes: changed by somebody else, or owned by them (409)
            ├── NotFoundError            8  Kubernetes: there is no such object, or no such kind (404)
            ├── TooManyRequestsError     8  Kubernetes: try again later (429)
            └── NotPermittedError        8  authentication or authorisation

A class exists because somebody catches it. How one error ends a run is decided where it is caught
(`engine.ending`): a `NoAnswerError` from a read is exit 8, from a write it starts an observation.
"""

import enum
import re
from collections.abc import Sequence

EXIT_CODES = {
    0: "nothing to do, or done and verified, and the cause is gone",
    1: "a bug in sretool",
    2: "usage, runbook or parameter error",
    3: "changes are due and none was made (plan only, or declined)",
    4: "refused before the first write; a plan says what is due besides",
    5: "stopped part-way: resume and undo are possible",
    6: "done, but not as planned when looked at afterwards",
    7: "outcome unknown: a write was sent and nobody can tell",
    8: "cannot tell: something that the answer needs could not be read",
    9: "unhealthy, and this runbook has no further remedy",
    130: "interrupted by SIGINT, after a clean journal",
    143: "interrupted by SIGTERM, after a clean journal",
}
"""What each exit code says: an interface, printed by `--help`, reports and the reference."""


class Touched(enum.StrEnum):
    """Whether the cluster was changed before the error."""

    NOTHING = "nothing was changed"
    CHANGED = "changes were made"
    UNKNOWN = "a write was sent and its outcome is unknown"


_SECRETS = (  # compiled with the first error, not at every start
    r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)(?=\S*[0-9=])[\w.~+/=-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token, as service accounts have
    r"|(?P<url>\b\w+://)[^\s/@:]*:[^\s/]+(?=@)"
    r"|(?P<name>\b(?:password|client-key-data|(?:id|access|refresh)-token)[\"']?\s*[=:]\s*)[^\s,}]+"
)


def masked(text: str) -> str:
    """Return `text` without what looks like a private key, a token or a password: others' words stand in errors,
    and errors go into logs, journals and reports."""

    def short(found: re.Match[str]) -> str:
        return f"{found[found.lastgroup] if found.lastgroup else ''}(masked)"

    return re.sub(_SECRETS, short, text, flags=re.IGNORECASE | re.DOTALL)


class SretoolError(Exception):
    """What happened and to what; `touched` and `then` say the rest.

    `message` is one sentence naming the object, secrets in it masked. `then` is what the person does next: a
    command or a place to look, empty when there is nothing sensible to say.
    """

    exit_code = 1

    def __init__(self, message: str, *, touched: Touched = Touched.NOTHING, then: str = "") -> None:
        self.message = masked(message)
        super().__init__(self.message)
        self.touched = touched
        self.then = then


class UsageError(SretoolError):
    """The input cannot be used; nothing was contacted or everything was only read."""

    exit_code = 2


class DocumentError(UsageError):
    """A YAML document with problems, all of them: each `FILE:LINE:COLUMN: what (suggestion)`."""

    def __init__(self, problems: Sequence[str], *, then: str = "") -> None:
        super().__init__("\n".join(problems), then=then)
        self.problems = tuple(masked(problem) for problem in problems)


class RefusedError(SretoolError):
    """A rule forbids going on; the message names the rule and the value it saw."""

    exit_code = 4


class ForbiddenError(RefusedError):
    """A rule forbids it to everybody: no command is given to do it by hand."""


class LockHeldError(RefusedError):
    """Another run holds the lock on this cluster."""


class WrongClusterError(RefusedError):
    """The cluster that answers is not the one the plan or the journal was made for."""


class StalePlanError(RefusedError):
    """What would be done now is not covered by what was approved."""


class StateError(SretoolError):
    """The local state directory cannot be used: full, unreadable, or a damaged journal."""

    exit_code = 4


class RemoteError(SretoolError):
    """A remote call failed; `endpoint` names who was asked."""

    exit_code = 8

    def __init__(
        self,
        message: str,
        *,
        endpoint: str = "",
        touched: Touched = Touched.NOTHING,
        then: str = "",
    ) -> None:
        super().__init__(message, touched=touched, then=then)
        self.endpoint = endpoint


class UnreachableError(RemoteError):
    """The request never left this machine, so it has had no effect."""


class TlsError(UnreachableError):
    """The TLS handshake failed; the message names the certificate and what is wrong with it."""


class NoAnswerError(RemoteError):
    """The request was sent and no answer came in time: whether it took effect must be observed."""


class RejectedError(RemoteError):
    """The server refused the request; it has had no effect."""


class NoSpaceError(RejectedError):
    """etcd refuses writes: `mvcc: database space exceeded` (alarm NOSPACE)."""


class NoQuorumError(RejectedError):
    """etcd has no leader, or cannot commit."""


class NotLeaderError(RejectedError):
    """The request must be sent to the leader."""


class CompactedError(RejectedError):
    """The revision asked for has been compacted; for a compaction this means «already done»."""


class ConflictError(RejectedError):
    """The object is no longer what the request was made for, exists already, or its field is another's."""


class NotFoundError(RejectedError):
    """There is no such object, or the server does not know its kind."""


class TooManyRequestsError(RejectedError):
    """The server is too busy; `retry_after_seconds` is the pause that it asks for (0: it does not say)."""

    def __init__(
        self, message: str, *, endpoint: str = "", then: str = "", retry_after_seconds: float = 0.0
    ) -> None:
        super().__init__(message, endpoint=endpoint, then=then)
        self.retry_after_seconds = retry_after_seconds


class NotPermittedError(RejectedError):
    """The credentials are valid but not allowed to do this, or are missing."""


class InterruptedRunError(SretoolError):
    """A signal asked the run to stop; `signal_number` is 2 (SIGINT) or 15 (SIGTERM)."""

    def __init__(self, message: str, *, signal_number: int, touched: Touched = Touched.NOTHING) -> None:
        super().__init__(message, touched=touched)
        self.exit_code = 128 + signal_number
