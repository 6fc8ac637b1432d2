"""Deletes one batch of events, through the API server or in etcd itself, as fast as others' requests allow."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sretool.cluster.etcd_writer import EtcdWriter
from sretool.cluster.event_exports import append_stored_events
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.cluster.pacing import Pace
from sretool.errors import ConflictError, NotFoundError, UnreachableError
from sretool.knowledge.event_groups import BATCH_LIMIT, selector_of
from sretool.knowledge.kubernetes_paths import collection_path, object_path

_LARGEST_PAGE, _LEAST_PAGE = BATCH_LIMIT, 25
_LARGEST_TRANSACTION, _LEAST_TRANSACTION = 100, 10  # etcd takes 128 operations in one
_PAGE = 1000


def pace_through_api() -> Pace:
    """Return the pace of all deletions through the API server of one run."""
    return Pace(largest=_LARGEST_PAGE, least=_LEAST_PAGE, slots=8)


def pace_in_etcd() -> Pace:
    """Return the pace of all deletions in etcd of one run: few at once, for etcd applies one after the other."""
    return Pace(largest=_LARGEST_TRANSACTION, least=_LEAST_TRANSACTION, slots=3)


def delete_through_api(write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace) -> None:
    """Delete what a change selects: each event only as it was read, or limited pages of whatever has the reason.

    Harmless where they are gone. RemoteError, NoAnswerError when some may be gone.
    """
    with pace.beside(write.read_one_object):
        if selection["each"]:
            _delete_each(write, selection, pace)
        else:
            _delete_pages(write, selection, pace)


def _delete_each(write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace) -> None:
    left = [tuple(one) for one in selection["each"]]
    while left:
        with pace.turn() as size:
            part, left = left[:size], left[size:]
            write.side_by_side(part, lambda one: _delete_one(write, selection["namespace"], *one))


def _delete_one(write: KubernetesWriter, namespace: str, name: str, uid: str, version: str) -> None:
    try:
        write.delete(
            object_path("v1", "events", name, namespace=namespace), uid=uid, resource_version=version
        )
    except (NotFoundError, ConflictError):
        return  # gone already, or written again: then it is younger than the age asked for


def _delete_pages(write: KubernetesWriter, selection: Mapping[str, Any], pace: Pace) -> None:
    path = collection_path("v1", "events", namespace=selection["namespace"])
    left = selection["limit"]
    while left:
        with pace.turn() as size:
            limit = min(size, left)
            gone = write.delete_collection(path, limit=limit, field_selector=selector_of(selection["reason"]))
        left = left - limit if gone >= limit else 0


def delete_in_etcd(write: EtcdWriter, selection: Mapping[str, Any], pace: Pace) -> None:
    """Export and delete the keys that a change selects, each only if it is still as it was read.

    Nothing outside the prefix of the events is touched: every key was read below it and decoded as an event.
    """
    start = f"{selection['prefix']}{selection['namespace']}/{selection['first']}".encode()
    end = f"{selection['prefix']}{selection['namespace']}/{selection['last']}".encode() + b"\0"
    through = _answering(write, selection["through"])
    with pace.beside(lambda: write.read_one_key(through=through)):
        while start:
            page = write.stored_events(
                start, end, root=selection["prefix"].encode(), limit=_PAGE, through=through
            )
            start = page.following
            meant = [event for event in page.events if event.is_meant(selection)]
            if meant:
                append_stored_events(meant, Path(selection["path"]))
                _delete_keys(write, [(event.key, event.mod_revision) for event in meant], pace, through)


def _delete_keys(write: EtcdWriter, keys: Sequence[tuple[bytes, int]], pace: Pace, through: str) -> None:
    while keys:
        with pace.turn() as size:
            part, keys = keys[:size], keys[size:]
            if not write.delete_unchanged(part, through=through):
                for one in part:  # one of them is gone, or was written again and stays
                    write.delete_unchanged([one], through=through)


def _answering(write: EtcdWriter, names: Sequence[str]) -> str:
    """Return the first member that answers; UnreachableError, nothing sent, when none does."""
    for name in names[:-1]:
        with contextlib.suppress(UnreachableError):
            write.read_one_key(through=name)
            return name
    write.read_one_key(through=names[-1])
    return names[-1]
