"""Ctrl-C, SIGTERM and a lost terminal: the first asks the run to end cleanly, the second stops it there."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

from sretool.clock import Clock
from sretool.errors import InterruptedRunError


class _Hold:
    """Whether signals are held back, and those that came meanwhile. A process has one set of handlers, so one of
    these."""

    is_on = False
    came: ClassVar[list[Callable[[], None]]] = []


@contextmanager
def held_back() -> Iterator[None]:
    """Let something happen whole: what a signal would do inside is done at its end.

    Masking signals would not do: the kernel gives them to another thread then, and Python runs their handlers in
    the main thread all the same. In other threads nothing has to be held back.
    """
    if _Hold.is_on or threading.current_thread() is not threading.main_thread():
        yield
        return
    _Hold.is_on = True
    try:
        yield
    finally:
        _Hold.is_on = False
        while _Hold.came:
            _Hold.came.pop(0)()


class Interrupts:
    """Catches the two signals while a run is under way; restores what was there before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signal = 0
        self._before: dict[int, Any] = {}
        self._at_a_question = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> int:
        """Return the signal that asked the run to stop, 0 when none did."""
        return self._signal

    def check(self, where: str = "between changes") -> None:
        """Raise InterruptedRunError when the run was asked to stop. Called between changes, not inside one."""
        if self._signal:
            raise self.error(f"interrupted {where}")

    @contextmanager
    def at_a_question(self) -> Iterator[None]:
        """While a person is asked nothing is under way: one signal ends the question."""
        self._at_a_question = True
        try:
            yield
        finally:
            self._at_a_question = False

    def error(self, message: str) -> InterruptedRunError:
        """Return the error that says which signal it was."""
        return InterruptedRunError(message, signal_number=self._signal or signal.SIGINT)

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        # A dropped SSH session ends like a request to terminate: 143 is the documented code.
        number = signal.SIGTERM if number == signal.SIGHUP else number
        if _Hold.is_on:
            _Hold.came.append(lambda: self._act_on(number))
        else:
            self._act_on(number)

    def _act_on(self, number: int) -> None:
        if self._signal:
            raise InterruptedRunError("interrupted twice: stopped where it was", signal_number=number)
        self._signal = number
        self._clock.wake()
        if self._at_a_question:
            raise InterruptedRunError("interrupted at the question", signal_number=number)
