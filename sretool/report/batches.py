"""Changes that differ by the number of their batch alone, told as one."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

_NUMBER = re.compile(r"/\d+$")


class Named(Protocol):
    """A change, planned or made."""

    @property
    def key(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def label(self) -> str: ...


T = TypeVar("T", bound=Named)


def batches(
    changes: Sequence[T], *, apart: Callable[[T], object] = lambda _: None
) -> Iterator[tuple[T, ...]]:
    """Yield neighbours that differ by the number of their batch together, every other change by itself.

    Those for which `apart` differs are kept apart.
    """
    for _, alike in itertools.groupby(changes, key=lambda one: (_NUMBER.sub("", one.key), apart(one))):
        yield tuple(alike)


def deed_of(alike: Sequence[Named]) -> str:
    """Return what one change does, as `defragment m1`, or several batches by the first and the last."""
    first, last = alike[0], alike[-1]
    to = f" to {last.label.rpartition(', ')[2]}" if len(alike) > 1 else ""
    return f"{first.verb} {first.label}{to}"
