"""A document as plain values, each with its line and column, and the problems that were found in it."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from sretool.errors import DocumentError

NodePath = tuple[str | int, ...]
Position = tuple[int, int]  # line and column, both from 1

_UNITS_OF_STYLE = {
    "'": r"(?s)''|.",
    '"': r"(?s)\\(?:x..|u.{4}|U.{8}|.)|.",
}


class Problems:
    """The problems of one document, gathered so that a person sees all of them at once."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._found: dict[tuple[Position, str], None] = {}
        self._settled: set[Position] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, position: Position, text: str, *, settles: bool = False) -> None:
        """Note one problem. One that `settles` its place silences what would only follow from it there."""
        if position not in self._settled:
            self._found[position, text] = None
        if settles:
            self._settled.add(position)

    def error(self) -> DocumentError:
        """Return the error with every problem, in the order of the document."""
        in_order = sorted(self._found, key=lambda found: found[0])
        return DocumentError([f"{self._origin}:{line}:{column}: {text}" for (line, column), text in in_order])

    def fail(self, position: Position, text: str) -> NoReturn:
        """Note a problem that nothing can be read behind, and raise them all."""
        self.add(position, text)
        raise self.error()


class Place(NamedTuple):
    """Where a value and its key stand."""

    node: Position
    key: Position
    source: str  # a scalar as it stands in the file


class Document:
    """A document's mapping as plain Python values, and where each of them stands."""

    def __init__(self, origin: str, value: dict[str, Any], places: dict[NodePath, Place]) -> None:
        self.origin = origin
        self.value = value
        self._places = places

    def position(self, path: NodePath) -> Position:
        """Return line and column of the value at `path`, or of the nearest one around it."""
        return self._place(path).node

    def key_position(self, path: NodePath) -> Position:
        """Return line and column of the key that `path` ends with."""
        return self._place(path).key

    def inside(self, path: NodePath, offset: int) -> Position:
        """Return where character `offset` of the text at `path` stands.

        Exact for text on one line, plain or quoted; for text on several lines it is where the text begins.
        """
        place = self._place(path)
        line, column = place.node
        if "\n" in place.source or place.source[:1] in ("|", ">"):
            return place.node
        units = _UNITS_OF_STYLE.get(place.source[:1])
        if units is None:
            return line, column + offset
        written = [match.start() for match in re.compile(units).finditer(place.source, 1)]
        return line, column + (written[offset] if offset < len(written) else len(place.source) - 1)

    def at(self, path: NodePath) -> str:
        """Return `origin:line:column` of the value at `path`."""
        line, column = self.position(path)
        return f"{self.origin}:{line}:{column}"

    def _place(self, path: NodePath) -> Place:
        while path not in self._places:
            path = path[:-1]
        return self._places[path]


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the nearest known word, else what is known when that is short, else ``."""
    import difflib

    words = sorted(set(known))
    near = difflib.get_close_matches(word[:100].lower(), words, n=1, cutoff=0.6)
    if near:
        return f" (did you mean {near[0]}?)"
    return f" (known: {', '.join(words)})" if 0 < len(words) <= 12 else ""
