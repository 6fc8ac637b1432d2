"""Events: who writes them, whether that goes on, and whether they are deleted."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from sretool.knowledge.event_changes import deletion_waves, is_afterwards, is_begun
from sretool.knowledge.event_groups import AT_LEAST, WATCH_SECONDS, EventView, Group, Selected
from sretool.model import Change, Evidence, Finding, Held, Proposal, Severity

_SHOWN = 5

_STOPS = {
    "FailedScheduling": "sretool runbook runaway-deployment",
    "FailedCreate": "kubectl -n {namespace} get resourcequotas,replicasets",
    "BackOff": "kubectl -n {namespace} rollout undo deployment NAME  # what crash-loops",
    "Unhealthy": "kubectl -n {namespace} get pods  # whose probe fails",
}


def event_proposal(
    view: EventView, *, flood: int, while_written: bool, earlier: Sequence[Change], uses: str
) -> Proposal:
    """Return the waves: exports first, then batches of one namespace and reason; or why nothing is deleted."""
    findings = (*flood_findings(view.total, view.groups, flood=flood), *_door(view), *_too_many(view))
    if not view.is_named:
        return Proposal(findings=findings)
    due, held = [], []
    for one in view.selected:
        if one.beyond and is_afterwards(view, earlier):
            held.append(_left_to_another_run(one, view))
            continue
        writer = next((group for group in view.groups if _is_of(group, one) and group.is_written), None)
        if writer and not view.has_age and is_afterwards(view, earlier):  # few as they may be: they come back
            held.append(_still_written(one, writer))
            continue
        if not one.objects or (one.overdue < AT_LEAST and not is_begun(one, earlier)):
            continue
        if writer and not while_written:
            held.append(_still_written(one, writer, way_around=" (while_written permits it)"))
        else:
            due.append(one)
    if due and not view.door.way:
        refused = not view.door.is_unknown
        closed = Held(
            what="delete events", why=view.door.reason, refused=refused, commands=view.door.commands
        )
        return Proposal(findings=findings, held=(*held, closed))
    return Proposal(waves=deletion_waves(view, due, earlier, uses), findings=findings, held=tuple(held))


def flood_findings(total: int, groups: Sequence[Group], *, flood: int) -> Iterator[Finding]:
    """Yield who writes, with numbers, where there are `flood` events or more; `groups` are most events first."""
    if total < flood:
        yield Finding(severity=Severity.OK, sentence=f"{total} events: no flood")
        return
    if not groups:
        return
    first = groups[0]
    written = "still being written" if any(one.is_written for one in groups) else "no longer being written"
    yield Finding(
        severity=Severity.WARNING,
        verdict="event-flood",
        sentence=(
            f"{total} events, {written}: {first.count} of them are {first.reason} in {first.namespace}, by "
            f"{first.reporter} about {first.kind} {first.about}; {_stops(first)}"
        ),
        evidence=(
            Evidence(what="events", value=str(total), threshold=f"{flood}", source="counted"),
            *(
                Evidence(
                    what=f"{one.namespace} {one.reason} by {one.reporter}, {one.kind} {one.about}",
                    value=f"{one.count}, {one.per_minute} in the last minute"
                    + (", growing" if one.is_written else ""),
                    source="creationTimestamp, lastTimestamp, series",
                )
                for one in groups[:_SHOWN]
            ),
        ),
    )


def _door(view: EventView) -> Iterator[Finding]:
    """Say through which door, where there is anything to delete, and what may not have been seen."""
    if view.door.place and not view.door.place.has_any:
        yield Finding(
            severity=Severity.NOTE,
            sentence=f"no events are seen below {view.door.place.prefix}, while the API server cannot say whether "
            "they are kept in another etcd",
        )
    if view.selected and view.door.way:
        way = {"api": "through the API server", "etcd": "in etcd"}[view.door.way]
        folder = PurePath(view.selected[0].export).parent
        sentence = f"events are deleted {way}, after an export to {folder}: {view.door.reason}"
        yield Finding(severity=Severity.NOTE, sentence=sentence)


def _too_many(view: EventView) -> Iterator[Finding]:
    for one in view.selected:
        if one.beyond:
            yield Finding(
                severity=Severity.NOTE,
                sentence=f"{one.beyond} of {one.objects + one.beyond} {one.reason} in {one.namespace} are left to "
                f"another run: one deletes no more than {view.most} (max_objects)",
            )


def _left_to_another_run(one: Selected, view: EventView) -> Held:
    return Held(
        what=f"delete {one.reason} in {one.namespace}",
        why=(
            f"{one.objects + one.beyond} of them are left to another run: this one has deleted {view.spent}, and "
            f"deletes no more than {view.most} (max_objects)"
        ),
        refused=True,
        commands=(f"sretool runbook event-flood -p namespaces={one.namespace} -p reasons={one.reason}",),
    )


def _stops(group: Group) -> str:
    command = _STOPS.get(group.reason, "kubectl -n {namespace} get events")
    return f"what stops it: {command.format(namespace=group.namespace)}"


def _is_of(group: Group, one: Selected) -> bool:
    return (group.namespace, group.reason) == (one.namespace, one.reason)


def _still_written(one: Selected, group: Group, *, way_around: str = "") -> Held:
    command = _STOPS.get(group.reason, "kubectl -n {namespace} get events --watch")
    return Held(
        what=f"delete {one.reason} in {one.namespace}",
        why=(
            f"deleting cannot help: {group.reporter} wrote {group.just_now} of them in the last "
            f"{WATCH_SECONDS:.0f} s about {group.kind} {group.about}; stop that first{way_around}"
        ),
        refused=True,
        commands=(command.format(namespace=group.namespace),),
    )
