"""The etcdctl commands that sretool runs: which one stands for which request, and which of them only read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sretool.clients.etcd.rpcs import (
    ALARM,
    ALARM_GET,
    COMPACT,
    DEFRAGMENT,
    MEMBER_LIST,
    MOVE_LEADER,
    RANGE,
    STATUS,
    WATCH,
    Rpc,
)
from sretool.errors import RejectedError

# How etcdctl is called: flags that stand before the command, each with its value.
_CALLED_WITH = re.compile(
    r"--(endpoints|cacert|cert|key|command-timeout|dial-timeout|write-out)=[^\0]+", re.DOTALL
)
_GET_OPTION = re.compile(r"--(limit=\d+|rev=\d+|keys-only|consistency=s|prefix|from-key)")
_NUMBER, _HEX = re.compile(r"\d+"), re.compile(r"[0-9a-f]+")

_STATUS, _ALARM_LIST = ("endpoint", "status"), ("alarm", "list")
_MEMBER_LIST = ("member", "list")
MEMBER_LIST_ALONE = (*_MEMBER_LIST, "--consistency=s")  # of one member alone, without a quorum; from 3.6 on
# A watch from revision 1 of a history that was compacted is cancelled at once. What stands after `--` in a watch
# is a program that etcdctl would start: this is the only watch there is.
_WATCH = ("watch", "--rev=1", "/")
_READING = frozenset({_STATUS, _ALARM_LIST, _MEMBER_LIST, MEMBER_LIST_ALONE, _WATCH})

_BEHIND = b"\0"  # the key right behind KEY is KEY + NUL, and no argument holds a NUL


def is_reading(words: Sequence[str]) -> bool:
    """Tell whether `words` are an etcdctl command that was reviewed and only reads."""
    command = _command(words)
    if command[:1] == ("get",):
        options = command[1 : command.index("--")] if "--" in command else command
        operands = command[len(options) + 2 :]
        return all(_GET_OPTION.fullmatch(one) for one in options) and len(operands) in {1, 2}
    return command in _READING


def is_writing(words: Sequence[str]) -> bool:
    """Tell whether `words` are one of the etcdctl commands that a writer may run."""
    match _command(words):
        case ("defrag",):
            return True
        case ("compact", revision) | ("compact", "--physical", revision):
            return bool(_NUMBER.fullmatch(revision))
        case ("move-leader", member):
            return bool(_HEX.fullmatch(member))
    return False


def command_of(rpc: Rpc, fields: Mapping[str, Any], *, where: str) -> tuple[str, ...]:
    """Return the etcdctl command that stands for the request; RejectedError when there is none."""
    if rpc == STATUS:
        return _STATUS
    if rpc == MEMBER_LIST:
        return _MEMBER_LIST if fields["linearizable"] else MEMBER_LIST_ALONE
    if rpc == ALARM and fields["action"] == ALARM_GET:
        return _ALARM_LIST
    if rpc == RANGE:
        return _get(fields, where=where)
    if rpc == WATCH:
        return _WATCH
    if rpc == DEFRAGMENT:
        return ("defrag",)
    if rpc == COMPACT:
        physical = ("--physical",) if fields["physical"] else ()
        return ("compact", *physical, str(fields["revision"]))
    if rpc == MOVE_LEADER:
        return ("move-leader", f"{fields['targetID']:x}")
    raise RejectedError(
        f"etcd {where}: {rpc} was not sent: etcdctl has no command for it",
        endpoint=where,
        then="give sretool a way to etcd's client port: a route, or SSH to its host",
    )


def starts_behind(fields: Mapping[str, Any]) -> bytes | None:
    """Return the key that etcdctl must be asked from, where the request starts right behind it; else None."""
    key: bytes = fields["key"]
    reads_all = key == _BEHIND and fields.get("range_end")
    return key[:-1] if key.endswith(_BEHIND) and not reads_all else None


def _get(fields: Mapping[str, Any], *, where: str) -> tuple[str, ...]:
    limit = 1 if fields.get("count_only") else fields["limit"]
    key, end, behind = fields["key"], fields.get("range_end", b""), starts_behind(fields)
    if behind is not None:
        key = behind
        limit += 1 if limit else 0
    options = [f"--limit={limit}"]
    if fields.get("revision"):
        options.append(f"--rev={fields['revision']}")
    if fields.get("keys_only") or fields.get("count_only"):
        options.append("--keys-only")
    if fields.get("serializable"):
        options.append("--consistency=s")
    if end == _BEHIND or (behind is not None and not end):
        start = b"" if key == _BEHIND else key  # etcdctl says the smallest key there can be with an empty one
        return ("get", *options, "--from-key", "--", _text(start, where))
    operands = (key, end) if end else (key,)
    return ("get", *options, "--", *(_text(one, where) for one in operands))


def _text(key: bytes, where: str) -> str:
    """Return `key` as an argument: a program takes no NUL, and the way into a pod nothing but UTF-8."""
    text = key.decode(errors="replace")
    if text.encode() != key or "\0" in text:
        raise RejectedError(
            f"etcd {where}: Range was not sent: {key!r} cannot stand in a command", endpoint=where
        )
    return text


def _command(words: Sequence[str]) -> tuple[str, ...]:
    """Return what follows etcdctl and how it is called; empty when it is called in another way."""
    if not words or words[0] != "etcdctl":
        return ()
    rest = list(words[1:])
    while rest and _CALLED_WITH.fullmatch(rest[0]):
        del rest[0]
    return tuple(rest)
