"""Changes that differ by the number of their batch alone, told as one."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from sretool.report.fold import Moment

_NUMBER = re.compile(r"/\d+$")


class Named(Protocol):
    """A change, planned or made."""

    @property
    def key(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def label(self) -> str: ...


class Made(Named, Protocol):
    """A change that was begun."""

    @property
    def result(self) -> str: ...
    @property
    def reverses(self) -> str: ...


T = TypeVar("T", bound=Named)
M = TypeVar("M", bound=Made)


def batches(
    changes: Sequence[T], *, apart: Callable[[T], object] = lambda _: None
) -> Iterator[tuple[T, ...]]:
    """Yield neighbours that differ by the number of their batch together, every other change by itself.

    Those for which `apart` differs are kept apart.
    """
    for _, alike in itertools.groupby(changes, key=lambda one: (_NUMBER.sub("", one.key), apart(one))):
        yield tuple(alike)


def made_batches(changes: Sequence[M]) -> Iterator[tuple[M, ...]]:
    """Yield what was made as `batches` does; what ended otherwise, or was taken back, is kept apart."""
    return batches(changes, apart=lambda one: (one.result, one.reverses))


def made_deed_of(alike: Sequence[Made]) -> str:
    """Return `deed_of` what was made, with how many changes these were, and whether it was taken back."""
    back = "taken back: " if alike[0].reverses else ""
    many = f" ({len(alike)} changes)" if len(alike) > 1 else ""
    return f"{back}{deed_of(alike)}{many}"


def merged(moments: Sequence[Moment]) -> list[Moment]:
    """Return the timeline with neighbours that differ by the number of their batch alone told as one."""
    told: list[Moment] = []
    for like, group in itertools.groupby(moments, key=lambda one: _NUMBER.sub("", one.about)):
        alike = list(group)
        if like and len(alike) > 1:
            last = alike[-1]
            text = f"{alike[0].text}; {len(alike) - 1} more of these, the last at {last.seconds:.1f} s"
            alike = [msgspec.structs.replace(alike[0], text=text)]
        told += alike
    return told


def deed_of(alike: Sequence[Named]) -> str:
    """Return what one change does, as `defragment m1`, or several batches by the first and the last."""
    first, last = alike[0], alike[-1]
    to = f" to {last.label.rpartition(', ')[2]}" if len(alike) > 1 else ""
    return f"{first.verb} {first.label}{to}"
