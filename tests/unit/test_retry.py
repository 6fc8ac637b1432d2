"""Retrying reads: what is tried again, how often, for how long, and how it is cut short."""

from collections.abc import Callable

import pytest

from sretool.errors import (
    NoAnswerError,
    NoQuorumError,
    RejectedError,
    RemoteError,
    TlsError,
    UnreachableError,
    UsageError,
)
from sretool.retry import retrying_read
from tests.support.moving_clock import MovingClock


class _Read:
    """Fails with each of `errors`, then answers 42; each call takes `seconds`."""

    def __init__(self, clock: MovingClock, *errors: Exception, seconds: float = 0.0) -> None:
        self.clock, self.errors, self.seconds, self.calls = clock, list(errors), seconds, 0

    def __call__(self) -> int:
        self.calls += 1
        self.clock.pass_by(self.seconds)
        if self.errors:
            raise self.errors.pop(0)
        return 42


def _ignore(what: str, error: BaseException) -> None:
    pass


def _run(
    read: _Read,
    *,
    attempts: int = 3,
    within: float = 10.0,
    on_retry: Callable[[str, BaseException], None] = _ignore,
) -> int:
    return retrying_read(
        "status of m1", read, attempts=attempts, within_seconds=within, clock=read.clock, on_retry=on_retry
    )


def test_what_may_pass_is_tried_again_and_each_retry_is_told_with_its_cause() -> None:
    heard: list[tuple[str, BaseException]] = []
    errors = [UnreachableError("refused"), NoAnswerError("no answer")]
    read = _Read(MovingClock(), *errors)
    assert _run(read, on_retry=lambda what, error: heard.append((what, error))) == 42
    assert heard == [("status of m1", errors[0]), ("status of m1", errors[1])]
    assert read.calls == 3


def test_pauses_grow_with_jitter() -> None:
    read = _Read(MovingClock(), *[NoAnswerError("no")] * 6)
    _run(read, attempts=7)
    for pause, expected in zip(read.clock.slept, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=True):
        assert expected <= pause <= expected + 0.1


@pytest.mark.parametrize(
    "error",
    [TlsError("expired"), RejectedError("no"), NoQuorumError("no leader"), RemoteError("?"), UsageError("bad"),
     ValueError("a bug")],
)  # fmt: skip
def test_what_will_not_pass_is_tried_once(error: Exception) -> None:
    read = _Read(MovingClock(), error)
    with pytest.raises(type(error)) as caught:
        _run(read)
    assert caught.value is error
    assert (read.calls, read.clock.slept) == (1, [])


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    errors = [NoAnswerError(str(number)) for number in range(5)]
    read = _Read(MovingClock(), *errors)
    with pytest.raises(NoAnswerError, match="2"):
        _run(read, attempts=3)
    assert read.calls == 3


def test_no_attempt_begins_after_the_time_is_over() -> None:
    read = _Read(MovingClock(), *[NoAnswerError("no")] * 100, seconds=1.0)
    with pytest.raises(NoAnswerError):
        _run(read, attempts=100, within=3.0)
    assert read.calls == 3
    assert read.clock.monotonic() < 3.0 + 1.0


def test_an_interrupt_ends_the_pause_with_the_last_error() -> None:
    clock = MovingClock()
    clock.wake()
    read = _Read(clock, NoAnswerError("first"), NoAnswerError("second"))
    with pytest.raises(NoAnswerError, match="first"):
        _run(read)
    assert read.calls == 1
