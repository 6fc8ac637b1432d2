"""What each failure of etcd and gRPC becomes."""

import pytest

from sretool.clients.etcd.errors import Failure, is_of_the_transport, translate
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

_REFUSED = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:2379: Failed to connect to remote "
    "host: Connection refused"
)
_CASES = [
    ("UNAVAILABLE", _REFUSED, UnreachableError),
    ("UNAVAILABLE", "DNS resolution failed for m1:2379", UnreachableError),
    ("UNAVAILABLE", "Socket closed", NoAnswerError),
    ("UNAVAILABLE", "recvmsg:Connection reset by peer", NoAnswerError),
    ("UNAVAILABLE", "GOAWAY received; Error code: 11; Debug Text: too_many_pings", NoAnswerError),
    ("UNAVAILABLE", "keepalive watchdog timeout", NoAnswerError),
    ("UNAVAILABLE", "etcdserver: no leader", NoQuorumError),
    ("UNAVAILABLE", "etcdserver: leader changed", NoAnswerError),
    ("UNAVAILABLE", "etcdserver: request timed out, possibly due to previous leader failure", NoAnswerError),
    ("UNAVAILABLE", "etcdserver: server stopped", NoAnswerError),
    ("UNAVAILABLE", "etcdserver: rpc not supported for learner", RejectedError),
    ("UNAVAILABLE", "etcdserver: unhealthy cluster", RejectedError),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", NoAnswerError),
    ("DEADLINE_EXCEEDED", "context deadline exceeded", NoAnswerError),
    ("CANCELLED", "Channel closed!", NoAnswerError),
    ("UNKNOWN", "write db.tmp: no space left on device", NoAnswerError),
    ("INTERNAL", "Received RST_STREAM with error code 2", NoAnswerError),
    ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", NoSpaceError),
    ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", RejectedError),
    ("FAILED_PRECONDITION", "etcdserver: not leader", NotLeaderError),
    ("FAILED_PRECONDITION", "etcdserver: too many learner members in cluster", RejectedError),
    ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", CompactedError),
    ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision", RejectedError),
    ("INVALID_ARGUMENT", "etcdserver: request is too large", RejectedError),
    ("INVALID_ARGUMENT", "etcdserver: user name is empty", NotPermittedError),
    ("PERMISSION_DENIED", "etcdserver: permission denied", NotPermittedError),
    ("UNAUTHENTICATED", "etcdserver: invalid auth token", NotPermittedError),
    ("UNIMPLEMENTED", "unknown method RangeStream", RejectedError),
    ("DATA_LOSS", "etcdserver: corrupt cluster", RejectedError),
    ("A_CODE_OF_TOMORROW", "what is this", NoAnswerError),
]  # fmt: skip


def _failure(code: str, text: str, *, writes: bool) -> Failure:
    return Failure(
        code=code, text=text, rpc="Put", endpoint="m1 (https://m1:2379)", timeout_seconds=1.2, writes=writes
    )


@pytest.mark.parametrize(("code", "text", "expected"), _CASES)
@pytest.mark.parametrize("writes", [False, True])
def test_code_and_text_decide(code: str, text: str, expected: type[RemoteError], writes: bool) -> None:
    error = translate(_failure(code, text, writes=writes))
    assert type(error) is expected
    assert error.message.startswith("etcd m1 (https://m1:2379): ")
    assert "Put" in error.message
    assert error.endpoint == "m1 (https://m1:2379)"
    unknown = writes and expected is NoAnswerError
    assert error.touched is (Touched.UNKNOWN if unknown else Touched.NOTHING)


def test_an_answer_over_our_limit_is_refused_for_reads_and_unknown_for_writes() -> None:
    text = "CLIENT: Received message larger than max (70000000 vs. 67108864)"
    read = translate(_failure("RESOURCE_EXHAUSTED", text, writes=False))
    write = translate(_failure("RESOURCE_EXHAUSTED", text, writes=True))
    assert (type(read), read.then) == (RejectedError, "ask for fewer keys")
    assert (type(write), write.touched) == (NoAnswerError, Touched.UNKNOWN)


def test_the_end_of_a_chain_of_causes_is_told() -> None:
    error = translate(_failure("UNAVAILABLE", _REFUSED, writes=False))
    assert error.message == "etcd m1 (https://m1:2379): Put was not sent: Connection refused"


def test_a_deadline_is_told_in_seconds() -> None:
    error = translate(_failure("DEADLINE_EXCEEDED", "Deadline Exceeded", writes=True))
    assert error.message == "etcd m1 (https://m1:2379): no answer to Put in 1.2 s"


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("UNAVAILABLE", "Socket closed", True),
        ("UNAVAILABLE", "etcdserver: no leader", False),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", True),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", False),
    ],
)
def test_a_failure_that_grpc_made_up_proves_nothing_about_the_server(
    code: str, text: str, expected: bool
) -> None:
    assert is_of_the_transport(_failure(code, text, writes=False)) is expected
