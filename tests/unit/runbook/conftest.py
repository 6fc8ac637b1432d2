"""A catalogue of steps whose params and facts have every type that a runbook can meet."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
import pytest

from sretool.model import Known, MemberId, Proposal, Risk
from sretool.step import AnyStep, Duration, Percent, Quantity, Step


class StatusParams(msgspec.Struct, frozen=True, kw_only=True):
    pass


class StatusFacts(msgspec.Struct, frozen=True, kw_only=True):
    quota_used: Known[float]
    compaction_stalled: Known[bool]
    members: int
    leader: Known[str]
    leader_id: Known[MemberId]
    silent_members: tuple[str, ...]
    sizes: Known[Mapping[str, int]]  # no condition sees it


class Status(Step[StatusParams, StatusFacts]):
    """Look at the members."""

    uses = "etcd.endpoint-status"
    risk = Risk.READ
    causes = MappingProxyType({"disk-slow": "give etcd a disk of its own"})

    def look(self, read, params):
        raise NotImplementedError

    def plan(self, params, facts, earlier):
        return Proposal()


class CensusParams(msgspec.Struct, frozen=True, kw_only=True):
    depth: Annotated[Literal["counts", "sampled"], msgspec.Meta(description="how deep to look")] = "counts"
    window: Annotated[Duration, msgspec.Meta(description="how long to look")] = Duration(10)
    pages: Annotated[int, msgspec.Meta(ge=1, description="how many pages to read")] = 1
    prefixes: tuple[str, ...] = ()


class CensusFacts(msgspec.Struct, frozen=True, kw_only=True):
    keys: Known[int]
    events: Known[int]
    causes: Known[tuple[str, ...]]


class Census(Status, Step[CensusParams, CensusFacts]):
    """Count the keys."""

    uses = "etcd.census"


class DefragParams(msgspec.Struct, frozen=True, kw_only=True):
    reclaim_floor: Quantity = Quantity(200 * 2**20)
    fragmentation: Percent = Percent(0.45)
    settle: Duration | None = None
    ratio: float = 1.0
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.reclaim_floor < 2**20 and self.fragmentation < 0.1:
            raise ValueError("a reclaim_floor below 1Mi needs a fragmentation of 10% or more")


class DefragFacts(msgspec.Struct, frozen=True, kw_only=True):
    reclaimable: Known[int]


class Defrag(Status, Step[DefragParams, DefragFacts]):
    """Defragment."""

    uses = "etcd.defrag"
    risk = Risk.DISRUPTIVE


class ReplaceParams(msgspec.Struct, frozen=True, kw_only=True):
    member: str


class Replace(Status, Step[ReplaceParams, DefragFacts]):
    """Replace a member."""

    uses = "etcd.member-replace"
    risk = Risk.DISRUPTIVE


CATALOGUE: Mapping[str, type[AnyStep]] = {step.uses: step for step in (Status, Census, Defrag, Replace)}


@pytest.fixture(scope="session")
def catalogue() -> Mapping[str, type[AnyStep]]:
    return CATALOGUE
