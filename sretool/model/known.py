"""A value, or unknown with a reason: never a guess, never None."""

from typing import TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """A fact that could not be read, and why."""

    reason: str

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


Known: TypeAlias = T | Unknown


def is_known(value: object) -> bool:
    """Tell whether `value` was read. For narrowing types write `not isinstance(value, Unknown)`."""
    return not isinstance(value, Unknown)
