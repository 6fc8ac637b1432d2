"""What a command that ran elsewhere gave back, and how a client asks for one to be run."""

from typing import Protocol

import msgspec


class CommandOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A command's end: its exit code and what it printed."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class RunCommand(Protocol):
    """Runs one command where it belongs: in a pod, on a host."""

    def __call__(self, words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        """Return the end of the command `words`, or raise a RemoteError within `timeout_seconds`.

        After NoAnswerError it may still run.
        """
