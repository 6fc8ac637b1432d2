"""Events: who writes them, whether that goes on, and in which bounded batches they are deleted."""

import shlex
from collections.abc import Iterator, Sequence

import msgspec

from sretool.knowledge.words import show_seconds
from sretool.model import Change, Cost, Effect, Evidence, Finding, Held, Proposal, Risk, Severity

DELETE_VERB, EXPORT_VERB = "delete-events", "export-events"
BATCH_LIMIT = 500  # objects that one batch deletes at most
BATCH = 450  # planned in a batch: what arrives meanwhile does not push the last ones out of it
WAVE = 20  # batches between two looks
AT_LEAST = 100  # ours: fewer of one reason in a namespace are left to expire
OVERDUE_SHARE, OVERDUE_SECONDS = 0.25, 60.0  # ours: the margin beyond an age floor, the larger of the two
FLOOD = 100_000  # ours: a busy cluster of 1,000 nodes has a tenth of it; Kubernetes keeps events for an hour
STILL_WRITTEN = 5  # ours: so many new ones in the last WATCH_SECONDS, and the source has not stopped
WATCH_SECONDS = 5.0
PROBE_SLOW_SECONDS = 1.0  # ours: deleting adds writes; other clients already wait
_SECONDS_EACH = 0.004
_SHOWN = 5

_STOPS = {
    "FailedScheduling": "sretool runbook runaway-deployment",
    "FailedCreate": "kubectl -n {namespace} get resourcequotas,replicasets",
    "BackOff": "kubectl -n {namespace} rollout undo deployment NAME  # what crash-loops",
    "Unhealthy": "kubectl -n {namespace} get pods  # whose probe fails",
}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one reason by one reporter about one kind of object in a namespace; `about` names the most."""

    namespace: str
    reason: str
    reporter: str
    kind: str
    about: str
    count: int
    per_minute: int
    just_now: int

    @property
    def is_written(self) -> bool:
        return self.just_now >= STILL_WRITTEN


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """One event to delete: only as it was read."""

    name: str
    uid: str
    resource_version: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Events next to each other by name, up to `last`; `each` is empty when whatever matches goes."""

    last: str
    objects: int
    each: tuple[Doomed, ...] = ()


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be deleted of one reason in one namespace, and where it is exported to.

    `overdue` of them make it due: with an age floor those that passed it by a margin, because events grow old
    while others are deleted.
    """

    namespace: str
    reason: str
    batches: tuple[Batch, ...]
    overdue: int
    export: str

    @property
    def objects(self) -> int:
        return sum(batch.objects for batch in self.batches)


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """The events, most of a group first. `probe_seconds` is what another client's small GET takes."""

    total: int
    groups: tuple[Group, ...]
    selected: tuple[Selected, ...]
    is_named: bool
    has_age: bool
    probe_seconds: float


def event_proposal(
    view: EventView, *, flood: int, while_written: bool, earlier: Sequence[Change], uses: str
) -> Proposal:
    """Return the waves: exports first, then batches of one namespace and reason; or why nothing is deleted."""
    findings = tuple(_findings(view, flood))
    if not view.is_named:
        return Proposal(findings=findings)
    if view.probe_seconds > PROBE_SLOW_SECONDS:
        why = (
            f"a small GET takes {show_seconds(view.probe_seconds)} (limit {PROBE_SLOW_SECONDS:g} s): deleting "
            "adds writes to what is overloaded already"
        )
        return Proposal(findings=findings, held=(Held(what="delete events", why=why, refused=True),))
    due, held = [], []
    for one in view.selected:
        if one.overdue < AT_LEAST and not _is_exported(one, earlier):
            continue
        writer = next((group for group in view.groups if _is_of(group, one) and group.is_written), None)
        if writer and not while_written:
            held.append(_still_written(one, writer))
        else:
            due.append(one)
    exports = tuple(_export(one, uses) for one in due if not _is_exported(one, earlier))
    deletes = [
        change
        for one in due
        for change in _deletes(one, below=_next_number(one, earlier), has_age=view.has_age, uses=uses)
    ]
    waves = [exports] if exports else []
    waves += [tuple(deletes[start : start + WAVE]) for start in range(0, len(deletes), WAVE)]
    return Proposal(waves=tuple(waves), findings=findings, held=tuple(held))


def overdue_seconds(older_than: float) -> float:
    """Return the age at which an event makes a deletion due that is asked for from `older_than` on; 0: any."""
    return older_than + max(OVERDUE_SHARE * older_than, OVERDUE_SECONDS) if older_than else 0.0


def selector_of(reason: str) -> str:
    """Return the field selector of one reason."""
    return f"reason={reason}"


def _findings(view: EventView, flood: int) -> Iterator[Finding]:
    if view.total < flood or not view.groups:
        return
    first = view.groups[0]
    written = (
        "still being written" if any(one.is_written for one in view.groups) else "no longer being written"
    )
    yield Finding(
        severity=Severity.WARNING,
        verdict="event-flood",
        sentence=(
            f"{view.total} events, {written}: {first.count} of them are {first.reason} in {first.namespace}, by "
            f"{first.reporter} about {first.kind} {first.about}; {_stops(first)}"
        ),
        evidence=(
            Evidence(what="events", value=str(view.total), threshold=f"{flood}", source="GET events"),
            *(
                Evidence(
                    what=f"{one.namespace} {one.reason} by {one.reporter}, {one.kind} {one.about}",
                    value=f"{one.count}, {one.per_minute} in the last minute"
                    + (", growing" if one.is_written else ""),
                    source="metadata.creationTimestamp",
                )
                for one in view.groups[:_SHOWN]
            ),
        ),
    )


def _stops(group: Group) -> str:
    command = _STOPS.get(group.reason, "kubectl -n {namespace} get events")
    return f"what stops it: {command.format(namespace=group.namespace)}"


def _is_of(group: Group, one: Selected) -> bool:
    return (group.namespace, group.reason) == (one.namespace, one.reason)


def _still_written(one: Selected, group: Group) -> Held:
    command = _STOPS.get(group.reason, "kubectl -n {namespace} get events --watch")
    return Held(
        what=f"delete {one.reason} in {one.namespace}",
        why=(
            f"deleting cannot help: {group.reporter} wrote {group.just_now} of them in the last "
            f"{WATCH_SECONDS:.0f} s about {group.kind} {group.about}; stop that first (while_written permits it)"
        ),
        refused=True,
        commands=(command.format(namespace=group.namespace),),
    )


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


def _next_number(one: Selected, earlier: Sequence[Change]) -> int:
    """Return the number of the next batch: counted down, so that what is left keeps the approved names."""
    made = [
        int(change.object.rpartition("/")[2])
        for change in earlier
        if change.verb == DELETE_VERB and change.made and _concerns(change, one)
    ]
    return min([len(one.batches), *(number - 1 for number in made)])


def _concerns(change: Change, one: Selected) -> bool:
    return (change.selection["namespace"], change.selection["reason"]) == (one.namespace, one.reason)


def _deletes(one: Selected, *, below: int, has_age: bool, uses: str) -> Iterator[Change]:
    for number, batch in zip(range(below, 0, -1), one.batches, strict=False):
        yield Change(
            step=uses,
            uses=uses,
            verb=DELETE_VERB,
            object=f"events/{one.namespace}/{one.reason}/{number}",
            label=f"{one.reason} in {one.namespace}, batch {number}",
            reason=f"{batch.objects} events" + ("" if has_age else ", including new ones of this reason"),
            risk=Risk.IRREVERSIBLE,
            effects=(Effect.DELETES,),
            selection={
                "namespace": one.namespace,
                "reason": one.reason,
                "last": batch.last,
                "limit": BATCH_LIMIT,
                "each": [[each.name, each.uid, each.resource_version] for each in batch.each],
            },
            before={"objects": batch.objects},
            after={"objects": 0},
            bounds={"limit": BATCH_LIMIT},
            cost=Cost(seconds=batch.objects * _SECONDS_EACH),
            commands=(_by_hand(one, batch),),
        )


def _by_hand(one: Selected, batch: Batch) -> str:
    if batch.each:
        return f"kubectl -n {one.namespace} delete event {batch.each[0].name}  # … to {batch.last}"
    path = (
        f"/api/v1/namespaces/{one.namespace}/events?fieldSelector=reason%3D{one.reason}&limit={BATCH_LIMIT}"
    )
    return f"kubectl delete --raw '{path}'"
