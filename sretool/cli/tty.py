"""Asking a person: on their terminal, whatever standard output and error are connected to."""

import os
import sys
import termios
from collections.abc import Sequence
from types import TracebackType
from typing import Self


def is_interactive() -> bool:
    """Tell whether a person can be asked: standard input is a terminal, and /dev/tty can be opened."""
    try:
        if sys.stdin is None or not sys.stdin.isatty():
            return False
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except (OSError, ValueError):
        return False
    return True


class Terminal:
    """The person's terminal, opened for a question. OSError when there is none."""

    def __enter__(self) -> Self:
        self._descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def show(self, lines: Sequence[str]) -> None:
        """Write lines; control characters in them are made visible."""
        from sretool.report.format import printable

        text = "".join(f"{printable(line)}\n" for line in lines)
        os.write(self._descriptor, text.encode())

    def ask(self, question: str) -> str:
        """Return what is typed, without blanks around it; empty at the end of input.

        A signal ends the question by the exception that its listener raises. What was typed before the
        question was seen is no answer to it, and is thrown away.
        """
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        os.write(self._descriptor, question.encode())
        answer = b""
        try:
            answer = os.read(self._descriptor, 4096)  # the terminal hands over whole lines
        finally:
            if not answer.endswith(b"\n"):
                os.write(self._descriptor, b"\n")
        return answer.decode("utf-8", "replace").strip()
