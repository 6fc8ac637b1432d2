"""What etcdctl's failures mean: it prints a sentence, and lines of JSON that hold gRPC's own error."""

import re

import msgspec

from sretool.clients.command import CommandOutput
from sretool.clients.etcd.errors import Failure, translate
from sretool.clients.unreadable import UNREADABLE
from sretool.errors import NotLeaderError, RejectedError, RemoteError, TlsError, UnreachableError

_RPC_ERROR = re.compile(r"rpc error: code = (\w+) desc = (.*)", re.DOTALL)
_NO_CONNECTION = re.compile(r"latest balancer error|connection error|[Ee]rror while dialing")
_TLS = re.compile(r"\b(tls|x509):")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LAST = re.compile(r'(dial |desc = "?|transport: |preface: )')

_BAD_ARGUMENTS = 128  # etcdctl's exit code where nothing was sent: an unknown flag, a file that is not there
_NO_PROGRAM = frozenset({126, 127})


class _Line(msgspec.Struct, frozen=True):
    error: str = ""


def translate_output(
    output: CommandOutput, *, rpc: str, where: str, timeout_seconds: float, writes: bool
) -> RemoteError:
    """Return our error for an etcdctl that failed. What nobody knows is unclear: its effect must be observed."""
    said, logged = _split(output.stderr.decode(errors="replace"))
    not_sent = f"etcd {where}: {rpc} was not sent: "
    if output.exit_code in _NO_PROGRAM:
        return RejectedError(f"{not_sent}etcdctl cannot be started there: {said}", endpoint=where)
    if "no leader endpoint given" in said:
        return NotLeaderError(f"etcd {where}: {rpc} was refused: it is not the leader", endpoint=where)
    if (output.exit_code == _BAD_ARGUMENTS and said) or "unknown flag" in said:
        return RejectedError(
            f"{not_sent}{said}",
            endpoint=where,
            then="see the certificate paths in the cluster file, and the version of etcdctl there",
        )
    found = _RPC_ERROR.search(logged) or _RPC_ERROR.search(said)
    silent = f"etcdctl ended with {output.exit_code} and said nothing"  # killed, with its pod perhaps
    code, text = (_WORD.sub("_", found[1]).upper(), found[2]) if found else ("", said or silent)
    if _NO_CONNECTION.search(text):
        kind = TlsError if _TLS.search(text) else UnreachableError
        return kind(f"{not_sent}{_cause(text)}", endpoint=where)
    if "context deadline exceeded" in said:
        code, text = "DEADLINE_EXCEEDED", ""
    return translate(
        Failure(
            code=code,
            text=text,
            rpc=rpc,
            endpoint=where,
            timeout_seconds=timeout_seconds,
            writes=writes,
        )
    )


def _split(stderr: str) -> tuple[str, str]:
    """Return the first sentence (what follows an unknown flag is the manual), and the last logged error."""
    said, logged = "", ""
    for line in stderr.splitlines():
        if line.startswith("{"):
            try:
                logged = msgspec.json.decode(line, type=_Line).error or logged
            except UNREADABLE:
                continue
        elif line.strip() and not said:
            said = line.removeprefix("Error: ").strip()
    return said, logged


def _cause(text: str) -> str:
    """Return the end of Go's chain of causes: «dial tcp 127.0.0.1:2379: connect: connection refused»."""
    return _LAST.split(text)[-1].strip('" ')
