"""Threads that make changes side by side, and tell of it to the one thread that keeps the journal."""

import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

import msgspec

from sretool.engine.events import Event
from sretool.engine.fates import Attempt
from sretool.engine.maker import Applied
from sretool.model import Change


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Making `change` raised what no step may raise: a bug."""

    change: Change
    error: BaseException


News = Event | Applied | Attempt | Broken
Make = Callable[[Change, Callable[[News], None]], None]


class Crew:
    """Daemon threads, so that a second Ctrl-C ends the program whatever they wait for. They only act and look."""

    def __init__(self, make: Make, *, size: int) -> None:
        self._make = make
        self._given: SimpleQueue[Change | None] = SimpleQueue()
        self._news: SimpleQueue[News] = SimpleQueue()
        self._size = size
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def give(self, change: Change) -> None:
        """Have `change` made by the next free thread."""
        self._given.put(change)

    def news(self) -> list[News]:
        """Wait until one of the threads tells something; return all that was told."""
        return [self._news.get(), *self.news_at_hand()]

    def news_at_hand(self) -> list[News]:
        """Return what was told, without waiting."""
        found: list[News] = []
        while True:
            try:
                found.append(self._news.get_nowait())
            except Empty:
                return found

    def dismiss(self) -> None:
        """Let each thread end after what it is at. Nobody waits for that."""
        for _ in range(self._size):
            self._given.put(None)

    def _work(self) -> None:
        # Signals are for the thread that keeps the journal: it holds them back while it writes.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        while (change := self._given.get()) is not None:
            try:
                self._make(change, self._news.put)
            except BaseException as error:  # noqa: BLE001 - it is raised again, where it can end the run
                self._news.put(Broken(change=change, error=error))
