"""Reads strict YAML: one mapping, no tags, anchors or aliases, bounded. The only home of PyYAML."""

import re
from pathlib import Path
from typing import Any

from sretool.documents.document import Document, NodePath, Place, Position, Problems
from sretool.documents.scalars import refusal, resolve
from sretool.errors import UsageError

MAX_CHARACTERS = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 20_000

_TEMPLATE = re.compile(r"\{\{[^{}\n]*\}\}")
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"


def read_file(path: Path, *, origin: str = "") -> str:
    """Return the text of a file; UsageError when it cannot be read, DocumentError when it is no UTF-8 text."""
    origin = origin or str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(4 * MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{origin!r} cannot be read: {reason}") from error
    if len(raw) > 4 * MAX_CHARACTERS:
        raise UsageError(f"{origin!r} is too long: a document has at most {MAX_CHARACTERS} characters")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        problems = Problems(origin)
        problems.add(
            _position_of(before), f"byte {raw[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        )
        raise problems.error() from error


def read_document(text: str, *, origin: str) -> Document:
    """Return the mapping that `text` holds; DocumentError with every problem of its YAML."""
    problems = Problems(origin)
    document = scan_document(text, origin=origin, problems=problems)
    if problems:
        raise problems.error()
    return document


def scan_document(text: str, *, origin: str, problems: Problems) -> Document:
    """Return the mapping that `text` holds and add to `problems` what a reader of it can go on behind.

    DocumentError, with all of `problems`, where nothing can be read: no YAML, not one mapping.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        problems.fail((1, 1), f"{len(text)} characters: a document has at most {MAX_CHARACTERS}")
    unprintable = _find_unprintable(text)
    if unprintable:
        where = _position_of(text[: unprintable.start()])
        problems.fail(where, f"control character U+{ord(unprintable[0]):04X} is not allowed in YAML")
    builder = _Builder(text, problems)
    _feed(builder, text, problems)
    return Document(origin, builder.root(), builder.places)


def _find_unprintable(text: str) -> re.Match[str] | None:
    # What Python calls printable is allowed; compiling that expression takes longer than reading a whole document.
    return None if text.replace("\n", "").isprintable() else re.search(_UNPRINTABLE, text)


def _feed(builder: "_Builder", text: str, problems: Problems) -> None:
    # Events, not nodes: PyYAML's C composer recurses in C and a deep document kills the whole process.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.feed(type(event).__name__, event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        begun = error.context_mark
        context = f"{error.context} that begins in line {begun.line + 1}" if begun else error.context
        problems.fail(position, _explain(context, error.problem, _character(text, position)))
    except yaml.YAMLError as error:
        problems.fail((1, 1), f"not YAML: {error}")


def _explain(context: str | None, problem: str | None, character: str) -> str:
    if character == "\t":
        return "a tab: YAML indents with spaces"
    if problem and "cannot start any token" in problem:
        return f"a plain value cannot begin with {character}: quote it"
    if problem and "mapping values are not allowed" in problem:
        return "': ' inside a plain value, or a wrong indentation: quote the value or indent the key"
    return "not YAML: " + ", ".join(part for part in (context, problem) if part)


def _character(text: str, position: Position) -> str:
    lines = text.split("\n", position[0])
    line = lines[position[0] - 1] if len(lines) >= position[0] else ""
    return line[position[1] - 1 : position[1]]


def _position_of(before: str) -> Position:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Open:
    """A mapping or list that is being read."""

    def __init__(self, path: NodePath, values: dict[str, Any] | list[Any]) -> None:
        self.path = path
        self.values = values
        self.key: str | None = None
        self.key_position: Position = (1, 1)
        self.seen: dict[str, int] = {}


class _Builder:
    """Builds values and places from parser events, without recursion."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.places: dict[NodePath, Place] = {}
        self._text = text
        self._problems = problems
        self._root: Any = None
        self._open: list[_Open] = []

    def root(self) -> dict[str, Any]:
        """Return the document's mapping."""
        assert isinstance(self._root, dict)  # noqa: S101 - `feed` raised for anything else
        return self._root

    def feed(self, kind: str, event: Any) -> None:
        """Take the next event of the parser."""
        position = (event.start_mark.line + 1, event.start_mark.column + 1)
        if kind == "DocumentStartEvent":
            self._start_document(event, position)
        elif kind == "ScalarEvent":
            self._scalar(event, position)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._start(event, position, {} if kind == "MappingStartEvent" else [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._open.pop()
        elif kind == "AliasEvent":
            self._problems.fail(
                position, f"alias *{event.anchor}: write the value out, aliases are not allowed"
            )
        elif kind == "StreamEndEvent" and not self.places:
            self._problems.fail((1, 1), "the document is empty")

    def _start_document(self, event: Any, position: Position) -> None:
        if self.places:
            self._problems.fail(position, "a second document: a file holds one")
        if event.version or event.tags:
            self._problems.fail(position, "YAML directives (%YAML, %TAG) are not allowed")

    def _start(self, event: Any, position: Position, values: dict[str, Any] | list[Any]) -> None:
        self._check(event, position)
        if self._open and isinstance(self._open[-1].values, dict) and self._open[-1].key is None:
            template = _TEMPLATE.match(self._text, max(event.start_mark.index - 1, 0))
            hint = f': quote it, "{_short(template[0])}"' if template else ""
            self._problems.fail(position, f"a key is a word, not a mapping or list{hint}")
        if len(self._open) >= MAX_DEPTH:
            self._problems.fail(position, f"nested deeper than {MAX_DEPTH} levels")
        path = self._place(position, values, "")
        self._open.append(_Open(path, values))

    def _scalar(self, event: Any, position: Position) -> None:
        self._check(event, position)
        source = self._text[event.start_mark.index : event.end_mark.index]
        text: str = event.value
        if hidden := _find_unprintable(text):  # written as an escape: no text of ours may move a terminal
            what = f"control character U+{ord(hidden[0]):04X} inside a text"
            self._problems.add(position, what, settles=True)
        plain = source[:1] not in ("'", '"', "|", ">")
        value: Any = text
        if plain:
            value = self._plain(text, position)
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.values, dict) and parent.key is None:
            self._key(parent, text, value, position)
        else:
            self._place(position, value, source)

    def _plain(self, text: str, position: Position) -> Any:
        advice = refusal(text)
        if not advice:
            return resolve(text)
        self._problems.add(position, f"{_short(text)}: {advice}", settles=True)
        return text

    def _key(self, parent: _Open, text: str, value: Any, position: Position) -> None:
        if not isinstance(value, str):
            what = _short(text) or "nothing"
            self._problems.add(position, f"a key is a word, not {what}: quote it", settles=True)
        if text in parent.seen:
            self._problems.add(
                position, f"duplicate key {_short(text)}: it stands in line {parent.seen[text]} too"
            )
        parent.seen.setdefault(text, position[0])
        parent.key, parent.key_position = text, position

    def _place(self, position: Position, value: Any, source: str) -> NodePath:
        """Put a value into the open mapping or list, and return its path."""
        if len(self.places) >= MAX_NODES:
            self._problems.fail(position, f"more than {MAX_NODES} values")
        if not self._open:
            if value is None:
                self._problems.fail((1, 1), "the document is empty")
            if not isinstance(value, dict):
                self._problems.fail(position, "the document is not a mapping of keys to values")
            self._root = value
            self.places[()] = Place(position, position, source)
            return ()
        parent = self._open[-1]
        if isinstance(parent.values, dict):
            assert parent.key is not None  # noqa: S101 - a value follows its key
            path, key_position = (*parent.path, parent.key), parent.key_position
            parent.values[parent.key], parent.key = value, None
        else:
            path, key_position = (*parent.path, len(parent.values)), position
            parent.values.append(value)
        self.places[path] = Place(position, key_position, source)
        return path

    def _check(self, event: Any, position: Position) -> None:
        if event.anchor:
            self._problems.add(
                position, f"anchor &{event.anchor}: write the value out, anchors are not allowed"
            )
        if event.tag:
            self._problems.add(position, f"tag {_short(event.tag)}: tags are not allowed")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
