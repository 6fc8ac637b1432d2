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
TURN_SECONDS = 5.0  # where a single object takes long, so many go at once as this allows
TOLD_SECONDS = 3.0  # all together, before what one object takes is told: a single second says nothing
_IDLE_READS, _IDLE_SECONDS = 8, 1.0
_TAKEN = 20
_KEPT = 20_000


class Pace:
    """One for all threads that write side by side. `largest` and `least` objects go at once, the least until it is
    known what one takes (`begins_small`).

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
        begins_small: bool = False,
    ) -> None:
        self._size = self._largest = largest
        self._affordable = least if begins_small else largest
        self._taken: deque[tuple[int, float]] = deque(maxlen=_TAKEN)
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
                    self._idle = _idle_of(read)
                watch = threading.Thread(target=self._watch, args=(read, self._ended), daemon=True)
                watch.start()
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    self._ended.set()

    @property
    def size(self) -> int:
        """How many objects may go at once now."""
        return min(self._size, self._affordable)

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
    def timing(self, objects: int) -> Iterator[None]:
        """Take note of what `objects` take, which go in this block."""
        began = time.monotonic()
        yield
        took = max(time.monotonic() - began, 1e-6)
        with self._lock:
            self._taken.append((objects, took))
            self._affordable = max(1, min(self._largest, int(TURN_SECONDS * objects / took)))

    def seconds_each(self) -> float:
        """Return what one object took of late; 0 while what tells it was short, all together."""
        with self._lock:
            seconds = sum(took for _, took in self._taken)
            objects = sum(gone for gone, _ in self._taken)
        return seconds / objects if seconds >= TOLD_SECONDS else 0.0

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until others are not slow, and for nobody else to read much at once: beside what is written.

        NoAnswerError as of `turn`.
        """
        self._breathe()
        with self._reading:
            yield

    @property
    def last_failed(self) -> bool:
        """Whether the last of others' reads got no usable answer."""
        with self._lock:
            return bool(self._samples) and self._samples[-1] == FAILED_SECONDS

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
                self._size = next_size(self._size, slow=slow, largest=self._largest, least=self._least)


def _idle_of(read: Callable[[], object]) -> float:
    """Return what `read` takes before we begin: the second worst of some, for one member in three may have a slow
    disk, and one read may just hang."""
    took = [_timed(read)]
    while len(took) < _IDLE_READS and sum(took) < _IDLE_SECONDS:
        took.append(_timed(read))
    return sorted(took)[-2:][0]


def _timed(read: Callable[[], object]) -> float:
    began = time.monotonic()
    try:
        read()
    except RemoteError:
        return FAILED_SECONDS
    return time.monotonic() - began
