"""What etcd's and gRPC's failures mean, by code *and* text: one code stands for very different things."""

import msgspec

from sretool.errors import (
    CompactedError,
    NoAnswerError,
    NoQuorumError,
    NoSpaceError,
    NotLeaderError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    Touched,
    UnreachableError,
)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed call as gRPC tells it: its code's name and its text, and what was asked of whom."""

    code: str
    text: str
    rpc: str
    endpoint: str
    timeout_seconds: float
    writes: bool


class _Row(msgspec.Struct, frozen=True):
    """`code` (empty: any) and a fragment of the text (empty: any) → our error, and what to do next."""

    code: str
    fragment: str
    error: type[RemoteError]
    then: str = ""


_NO_NAME = "its host name does not resolve here: see /etc/hosts and the resolver"
_RUNS = "see whether etcd runs there and whether a route leads there"
_TIMED_OUT = (
    "etcd could not commit in time: see whether a majority of members is up, and how slow their disks are"
)

# The first row that fits counts. Texts: etcd `api/v3rpc/rpctypes/error.go`, 3.4 to 3.7; gRPC C core 1.85.
_ROWS = (
    # Never sent: gRPC had no connection to send it on.
    _Row("UNAVAILABLE", "failed to connect to all addresses", UnreachableError, _RUNS),
    _Row("UNAVAILABLE", "errors resolving", UnreachableError, _NO_NAME),
    _Row("UNAVAILABLE", "DNS resolution failed", UnreachableError, _NO_NAME),
    _Row("UNAVAILABLE", "empty address list", UnreachableError, _NO_NAME),
    # Answered no, before anything was proposed.
    _Row("RESOURCE_EXHAUSTED", "database space exceeded", NoSpaceError, "see `sretool runbook etcd-nospace`"),
    _Row("RESOURCE_EXHAUSTED", "too many requests", RejectedError, "etcd lags far behind: try again later"),
    _Row("", "no leader", NoQuorumError, "see whether a majority of members is up"),
    _Row("", "not leader", NotLeaderError, "ask the leader"),
    _Row("", "has been compacted", CompactedError),
    _Row("", "not supported for learner", RejectedError, "ask a voting member"),
    _Row("", "unhealthy cluster", RejectedError, "try again when the members have been connected for 5 s"),
    _Row("", "not capable", RejectedError, "the cluster's version does not offer this yet: try again"),
    _Row("", "corrupt cluster", RejectedError, "a member's data is corrupt: change nothing, compare hashes"),
    _Row("UNAUTHENTICATED", "", NotPermittedError),
    _Row(
        "PERMISSION_DENIED", "", NotPermittedError, "etcd's own authentication is on: this user needs a role"
    ),
    _Row("INVALID_ARGUMENT", "user name is empty", NotPermittedError, "etcd's own authentication is on"),
    # Accepted, then the proposal or the read index did not come back: it may still be committed.
    _Row("", "request timed out", NoAnswerError, _TIMED_OUT),
    _Row("", "context deadline exceeded", NoAnswerError, _TIMED_OUT),
    _Row("", "leader changed", NoAnswerError, "the leader changed meanwhile: ask again"),
    _Row("", "server stopped", NoAnswerError, "that member was stopping"),
    _Row("INVALID_ARGUMENT", "", RejectedError),
    _Row("NOT_FOUND", "", RejectedError),
    _Row("ALREADY_EXISTS", "", RejectedError),
    _Row("FAILED_PRECONDITION", "", RejectedError),
    _Row("OUT_OF_RANGE", "", RejectedError),
    _Row("UNIMPLEMENTED", "", RejectedError, "this version of etcd does not offer it"),
)
_UNCLEAR = _Row("", "", NoAnswerError)

_TRANSPORT_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL"})
_BY_ETCD = "context deadline exceeded"  # gRPC itself says «Deadline Exceeded»
_TOO_LONG = "Received message larger than max"


def is_of_the_transport(failure: Failure) -> bool:
    """Tell whether gRPC made this failure up itself, so that it proves nothing about the server."""
    return failure.code in _TRANSPORT_CODES and not failure.text.startswith(("etcdserver:", "mvcc:"))


def translate(failure: Failure) -> RemoteError:
    """Return our error for `failure`. What no row knows is unclear: its effect must be observed."""
    if failure.code == "DEADLINE_EXCEEDED" and failure.text != _BY_ETCD:
        return _error(failure, NoAnswerError, f"no answer to {failure.rpc} in {failure.timeout_seconds:g} s")
    if failure.code == "RESOURCE_EXHAUSTED" and _TOO_LONG in failure.text and not failure.writes:
        return _error(
            failure, RejectedError, f"the answer to {failure.rpc} is too large", "ask for fewer keys"
        )
    row = next((row for row in _ROWS if _fits(row, failure)), _UNCLEAR)
    if row.error is UnreachableError:
        said = f"{failure.rpc} was not sent: {_reason(failure.text)}"
    elif row.error is NoAnswerError:
        said = f"no usable answer to {failure.rpc}: {_reason(failure.text) or failure.code.lower()}"
    else:
        said = f"{failure.rpc} was refused: {_reason(failure.text) or failure.code.lower()}"
    return _error(failure, row.error, said, row.then)


def _fits(row: _Row, failure: Failure) -> bool:
    return row.code in {"", failure.code} and row.fragment in failure.text


def _error(failure: Failure, kind: type[RemoteError], said: str, then: str = "") -> RemoteError:
    unknown = failure.writes and kind is NoAnswerError
    return kind(
        f"etcd {failure.endpoint}: {said}",
        endpoint=failure.endpoint,
        touched=Touched.UNKNOWN if unknown else Touched.NOTHING,
        then=then,
    )


def _reason(text: str) -> str:
    """Return the end of gRPC's chain of causes, in one line: «Connection refused (111)»."""
    for opening in ("last error:", "remote host:", "lookup error:"):
        text = text.rpartition(opening)[2] or text
    return " ".join(text.removeprefix("etcdserver:").split()).strip(" ;]")
