"""Signals: the first asks, the second stops; none tears apart what has to happen whole, whatever threads there are."""

import os
import signal
import threading
import time

import pytest

from sretool.clock import SystemClock
from sretool.engine.interrupts import Interrupts, held_back
from sretool.errors import InterruptedRunError


def sent(*numbers: signal.Signals) -> None:
    """Send signals to this process; the handlers of Python run at the next instructions of the main thread."""
    for number in numbers:
        os.kill(os.getpid(), number)
        time.sleep(0.01)


def test_the_first_signal_asks_and_the_second_stops() -> None:
    with Interrupts(SystemClock()) as interrupts:
        sent(signal.SIGINT)
        assert interrupts.requested == signal.SIGINT
        with pytest.raises(InterruptedRunError, match="interrupted twice"):
            sent(signal.SIGTERM)


@pytest.mark.parametrize("others", [0, 4])
def test_what_is_held_back_happens_whole_with_other_threads_about(others: int) -> None:
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _ in range(others)]
    for thread in threads:
        thread.start()
    done = []
    try:
        with Interrupts(SystemClock()) as interrupts, pytest.raises(InterruptedRunError):
            with held_back():
                sent(signal.SIGHUP, signal.SIGINT)
                assert not interrupts.requested
                done.append("whole")
            done.append("never")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert done == ["whole"]
    assert interrupts.requested == signal.SIGTERM


def test_one_signal_inside_is_seen_afterwards_and_stops_nothing() -> None:
    with Interrupts(SystemClock()) as interrupts:
        with held_back():
            sent(signal.SIGINT)
        assert interrupts.requested == signal.SIGINT
