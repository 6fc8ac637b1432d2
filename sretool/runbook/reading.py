"""What reading a runbook and reading a playbook share: names, parameters, and where a problem stands."""

import re
from pathlib import PurePath
from typing import Any

from sretool.documents import Document, NodePath, Problems
from sretool.runbook.model import ParamSpec
from sretool.runbook.params import parse_default
from sretool.runbook.shapes import ID_PATTERN, ParamShape
from sretool.runbook.strict import ShapeError, name_of, read_struct


def is_playbook(text: str) -> bool:
    """Tell whether a file is a playbook, whatever is wrong with it."""
    return bool(re.search(r"^playbook\s*:", text, re.MULTILINE))


class Reading:
    """One pass over one document. A parameter that has a problem of its own is None in `params`."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems
        self._params: dict[str, ParamSpec | None] = {}

    def _add(self, path: NodePath, text: str) -> None:
        self._problems.add(self._document.position(path), f"{name_of(path)}: {text}")

    def _check_name(self, key: str, name: str | None) -> None:
        origin = PurePath(self._document.origin)
        if name is not None and origin.suffix in (".yaml", ".yml") and origin.stem != name:
            self._add((key,), f"the file is called {origin.name}, so this must be {origin.stem}")

    def _check_key(self, path: NodePath, pattern: str) -> None:
        key = str(path[-1])
        if not re.search(pattern, key):
            self._problems.add(self._document.key_position(path), f"{key[:60]} does not match {pattern}")

    def _check_positive(self, path: NodePath, seconds: float) -> None:
        if seconds <= 0:
            self._add(path, "must be more than nothing")

    def _check_ids(self, where: str, shapes: list[dict[str, Any]], what: str) -> None:
        """Note every id that stands twice in the list `where`."""
        lines: dict[str, int] = {}
        for index, shape in enumerate(shapes):
            if "id" not in shape:
                continue
            path = (where, index, "id")
            if shape["id"] in lines:
                self._add(path, f"{shape['id']} is the {what} in line {lines[shape['id']]} already")
            lines.setdefault(shape["id"], self._document.position(path)[0])

    def _read_params(self, value: dict[str, Any]) -> None:
        for name, inner in value.items():
            path = ("params", name)
            self._params[name] = None
            self._check_key(path, ID_PATTERN)
            shape = read_struct(self._document, path, inner, ParamShape, self._problems)
            if shape is None:
                continue
            try:
                default = parse_default(shape.default, shape.type)
            except ShapeError as error:
                self._add((*path, "default"), str(error))
                continue
            self._params[name] = ParamSpec(name=name, type=shape.type, default=default, about=shape.about)
