"""One member reached by etcdctl: answers the requests of EtcdReads and EtcdWrites that etcdctl has commands for."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sretool.clients.command import RunCommand
from sretool.clients.etcd.rpcs import ALARM, RANGE, WATCH, Rpc
from sretool.clients.etcdctl.answers import from_behind, parse_answer
from sretool.clients.etcdctl.commands import MEMBER_LIST_ALONE, command_of, starts_behind
from sretool.clients.etcdctl.errors import translate_output
from sretool.clients.unreadable import UNREADABLE
from sretool.errors import NoAnswerError, RefusedError

# etcdctl ends by itself before we stop waiting: it says why, and nothing goes on running where nobody looks.
_ITS_SHARE = 0.8


class Etcdctl(msgspec.Struct, frozen=True, kw_only=True):
    """How etcdctl is called where it runs: the endpoint and the certificate files, all as seen from there.

    An empty `ca` stands for etcd without TLS. `by_hand` is what a person types to run it there.
    """

    endpoint: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    by_hand: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The command's beginning, without a limit of time."""
        files = {"cacert": self.ca, "cert": self.cert, "key": self.key}
        flags = (f"--{name}={path}" for name, path in files.items() if path)
        return ("etcdctl", f"--endpoints={self.endpoint}", *flags)


class EtcdctlConnection:
    """A way to one member that has no channel of its own: each request is one etcdctl. Safe to share.

    RefusedError for disarming: `etcdctl alarm disarm` disarms every alarm of every member, CORRUPT too.
    RejectedError for what etcdctl has no command for, or saves where it cannot be fetched from (a snapshot).
    """

    def __init__(self, where: str, etcdctl: Etcdctl, run: RunCommand) -> None:
        self.endpoint = where
        self._etcdctl = etcdctl
        self._run = run

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float, writes: bool) -> Any:
        """Run the command for one request and return its answer, or raise within `timeout_seconds`."""
        if writes and rpc == ALARM:
            raise self._no_disarm()
        command, ends = command_of(rpc, fields, where=self.endpoint), time.monotonic() + timeout_seconds
        seconds = f"{max(1, int(timeout_seconds * _ITS_SHARE * 1000))}ms"
        flags = (f"--command-timeout={seconds}", f"--dial-timeout={seconds}", "--write-out=json")
        output = self._run((*self._etcdctl.words, *flags, *command), timeout_seconds=timeout_seconds)
        if command == MEMBER_LIST_ALONE and b"unknown flag" in output.stderr:  # etcdctl before 3.6
            left = max(0.001, ends - time.monotonic())
            return self.unary(rpc, {"linearizable": True}, timeout_seconds=left, writes=False)
        # A watch that was cancelled is etcdctl's failure, and the answer that was asked for.
        if output.exit_code and not (rpc == WATCH and output.stdout):
            raise translate_output(
                output,
                rpc=str(rpc),
                where=self.endpoint,
                timeout_seconds=timeout_seconds,
                writes=writes,
            )
        return self._parsed(rpc, fields, output.stdout)

    def stream(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float) -> "OneAnswer":
        """Return the only answer of a watch; everything else that streams has no command."""
        return OneAnswer(self.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=False))

    def close(self) -> None:
        """Nothing stays open between two commands."""

    def _parsed(self, rpc: Rpc, fields: Mapping[str, Any], printed: bytes) -> Any:
        try:
            answer = parse_answer(rpc, printed)
        except UNREADABLE as error:
            raise NoAnswerError(
                f"etcd {self.endpoint}: etcdctl printed no answer to {rpc}: {error}", endpoint=self.endpoint
            ) from error
        start = starts_behind(fields) if rpc == RANGE else None
        if start is not None:
            limit = 1 if fields.get("count_only") else fields["limit"]
            return from_behind(answer, start, limit=limit, is_single=not fields.get("range_end"))
        return answer

    def _no_disarm(self) -> RefusedError:
        by_hand = self._etcdctl.by_hand or " ".join(self._etcdctl.words)
        return RefusedError(
            f"etcd {self.endpoint} is reached by etcdctl only, which disarms every alarm of every member: "
            "sretool disarms exactly one; nothing was sent",
            then=f"see that NOSPACE is the only one: {by_hand} alarm list; then: {by_hand} alarm disarm",
        )


class OneAnswer:
    """A stream that has one answer."""

    def __init__(self, answer: Any) -> None:
        self._answers = iter((answer,))

    def __iter__(self) -> Iterator[Any]:
        return self._answers

    def __next__(self) -> Any:
        return next(self._answers)

    def cancel(self) -> None:
        """It has ended."""
