"""The one policy by which a read is tried again. Writes are never retried: their outcome is observed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sretool.clock import Clock
from sretool.errors import NoAnswerError, TlsError, UnreachableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_JITTER_SECONDS = 0.1


def retrying_read(
    what: str,
    call: Callable[[], T],
    *,
    attempts: int,
    within_seconds: float,
    clock: Clock,
    on_retry: Callable[[str, BaseException], None],
) -> T:
    """Return `call()`, tried at most `attempts` times as long as a pause still ends within `within_seconds`.

    Only where trying again can help: nobody was reached, or no answer came. Certificates do not mend
    themselves, and what a server refuses it refuses again. Pauses double from 0.1 s to 1 s, with jitter.
    `on_retry` hears of every retry and its cause before the pause. The last error is raised as it came, at
    once when `clock.wake()` cuts a pause short. `call` keeps its own deadline: an attempt is not cut off.
    """
    from tenacity import Retrying, retry_if_exception, wait_exponential, wait_random

    began = clock.monotonic()
    last: list[BaseException] = []

    def is_over(state: "RetryCallState") -> bool:
        elapsed = clock.monotonic() - began
        return state.attempt_number >= attempts or elapsed + state.upcoming_sleep >= within_seconds

    def report(state: "RetryCallState") -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            last[:] = [error]
            on_retry(what, error)

    def pause(seconds: float) -> None:
        if not clock.sleep(seconds) and last:
            raise last[0]

    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=is_over,
        wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS)
        + wait_random(0, _JITTER_SECONDS),
        before_sleep=report,
        sleep=pause,
        reraise=True,
    )
    return retrying(call)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, UnreachableError | NoAnswerError) and not isinstance(error, TlsError)
