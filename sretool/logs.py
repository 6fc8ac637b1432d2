"""The log of one run: every event with its fields, and what libraries warn about, as JSON lines in its folder."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from sretool.errors import masked


class RunLog:
    """An open log (0600). The journal is the record; a log that cannot be written never stops a run.

    Nothing is opened and no library is loaded before the first line.
    """

    def __init__(self, path: Path, **context: str) -> None:
        self._path = path
        self._context = context
        self._file: TextIO | None = None
        self._logger: Any = None
        self._root: logging.Handler | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._root is not None:
            logging.getLogger().removeHandler(self._root)
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take is still in the buffer
                self._file.close()

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """Append one line: time, event, fields."""
        try:
            if self._logger is None:
                self._open()
            self._logger.msg(event, **fields)
        except OSError:
            self._logger = _Silent()

    def _open(self) -> None:
        with _without("rich"):  # structlog would take it for tracebacks on a terminal: 6 MB, 60 ms
            import structlog

        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
        shared: list[Any] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ]
        json_line = structlog.processors.JSONRenderer(default=str)
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(self._file), processors=[*shared, json_line]
        ).bind(**self._context)
        self._root = _QuietStream(self._file)
        self._root.setLevel(logging.WARNING)
        self._root.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, json_line],
                foreign_pre_chain=[*shared, _without_secrets],
            )
        )
        logging.getLogger().addHandler(self._root)


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Let what is imported find no `package`, unless it is loaded already: None in its place means just that."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # None says: there is no such module
    try:
        yield
    finally:
        del sys.modules[package]


def _without_secrets(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {**line, "event": masked(str(line["event"]))}


class _QuietStream(logging.StreamHandler[TextIO]):
    """A library's warning that cannot be logged is lost; it does not print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line."""


class _Silent:
    """A logger for when there is nowhere to log to."""

    def msg(self, event: str, **fields: Any) -> None:
        """Drop the line."""
