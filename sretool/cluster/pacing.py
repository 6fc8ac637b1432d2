"""Watches what others' small reads take while we write, and makes us write less, or stop, when they are slow."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from sretool.errors import NoAnswerError, RemoteError
from sretool.knowledge.pace import is_slow, next_size, p99
from sretool.knowledge.words import show_seconds

EVERY_SECONDS = 0.05
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_REST_SECONDS = 1.0
FAILED_SECONDS = 2.0  # what a read that failed counts as
_KEPT = 20_000


class Pace:
    """One for all threads that write side by side. `largest` and `least` objects go at once.

    `slots` write at the same time at most, and each keeps its slot when it is done for `rest` times what it took:
    what a write makes the servers do goes on after its answer, and others' requests come first then. Others that
    stay slow for `patience` seconds stop it.
    """

    def __init__(
        self,
        *,
        largest: int,
        least: int,
        slots: int,
        rest: float = 0.0,
        patience: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        self.size = self._largest = largest
        self._least, self._rest, self._patience = least, rest, patience
        self._slots = threading.Semaphore(slots)
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._blocks = 0
        self._ended = threading.Event()
        self._idle: float | None = None
        self._samples: deque[float] = deque(maxlen=_KEPT)
        self._paused = 0.0

    @contextlib.contextmanager
    def beside(self, read: Callable[[], object]) -> Iterator[None]:
        """Time `read` again and again for as long as any such block is under way."""
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._ended = threading.Event()
                if self._idle is None:
                    self._idle = _timed(read)
                watch = threading.Thread(target=self._watch, args=(read, self._ended), daemon=True)
                watch.start()
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    self._ended.set()

    @contextlib.contextmanager
    def turn(self) -> Iterator[int]:
        """Wait until others are not slow, and for a slot; yield how many objects may go at once.

        NoAnswerError when others are still slow after `patience`: what was sent before may have been done.
        """
        self._breathe()
        with self._slots:
            began = time.monotonic()
            yield self.size
            rest = self._rest * (time.monotonic() - began)
            if rest:
                threading.Event().wait(min(rest, LONGEST_REST_SECONDS))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until others are not slow, and for nobody else to read much at once: beside what is written.

        NoAnswerError as of `turn`.
        """
        self._breathe()
        with self._reading:
            yield

    def figures(self) -> Mapping[str, float]:
        """Return what others' small reads took since the first block, in seconds; empty before it."""
        with self._lock:
            samples = list(self._samples)
        if not samples:
            return {}
        return {
            "others_p99_seconds": round(p99(samples), 4),
            "others_worst_seconds": round(max(samples), 4),
            "paused_seconds": round(self._paused, 2),
        }

    def _breathe(self) -> None:
        waited = 0.0
        while self._is_slow():
            if waited >= self._patience:
                raise NoAnswerError(
                    f"stopped, because others' small reads take {show_seconds(self._samples[-1])} after a pause of "
                    f"{waited:.0f} s",
                    then="see what slows them down: sretool runbook etcd-latency",
                )
            threading.Event().wait(PAUSE_SECONDS)
            waited += PAUSE_SECONDS
            self._paused += PAUSE_SECONDS

    def _is_slow(self) -> bool:
        with self._lock:
            return bool(self._samples) and is_slow(self._samples[-1], idle=self._idle or 0.0)

    def _watch(self, read: Callable[[], object], ended: threading.Event) -> None:
        while not ended.wait(EVERY_SECONDS):
            seconds = _timed(read)
            with self._lock:
                self._samples.append(seconds)
                slow = is_slow(seconds, idle=self._idle or 0.0)
                self.size = next_size(self.size, slow=slow, largest=self._largest, least=self._least)


def _timed(read: Callable[[], object]) -> float:
    began = time.monotonic()
    try:
        read()
    except RemoteError:
        return FAILED_SECONDS
    return time.monotonic() - began
