"""What became of a batch of events: what is left of it, how many were deleted, what was written meanwhile."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sretool.clients.kubernetes.errors import NoConnectionError
from sretool.cluster.cluster import ClusterReader
from sretool.cluster.event_exports import count_lines
from sretool.cluster.events import Left, left_of
from sretool.cluster.stored_events import left_in_etcd
from sretool.errors import RemoteError
from sretool.knowledge.words import show_seconds
from sretool.model import Change, Outcome, Result


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """How this process made a deletion: `deleted` as far as that was answered, None where it was not this one.

    `why_in_etcd` says why the rest went in etcd itself, `slow` what one took through the API server before;
    `figures` are those of the way that was gone last.
    """

    deleted: int | None
    in_etcd: bool
    why_in_etcd: str = ""
    slow: Mapping[str, float] = {}
    figures: Mapping[str, float] = {}


def deletion_outcome(read: ClusterReader, change: Change, made: Made) -> Outcome:
    """Return what became of a deletion: done when nothing of it is left, or as many are gone as may go."""
    try:
        seen, how = _left(read, change, in_etcd=made.in_etcd)
    except RemoteError as error:
        return Outcome(result=Result.CANNOT_TELL, evidence=error.message)
    objects = change.before["objects"]
    deleted = made.deleted or 0
    is_full = bool(change.selection.get("each") == [] and 0 < change.selection["limit"] <= deleted)
    if seen.left and not is_full:
        is_untouched = seen.left >= objects and not deleted
        return Outcome(
            result=Result.NOT_DONE if is_untouched else Result.PARTLY,
            evidence=f"{seen.left} of {objects} events are left{how}{_deleted(deleted)}{_since(seen)}",
            measured={"left": seen.left, **({"gone": deleted} if deleted else {})},
        )
    gone = objects if made.deleted is None else made.deleted
    why = f", what was left in etcd itself, for {made.why_in_etcd}" if made.why_in_etcd else ""
    return Outcome(
        result=Result.DONE,
        evidence=f"{_gone(gone, objects)}{_full(seen, change)}{how}{why}{_since(seen)}{_others(made.figures)}",
        measured={"gone": gone, **made.slow, **made.figures},
    )


def export_outcome(change: Change) -> Outcome:
    """Return what became of an export."""
    path = change.selection["path"]
    lines = count_lines(Path(path))
    if lines is None:
        return Outcome(result=Result.NOT_DONE, evidence=f"{path} is not there")
    return Outcome(result=Result.DONE, evidence=f"{lines} events in {path}", measured={"objects": lines})


def _left(read: ClusterReader, change: Change, *, in_etcd: bool) -> tuple[Left, str]:
    """Return how many of a batch are left, and how that was seen unless as it was deleted.

    What was deleted through the API server is looked for in etcd, where its place is known, when that server gives
    no answer. One that was reached may still be deleting: then only that nothing is left says something.
    """
    otherwise = change.selection.get("otherwise")
    if in_etcd:
        return Left(left_in_etcd(read.etcd, otherwise or change.selection)), ""
    try:
        return left_of(read.kubernetes, change.selection), ""
    except RemoteError as error:
        if not otherwise:
            raise
        with contextlib.suppress(RemoteError):
            left = left_in_etcd(read.etcd, otherwise)
            if not left or isinstance(error, NoConnectionError):
                return Left(left), f" (seen in etcd: {error.message})"
        raise


def _gone(gone: int, objects: int) -> str:
    """Say how many were deleted: those that were gone, or were written again, before they could be are not."""
    if gone < objects:
        return f"{gone} of {objects} events are gone by this, the others were gone or written again before"
    more = f", {gone - objects} of them new" if gone > objects else ""
    return f"{gone} events are gone{more}"


def _full(seen: Left, change: Change) -> str:
    limit = change.selection.get("limit")
    return (
        f", the most that may go with it; {seen.left} of this batch are left, limit {limit}"
        if seen.left
        else ""
    )


def _deleted(deleted: int) -> str:
    return f", {deleted} were deleted" if deleted else ""


def _since(seen: Left) -> str:
    return f"; {seen.since} of this reason were written since" if seen.since else ""


def _others(figures: Mapping[str, Any]) -> str:
    if not figures:
        return ""
    p99, worst = figures["others_p99_seconds"], figures["others_worst_seconds"]
    paused = figures["paused_seconds"]
    return f"; others' small reads take {show_seconds(p99)} at p99 and {show_seconds(worst)} at worst" + (
        f", after pauses of {show_seconds(paused)}" if paused else ""
    )
