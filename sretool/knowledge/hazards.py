"""Which etcd versions make which change dangerous, as a table: the ranges, refuse or warn, and the source."""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from sretool.knowledge.versions import Version, parse_version
from sretool.model import Effect, Known, Unknown

Range = tuple[Version, Version]
"""From the first affected version up to, and without, the one that fixes it."""


class HazardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One known bug or rule. Without `effects` it holds for every change."""

    verdict: Literal["refuse", "warn"]
    affected: tuple[Range, ...]
    what: str
    source: str
    effects: tuple[Effect, ...] = ()


class Hazard(msgspec.Struct, frozen=True, kw_only=True):
    """A row that applies, with the members it applies to; `text` is one clause that names version and bug."""

    verdict: Literal["refuse", "warn"]
    members: tuple[str, ...]
    text: str
    source: str


_OLDEST: Version = (0, 0, 0)

PANICS_WHEN_FULL: tuple[Range, ...] = ((_OLDEST, (3, 4, 35)), ((3, 5, 0), (3, 5, 17)))
"""A defragmentation that finds the disk full ends the server (etcd#18810)."""

BEFORE_SOUND: tuple[Range, ...] = (
    (_OLDEST, (3, 4, 45)),
    ((3, 5, 0), (3, 5, 26)),
    ((3, 6, 0), (3, 6, 6)),
)
"""Older than the first release of its line without known bugs in what sretool may change."""

HAZARDS: tuple[HazardRow, ...] = (
    HazardRow(
        verdict="refuse",
        affected=(((3, 5, 0), (3, 5, 3)),),
        what="a crash can leave the members' data different without anybody noticing (fixed in 3.5.3)",
        source="etcd#13766",
    ),
    HazardRow(
        verdict="refuse",
        effects=(Effect.STALLS_MEMBER,),
        affected=(((3, 5, 0), (3, 5, 6)),),
        what="a crash during a defragmentation leaves a member at another revision (fixed in 3.5.6)",
        source="etcd PR 14685, 14730",
    ),
    HazardRow(
        verdict="refuse",
        affected=((_OLDEST, (3, 4, 22)), ((3, 5, 0), (3, 5, 6))),
        what="known corruption bugs: changed only from 3.4.22 and 3.5.6 on",
        source="etcd changelogs 3.4.22 and 3.5.6; k/website PR 40816",
    ),
    HazardRow(
        verdict="warn",
        effects=(Effect.STALLS_MEMBER,),
        affected=((_OLDEST, (3, 4, 38)), ((3, 5, 0), (3, 5, 23)), ((3, 6, 0), (3, 6, 5))),
        what="a defragmentation while the member applies a snapshot corrupts its data "
        "(fixed in 3.4.38, 3.5.23, 3.6.5)",
        source="etcd changelogs",
    ),
    HazardRow(
        verdict="warn",
        effects=(Effect.STALLS_MEMBER,),
        affected=PANICS_WHEN_FULL,
        what="a defragmentation that fills the disk ends the server (fixed in 3.4.35, 3.5.17)",
        source="etcd#18810",
    ),
    HazardRow(
        verdict="warn",
        effects=(Effect.MOVES_LEADERSHIP,),
        affected=((_OLDEST, (3, 4, 31)), ((3, 5, 0), (3, 5, 13))),
        what="the old leader may revoke leases wrongly after the move (fixed in 3.4.31, 3.5.13)",
        source="etcd changelogs",
    ),
    HazardRow(
        verdict="warn",
        effects=(Effect.MOVES_LEADERSHIP,),
        affected=((_OLDEST, (3, 4, 38)), ((3, 5, 0), (3, 5, 23)), ((3, 6, 0), (3, 6, 5))),
        what="renewing a lease that was revoked may be answered with success (fixed in 3.4.38, 3.5.23, 3.6.5)",
        source="etcd changelogs",
    ),
    HazardRow(
        verdict="warn",
        effects=(Effect.COMPACTS,),
        affected=((_OLDEST, (3, 4, 32)), ((3, 5, 0), (3, 5, 14))),
        what="a crash during the compaction may let the revision go back (fixed in 3.4.32, 3.5.14)",
        source="etcd changelogs",
    ),
    HazardRow(
        verdict="warn",
        affected=BEFORE_SOUND,
        what="older than the first release of its line without known bugs in what is changed here "
        "(3.4.45, 3.5.26, 3.6.6)",
        source="etcd changelogs",
    ),
)


def find_hazards(versions: Mapping[str, Known[str]], effects: Collection[Effect]) -> tuple[Hazard, ...]:
    """Return what the members' versions make dangerous for a change with `effects`, refusals first.

    A version that is unknown or that cannot be parsed is a refusal: nobody can tell what it does.
    """
    found = [_unknown(name, version) for name, version in versions.items() if _parsed(version) is None]
    for row in HAZARDS:
        if row.effects and not set(row.effects) & set(effects):
            continue
        hit = {
            name: str(version)
            for name, version in versions.items()
            if (parsed := _parsed(version)) and is_within(parsed, row.affected)
        }
        if hit:
            running = ", ".join(f"{name} runs {version}" for name, version in hit.items())
            found.append(
                Hazard(
                    verdict=row.verdict,
                    members=tuple(hit),
                    text=f"{running}: {row.what}",
                    source=row.source,
                )
            )
    return tuple(sorted(found, key=lambda hazard: hazard.verdict != "refuse"))


def is_within(version: Version, ranges: tuple[Range, ...]) -> bool:
    """Tell whether `version` lies in one of `ranges`."""
    return any(first <= version < fixed for first, fixed in ranges)


def panics_when_full(version: str) -> bool:
    """Tell whether a defragmentation on a full disk ends the server; True when the version is unknown."""
    parsed = parse_version(version)
    return parsed is None or is_within(parsed, PANICS_WHEN_FULL)


def _parsed(version: Known[str]) -> Version | None:
    return None if isinstance(version, Unknown) else parse_version(version)


def _unknown(name: str, version: Known[str]) -> Hazard:
    told = version.reason if isinstance(version, Unknown) else f"{version!r} is none"
    return Hazard(
        verdict="refuse",
        members=(name,),
        text=f"the version of {name} is unknown ({told}), and with it its bugs",
        source="Status",
    )
