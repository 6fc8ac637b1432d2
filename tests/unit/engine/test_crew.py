"""Threads at work, and the one that waits for what they tell."""

import signal
import threading

import pytest

from sretool.clock import SystemClock
from sretool.engine.crew import Crew
from sretool.engine.interrupts import Interrupts
from sretool.errors import InterruptedRunError


def test_a_signal_that_does_not_end_the_wait_is_acted_on_during_it() -> None:
    may_end = threading.Event()
    crew: Crew[int, int] = Crew(lambda job, tell: tell(may_end.wait(30) * job), size=1)

    def signalled() -> None:  # this very thread takes them: nothing wakes the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.pthread_kill(threading.get_ident(), number)
            threading.Event().wait(0.5)
        may_end.set()

    thread = threading.Thread(target=signalled)
    with Interrupts(SystemClock()), pytest.raises(InterruptedRunError, match="interrupted twice"):
        crew.give(1)
        thread.start()
        crew.news()
    assert not may_end.is_set()
    thread.join()
    crew.dismiss()
