"""One look at what a defragmentation could give back, and what a person should hear of it."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.defragmentation import SpaceRules, SpaceView, is_full_of_data
from sretool.knowledge.hazards import find_hazards
from sretool.knowledge.quorum import answering
from sretool.model import (
    Change,
    Effect,
    EtcdState,
    Evidence,
    Finding,
    Known,
    MemberState,
    Severity,
    Unknown,
)
from sretool.model.latency import MemberLatency

DEFRAG_VERB = "defragment"


class DefragMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member, and what its metrics tell of defragmentations and compactions since its process started."""

    state: MemberState
    endpoint: str
    past_seconds: Known[float]
    compacted: Known[bool]


class DefragView(msgspec.Struct, frozen=True, kw_only=True):
    """One look, as the plan needs it. `latency` is measured only when the leader is due."""

    state: EtcdState
    members: tuple[DefragMember, ...]
    latency: Known[tuple[MemberLatency, ...]]

    @property
    def nospace(self) -> Known[bool]:
        return has_nospace(self.state.alarms)


def space_of(member: DefragMember, *, nospace: bool, earlier: Sequence[Change]) -> SpaceView | None:
    """Return a member's space, and whether a compaction of this run may have made it stale; None if silent."""
    status = member.state.status
    if isinstance(status, Unknown):
        return None
    compactions = [change for change in earlier if Effect.COMPACTS in change.effects]
    return SpaceView(
        status=status,
        quota_bytes=member.state.quota_bytes,
        # A write after the compaction makes «in use» true again, and raises the revision.
        stale=any(
            not change.made or nospace or int(change.selection.get("revision", 0)) >= status.revision
            for change in compactions
        ),
        maybe_stale=member.compacted is not False and member.state.defrag_count == 0,
    )


def space_findings(
    view: DefragView,
    rules: SpaceRules,
    *,
    versions: Mapping[str, Known[str]],
    nospace: bool,
    earlier: Sequence[Change],
) -> tuple[Finding, ...]:
    """Return what is full of data, what gave nothing back, and the hazards of the `versions` that are due."""
    found = []
    for member in view.members:
        space = space_of(member, nospace=nospace, earlier=earlier)
        if space and is_full_of_data(space, rules):
            found.append(_growth(member.state.name, space))
    sizes = {member.peer_url: status.db_size_bytes for member, status in answering(view.state)}
    found += [
        Finding(
            severity=Severity.NOTE,
            subject=change.label,
            sentence=f"the defragmentation of {change.label} gave nothing back: it is not repeated",
        )
        for change in earlier
        if change.made
        and change.verb == DEFRAG_VERB
        and sizes.get(change.object, 0) >= change.before["db_size_bytes"]
    ]
    effects = (
        (Effect.STALLS_MEMBER, Effect.MOVES_LEADERSHIP) if len(view.members) > 1 else (Effect.STALLS_MEMBER,)
    )
    found += [
        Finding(severity=Severity.NOTE, sentence=hazard.text, evidence=(_source(hazard.source),))
        for hazard in find_hazards(versions, effects)
        if hazard.verdict == "warn"
    ]
    return tuple(found)


def _growth(name: str, space: SpaceView) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        subject=name,
        sentence=f"the database of {name} is full of data: growth, not fragmentation; a defragmentation "
        "would give back next to nothing",
        evidence=(
            Evidence(
                what="free pages",
                value=f"{space.free_bytes / space.status.db_size_bytes:.1%} of the file",
                threshold="5 %",
                source="Status",
            ),
        ),
    )


def _source(source: str) -> Evidence:
    return Evidence(what="version", value="affected", source=source)
