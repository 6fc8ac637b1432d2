"""The changes that delete events: which batches, under which names, by which door."""

import shlex
from collections.abc import Container, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from sretool.knowledge.event_groups import (
    BATCH_LIMIT,
    DELETE_STORED_VERB,
    DELETE_VERB,
    EXPORT_VERB,
    STORED_BATCH,
    WAVES,
    Batch,
    EventView,
    Selected,
    selector_of,
)
from sretool.knowledge.stored_events import EventPlace
from sretool.model import Change, Cost, Effect, Risk

_SECONDS_EACH = {DELETE_VERB: 0.0025, DELETE_STORED_VERB: 0.0001}


def deletion_waves(
    view: EventView, due: Sequence[Selected], earlier: Sequence[Change], uses: str
) -> tuple[tuple[Change, ...], ...]:
    """Return the waves: through the API the exports first; then batches, as many as between two looks."""
    stored = view.door.way == "etcd"
    # What goes from etcd is exported batch by batch, as it was read for its deletion.
    exports = () if stored else tuple(_export(one, uses) for one in due if not _is_exported(one, earlier))
    limits = _Limits(view.spare)
    deletes = [change for one in due for change in _deletes(view, one, earlier, uses, limits)]
    wave = WAVES[DELETE_STORED_VERB if stored else DELETE_VERB]
    waves = [exports] if exports else []
    waves += [tuple(deletes[start : start + wave]) for start in range(0, len(deletes), wave)]
    return tuple(waves)


class _Limits:
    """Gives each batch what the run may delete beyond those that were counted: new ones that are listed first."""

    def __init__(self, spare: int) -> None:
        self._spare = spare

    def of(self, batch: Batch) -> int:
        """Return how many events the batch may delete through the API."""
        more = 0 if batch.each else min(BATCH_LIMIT - batch.objects, self._spare)
        self._spare -= more
        return batch.objects + more


def _export(one: Selected, uses: str) -> Change:
    command = (
        f"kubectl -n {one.namespace} get events --field-selector={selector_of(one.reason)} -o json "
        f"> {shlex.quote(one.export)}"
    )
    return Change(
        step=uses,
        uses=uses,
        verb=EXPORT_VERB,
        object=f"events/{one.namespace}/{one.reason}",
        label=f"{one.reason} in {one.namespace}",
        reason="what is deleted is kept as JSON lines, for the post-mortem",
        risk=Risk.READ,
        effects=(Effect.SAVES_LOCALLY,),
        selection={"namespace": one.namespace, "reason": one.reason, "path": one.export},
        before={},
        after={"objects": one.objects},
        cost=Cost(seconds=one.objects * 0.0001),
        commands=(command,),
    )


def _is_exported(one: Selected, earlier: Sequence[Change]) -> bool:
    return any(change.verb == EXPORT_VERB and change.made and _concerns(change, one) for change in earlier)


def is_begun(one: Selected, earlier: Sequence[Change]) -> bool:
    """Tell whether a change of this run was made for it already."""
    return any(change.made and _concerns(change, one) for change in earlier)


def is_afterwards(view: EventView, earlier: Sequence[Change]) -> bool:
    """Tell whether this is the look after the changes: the run has deleted, and nothing of it counts as made."""
    return view.spent > 0 and not any(
        change.made and change.verb in (EXPORT_VERB, *WAVES) for change in earlier
    )


def spent_on(earlier: Sequence[Change], *, counted: Container[str]) -> int:
    """Return how many events at most were deleted by changes of this run that are not `counted` otherwise."""
    return sum(
        change.selection.get("limit", change.before["objects"])
        for change in earlier
        if change.verb in WAVES and change.made and change.key not in counted
    )


def _concerns(change: Change, one: Selected) -> bool:
    if change.verb not in (EXPORT_VERB, *WAVES):
        return False
    return (change.selection["namespace"], change.selection["reason"]) == (one.namespace, one.reason)


def _numbers(one: Selected, earlier: Sequence[Change]) -> tuple[int, list[int]]:
    """Return the highest number of a batch, and those of the next ones, counted down.

    What was made gave its number up; what is left takes those that were approved and are free.
    """
    made = {
        int(change.object.rpartition("/")[2]): change.selection["of"]
        for change in earlier
        if change.verb in WAVES and change.made and _concerns(change, one)
    }
    highest = max(made.values(), default=len(one.batches))
    return highest, [number for number in range(highest, 0, -1) if number not in made]


def _deletes(
    view: EventView, one: Selected, earlier: Sequence[Change], uses: str, limits: _Limits
) -> Iterator[Change]:
    stored = view.door.way == "etcd"
    verb = DELETE_STORED_VERB if stored else DELETE_VERB
    highest, numbers = _numbers(one, earlier)
    most = min(STORED_BATCH if stored else BATCH_LIMIT, view.most)
    for number, batch in zip(numbers, one.batches, strict=False):
        limit = batch.objects if stored else limits.of(batch)
        yield Change(
            step=uses,
            uses=uses,
            verb=verb,
            object=f"events/{one.namespace}/{one.reason}/{number}",
            label=f"{one.reason} in {one.namespace}, batch {number}",
            reason=_reason(view, batch, limit),
            risk=Risk.IRREVERSIBLE,
            effects=(Effect.DELETES,),
            selection={
                **(_stored_selection(view, one, batch) if stored else _selection(view, one, batch, limit)),
                "of": highest,
            },
            before={"objects": batch.objects},
            after={"objects": 0},
            bounds={"limit": most, "doors": list(view.door.doors)},
            cost=Cost(seconds=batch.objects * _SECONDS_EACH[verb]),
            commands=(_by_hand(one, batch, limit, view.door.place if stored else None),),
        )


def _reason(view: EventView, batch: Batch, limit: int) -> str:
    if view.door.way == "etcd":
        return f"{batch.objects} events, exported first, deleted only as they were read"
    if view.has_age:
        return f"{batch.objects} events"
    return f"{batch.objects} events, including new ones of this reason {limit} at most"


def _selection(view: EventView, one: Selected, batch: Batch, limit: int) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "reason": one.reason,
        "last": batch.last,
        "limit": limit,
        "revision": view.revision,
        "made_until": view.made_until,
        "each": [[each.name, each.uid, each.resource_version] for each in batch.each],
        "otherwise": _stored_selection(view, one, batch) if view.door.place else None,
    }


def _stored_selection(view: EventView, one: Selected, batch: Batch) -> dict[str, Any]:
    """Return which keys: those from first to last that are of the reason, and of this revision or older."""
    place = view.door.place
    # Where the API server goes first, the file of that name holds what was exported through it.
    path = one.export if view.door.way == "etcd" else str(PurePath(one.export).with_suffix(".etcd.jsonl"))
    return {
        "namespace": one.namespace,
        "reason": one.reason,
        "first": batch.first,
        "last": batch.last,
        "revision": view.revision,
        "before": view.before,
        "prefix": place.prefix if place else "",
        "path": path,
        "through": list(view.door.through),
    }


def _by_hand(one: Selected, batch: Batch, limit: int, place: EventPlace | None) -> str:
    if place:
        first = f"{place.prefix}{one.namespace}/{batch.first}"
        return f"etcdctl del {shlex.quote(first)}  # only if its value names {one.reason}; … to {batch.last}"
    if batch.each:
        return f"kubectl -n {one.namespace} delete event {batch.each[0].name}  # … to {batch.last}"
    path = f"/api/v1/namespaces/{one.namespace}/events?fieldSelector=reason%3D{one.reason}&limit={limit}"
    return f"kubectl delete --raw '{path}'"
