"""What a quota rollout is planned from: the chosen namespaces, what is there, and what they use."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from sretool.knowledge.quotas import KINDS, Template, Use

# The state of an object as far as it is ours: None where there is no object, else the fields we applied.
State: TypeAlias = Mapping[str, Any] | None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One chosen namespace: what is there of the template's objects, and what is used.

    `now` and `wanted` are states by kind; `found` is the whole spec of what is there and differs, as text,
    `uids` each object's uid. `refusal` is the server's answer to the dry run. `others` are limit ranges of
    other names that give containers defaults, `defaults` what those give: `requests.cpu`, `limits.memory`.
    """

    name: str
    now: Mapping[str, State] = {}
    wanted: Mapping[str, State] = {}
    found: Mapping[str, str] = {}
    uids: Mapping[str, str] = {}
    use: Use = Use(used={})
    refusal: str = ""
    refused_commands: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    defaults: frozenset[str] = frozenset()
    is_uncounted: bool = False

    @property
    def differing(self) -> tuple[str, ...]:
        """The kinds that are not as wanted, in the order in which they are applied."""
        return tuple(kind for kind in KINDS if kind in self.wanted and self.now[kind] != self.wanted[kind])

    @property
    def is_due(self) -> bool:
        return self.now != self.wanted and bool(self.differing)  # of thousands most are as they should be


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    """All that a plan is made from. `refusal`: why the choice of namespaces may not be used."""

    template: Template
    names: Mapping[str, str]  # of the objects, by kind
    places: tuple[Place, ...] = ()
    refusal: str = ""
    without_quota: int = 0
