"""What an etcdctl that was killed, says nothing, or prints something else is taken for."""

import pytest

from sretool.clients.command import CommandOutput
from sretool.clients.etcd import EtcdReads, EtcdWrites
from sretool.clients.etcdctl import Etcdctl, EtcdctlConnection
from sretool.errors import NoAnswerError, RejectedError, Touched

DEEP = b'[{"Status":{"header":{},"x":' + b'{"a":' * 100_000


def connection(exit_code: int, stdout: bytes = b"", stderr: bytes = b"") -> EtcdctlConnection:
    def run(words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        return CommandOutput(exit_code=exit_code, stdout=stdout, stderr=stderr)

    return EtcdctlConnection("m1", Etcdctl(endpoint="https://127.0.0.1:2379"), run)


@pytest.mark.parametrize("exit_code", [1, 128, 137, 143])
def test_one_that_ended_without_a_word_may_have_written_and_its_exit_code_is_told(exit_code: int) -> None:
    with pytest.raises(NoAnswerError, match=f"etcdctl ended with {exit_code} and said nothing") as caught:
        EtcdWrites(connection(exit_code)).defragment(timeout_seconds=1)
    assert caught.value.touched is Touched.UNKNOWN


def test_one_that_says_what_is_wrong_with_its_arguments_has_sent_nothing() -> None:
    stderr = b"Error: open /no/such.crt: no such file or directory\n"
    with pytest.raises(RejectedError, match=r"was not sent: open /no/such\.crt"):
        EtcdWrites(connection(128, stderr=stderr)).defragment(timeout_seconds=1)


@pytest.mark.parametrize("stdout", [b"", b"\xff\xfe", b"null", b"[]", b"[{}]", b"[" * 100_000, DEEP])
def test_what_is_no_answer_is_no_bug(stdout: bytes) -> None:
    with pytest.raises(NoAnswerError, match="printed no answer to Status"):
        EtcdReads(connection(0, stdout)).status(timeout_seconds=1)


def test_a_log_without_end_is_no_bug() -> None:
    with pytest.raises(NoAnswerError):
        EtcdReads(connection(1, stderr=b'{"error":"x","y":' + b'{"a":' * 100_000)).status(timeout_seconds=1)
