"""A value, or unknown with a reason: never a guess, never None."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

K = TypeVar("K")
T = TypeVar("T")


class Unknown(msgspec.Struct, frozen=True, tag="unknown", omit_defaults=True):
    """A fact that could not be read, why, and what to do about it, where the error said so."""

    reason: str
    then: str = ""

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


Known: TypeAlias = T | Unknown


def known_only(values: Mapping[K, Known[T]]) -> dict[K, T]:
    """Return the entries that were read: of the statuses by member, those of the members that answered."""
    return {key: value for key, value in values.items() if not isinstance(value, Unknown)}
