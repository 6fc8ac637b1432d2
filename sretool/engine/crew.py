"""Threads that act or look side by side, and tell of it to the one thread that keeps the journal."""

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Job = TypeVar("Job")
News = TypeVar("News")
_WAIT_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Broken(Generic[Job]):
    """Acting on `job` raised what it may not raise: a bug."""

    job: Job
    error: BaseException


class Crew(Generic[Job, News]):
    """Daemon threads, so that a second Ctrl-C ends the program whatever they wait for. They only act and look."""

    def __init__(self, act: Callable[[Job, Callable[[News], None]], None], *, size: int) -> None:
        self._act = act
        self._given: SimpleQueue[Job | None] = SimpleQueue()
        self._news: SimpleQueue[News | Broken[Job]] = SimpleQueue()
        self._size = size
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def give(self, job: Job) -> None:
        """Have the next free thread act on `job`."""
        self._given.put(job)

    def news(self) -> list[News | Broken[Job]]:
        """Wait until one of the threads tells something; return all that was told.

        No single wait is long: Python acts on a signal between two of them where the signal did not end the wait,
        because it came just before it or another thread took it.
        """
        while True:
            with contextlib.suppress(Empty):
                return [self._news.get(timeout=_WAIT_SECONDS), *self.news_at_hand()]

    def news_at_hand(self) -> list[News | Broken[Job]]:
        """Return what was told, without waiting."""
        found: list[News | Broken[Job]] = []
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
        # Signals are for the thread that keeps the journal: one that comes here would not wake it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        while (job := self._given.get()) is not None:
            try:
                self._act(job, self._news.put)
            except BaseException as error:  # noqa: BLE001 - it is raised again, where it can end the run
                self._news.put(Broken(job=job, error=error))
