"""A snapshot as it streams in, with a limit on every wait for its next chunk."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from sretool.clients.etcd.gates import Answers
from sretool.errors import NoAnswerError


class SnapshotStream:
    """The chunks of one member's database file. Iterate inside `with`: it ends the stream on the server too.

    `version` is the version etcd stamped the file with (empty before 3.6, and at times later), `remaining_bytes`
    what is still to come, `received_bytes` what has come; all of them as of the last chunk.
    """

    def __init__(self, answers: Answers, *, endpoint: str, stall_seconds: float) -> None:
        self._answers = answers
        self._endpoint = endpoint
        self._stall_seconds = stall_seconds
        self._stalled = False
        self._waits_since: float | None = None
        self._ended = threading.Event()
        self.version = ""
        self.remaining_bytes = 0
        self.received_bytes = 0
        # One thread for the stream: etcd sends 32 KiB chunks, a timer for each would cost more than they do.
        threading.Thread(target=self._watch_for_stalls, name="snapshot-stall", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._waits_since = time.monotonic()
        try:
            answer = next(self._answers)
        except NoAnswerError as error:
            self.close()
            raise (self._stall_error() if self._stalled else error) from error
        except BaseException:
            self.close()
            raise
        finally:
            self._waits_since = None
        self.version = answer.version or self.version
        self.remaining_bytes = answer.remaining_bytes
        self.received_bytes += len(answer.blob)
        chunk: bytes = answer.blob
        return chunk

    def close(self) -> None:
        """End the stream, also on the server."""
        self._ended.set()
        self._answers.cancel()

    def _watch_for_stalls(self) -> None:
        while not self._ended.wait(self._stall_seconds / 10):
            since = self._waits_since
            if since is not None and time.monotonic() - since >= self._stall_seconds:
                self._stalled = True
                self._answers.cancel()
                return

    def _stall_error(self) -> NoAnswerError:
        return NoAnswerError(
            f"etcd {self._endpoint}: the snapshot stalled: no chunk in {self._stall_seconds:g} s, "
            f"after {self.received_bytes} bytes",
            endpoint=self._endpoint,
        )
