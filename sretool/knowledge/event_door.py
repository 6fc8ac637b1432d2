"""Through which door events are deleted: the API server, etcd itself, or neither for now."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sretool.knowledge.hazards import Range, is_within
from sretool.knowledge.stored_events import EventPlace
from sretool.knowledge.versions import parse_version
from sretool.knowledge.words import show_seconds
from sretool.model import Known, Unknown

PROBE_SLOW_SECONDS = 1.0  # ours: other clients already wait, and a deletion through the API would add to that
DELETION_SLOW_SECONDS = 0.05  # ours: twenty times what it takes; 100,000 events would take half an hour
REFUSES_DELETIONS: tuple[Range, ...] = (((0, 0, 0), (3, 4, 20)), ((3, 5, 0), (3, 5, 7)))
"""Under NOSPACE these refuse transactions that only delete, as Kubernetes and sretool send."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """The way that is taken and why; `way` is empty when events cannot be deleted now.

    `commands` are what to do first. `is_unknown`: nobody can tell from here whether the API server works.
    `place` is where the events are in etcd, `through` which members may be asked: where the way is the API server
    too, for etcd itself takes over from one that turns out too slow.
    """

    way: Literal["api", "etcd", ""]
    reason: str
    commands: tuple[str, ...] = ()
    place: EventPlace | None = None
    through: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def doors(self) -> tuple[str, ...]:
        """Every way that may be taken, the first one first."""
        return tuple(dict.fromkeys((self.way, "etcd"))) if self.place else (self.way,)


def choose_door(
    *,
    has_api: bool,
    probe: Known[float],
    is_away: bool,
    place: Known[EventPlace],
    has_nospace: bool,
    versions: Sequence[str],
    through: Sequence[str],
) -> Door:
    """Return the door. `probe` is what a small GET takes, in seconds; `versions` are those of the members.

    `is_away`: it is unknown because the API server itself is down or silent. Where this machine cannot ask, or was
    told no, etcd is no way around the rights and the audit of a server that may well work.
    """
    refusing = [version for version in versions if _refuses_deletions(version)]
    if has_nospace and refusing:
        return Door(
            way="",
            reason=f"NOSPACE is raised, and etcd {refusing[0]} refuses to delete in transactions then, "
            "as Kubernetes does: compact, defragment and disarm first, then clean up through the API",
            commands=("sretool runbook etcd-nospace", "sretool runbook event-flood"),
        )
    trouble = _trouble(probe)
    if has_api and not trouble:
        reason = f"the API server answers a small GET in {show_seconds(_seconds(probe))}"
        if isinstance(place, Unknown):
            return Door(way="api", reason=reason)
        reason += (
            f"; where it goes away, or a deletion takes it more than {show_seconds(DELETION_SLOW_SECONDS)}, "
            f"the rest in etcd {_itself(place)}"
        )
        return Door(way="api", reason=reason, place=place, through=tuple(through))
    if not has_api:
        return Door(
            way="",
            reason="the cluster's file names no kubeconfig: whether its API server works cannot be seen, "
            "and etcd is written only when it does not",
            commands=("sretool cluster discover",),
        )
    if isinstance(probe, Unknown) and not is_away:
        return _cannot_tell(probe)
    if isinstance(place, Unknown):
        return Door(way="", reason=f"{trouble}, and not in etcd either: {place.reason}")
    return Door(
        way="etcd",
        reason=f"{trouble}: straight from etcd {_itself(place)}",
        place=place,
        through=tuple(through),
    )


def _cannot_tell(probe: Unknown) -> Door:
    then = f" ({probe.then})" if probe.then else ""
    return Door(
        way="",
        reason=f"whether the API server works cannot be told from here, and etcd is written past it only when it "
        f"is down or too slow itself: {probe.reason}{then}",
        commands=("kubectl get --raw /version", "sretool cluster doctor"),
        is_unknown=True,
    )


def _itself(place: EventPlace) -> str:
    return f"itself, keys below {place.prefix} only (known from {place.known_from}), past admission and audit"


def _trouble(probe: Known[float]) -> str:
    if isinstance(probe, Unknown):
        return f"not through the API server: {probe.reason}"
    if probe > PROBE_SLOW_SECONDS:
        return (
            f"not through the API server: a small GET takes {show_seconds(probe)} "
            f"(limit {PROBE_SLOW_SECONDS:g} s)"
        )
    return ""


def _seconds(probe: Known[float]) -> float:
    return 0.0 if isinstance(probe, Unknown) else probe


def _refuses_deletions(version: str) -> bool:
    parsed = parse_version(version)
    return parsed is None or is_within(parsed, REFUSES_DELETIONS)
