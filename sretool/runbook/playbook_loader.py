"""Turns a playbook's file into a checked `Playbook`, or names every problem of it at once."""

import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from sretool.documents import Document, NodePath, Problems, scan_document, suggest
from sretool.errors import DocumentError, UsageError
from sretool.runbook.conditions import compile_condition, point
from sretool.runbook.expressions import Compiler, Condition
from sretool.runbook.library import beside
from sretool.runbook.loader import load_runbook
from sretool.runbook.model import ParamSpec, ParamType, Runbook
from sretool.runbook.params import defaults_of, parse_default, resolve_params
from sretool.runbook.playbook import Number, Part, Playbook, Stage, facts_of, given_of, value_of
from sretool.runbook.playbook_scope import Scope, StageKinds
from sretool.runbook.playbook_shapes import PartShape, PlaybookShape, StageShape
from sretool.runbook.reading import Reading, is_playbook
from sretool.runbook.references import PLAYBOOK_FORMS, Kind, Reference, find_references
from sretool.runbook.shapes import ID_PATTERN
from sretool.runbook.strict import ShapeError, read_fields
from sretool.step import Catalogue

FindRunbook = Callable[[str], tuple[str, str]]

_TEMPLATE = re.compile(r"\{\{(.*)\}\}", re.DOTALL)
_FITS: Mapping[ParamType, tuple[Kind, ...]] = {
    ParamType.STRING: (Kind.TEXT,),
    ParamType.INTEGER: (Kind.INTEGER,),
    ParamType.NUMBER: (Kind.INTEGER, Kind.DECIMAL),
    ParamType.BOOLEAN: (Kind.BOOLEAN,),
}


def load_playbook(text: str, *, origin: str, catalogue: Catalogue, find: FindRunbook) -> Playbook:
    """Return the playbook that `text` holds; DocumentError with every problem, each with line and column.

    `find` returns the text and the origin of the runbooks that it names.
    """
    problems = Problems(origin)
    document = scan_document(text, origin=origin, problems=problems)
    found = _Reading(document, problems, catalogue, find).read()
    if problems:
        raise problems.error()
    return Playbook(text=text, origin=origin, **found)


class _Reading(Reading):
    """One pass over one playbook."""

    def __init__(
        self, document: Document, problems: Problems, catalogue: Catalogue, find: FindRunbook
    ) -> None:
        super().__init__(document, problems)
        self._catalogue = catalogue
        self._find = find
        self._books: dict[str, Runbook | None] = {}
        self._scope = Scope(self._params, {})

    def read(self) -> dict[str, Any]:
        """Return the fields of the Playbook; they are complete when there are no problems."""
        head = read_fields(self._document, (), self._document.value, PlaybookShape, self._problems)
        self._check_name("playbook", head.get("playbook"))
        self._read_params(head.get("params", {}))
        stages = self._read_stages(head.get("stages", []))
        deadline = head.get("deadline", PlaybookShape.__struct_defaults__[-1])
        self._check_positive(("deadline",), deadline)
        return {
            "name": head.get("playbook", ""),
            "summary": head.get("summary", ""),
            "alerts": head.get("alerts", ()),
            "params": tuple(param for param in self._params.values() if param),
            "stages": stages,
            "causes": self._read_causes(head.get("causes", ())),
            "numbers": self._read_numbers(head.get("numbers", {})),
            "deadline_seconds": float(deadline),
        }

    def _read_causes(self, causes: tuple[str | None, ...]) -> tuple[str, ...]:
        books = [book for book in self._books.values() if book]
        known = {cause: by_hand for book in books for cause, by_hand in book.by_hand.items()}
        for index, cause in enumerate(causes):
            if cause and len(books) == len(self._books) and cause not in known:
                self._add(("causes", index), f"none of its runbooks finds {cause}{suggest(cause, known)}")
        return tuple(cause for cause in causes if cause)

    def _read_stages(self, value: list[Any]) -> tuple[Stage, ...]:
        shapes = [
            read_fields(self._document, ("stages", index), inner, StageShape, self._problems)
            for index, inner in enumerate(value)
        ]
        self._check_ids("stages", shapes, "stage")
        gates = {shape["id"]: shape.get("gate", "ask") for shape in shapes if "id" in shape}
        self._scope = Scope(self._params, gates)
        written = [frozenset(inner) if isinstance(inner, dict) else frozenset() for inner in value]
        return tuple(self._stage(index, shape, written[index]) for index, shape in enumerate(shapes))

    def _stage(self, index: int, shape: dict[str, Any], written: Container[str]) -> Stage:
        """Return the stage; `written` are all of its keys, also those whose values have a problem."""
        path = ("stages", index)
        stage_id, gate = shape.get("id", ""), shape.get("gate", "ask")
        when = self._condition((*path, "when"), shape.get("when"), stage_id)
        parts, kinds = self._parts((*path, "runbooks"), shape.get("runbooks", []), stage_id)
        self._scope.add(stage_id, kinds)
        if ("until" in written) != ("timeout" in written):
            self._add(path, "until and timeout belong together: what is waited for, and how long")
        elif "until" in shape and gate == "none":
            self._add((*path, "until"), "a stage that only looks has nothing to wait for")
        if "timeout" in shape:
            self._check_positive((*path, "timeout"), shape["timeout"])
        until = self._condition((*path, "until"), shape.get("until"), stage_id)
        if until and not any(one.root == "stages" and one.words[0] == stage_id for one in until.mentions):
            self._add((*path, "until"), f"asks nothing about {stage_id}: only its own runbooks look again")
        return Stage(
            id=stage_id,
            about=shape.get("about", ""),
            parts=parts,
            when=when,
            gate=gate,
            until=until,
            timeout_seconds=float(shape.get("timeout", 0.0)),
            on_failure=shape.get("on_failure", "stop"),
        )

    # -- runbooks and their parameters ----------------------------------------------------------------------

    def _parts(self, path: NodePath, value: list[Any], stage: str) -> tuple[tuple[Part, ...], StageKinds]:
        parts: list[Part] = []
        kinds: dict[str, Mapping[str, Mapping[str, Kind]] | None] = {}
        for index, inner in enumerate(value):
            shape = read_fields(self._document, (*path, index), inner, PartShape, self._problems)
            name = shape.get("run")
            part_id = shape.get("as_") or re.sub(r"\W", "_", (name or "").rpartition("/")[2].split(".")[0])
            if part_id and part_id in kinds:
                self._add(
                    (*path, index), f"{part_id} is there twice in {stage}: give one another name with as"
                )
            book = self._book((*path, index, "run"), name) if name else None
            if name and not re.search(ID_PATTERN, part_id):
                self._add((*path, index, "run"), f"{part_id!r} cannot name it in conditions: add as")
            kinds[part_id] = facts_of(book, self._catalogue) if book else None
            when = self._condition((*path, index, "when"), shape.get("when"), stage)
            if book is None:
                continue
            with_ = self._with((*path, index, "with"), shape.get("with_", {}), book, stage)
            part = Part(id=part_id, run=name or "", book=book, when=when, with_=with_)
            self._check_together((*path, index, "with"), part)
            parts.append(part)
        return tuple(parts), kinds

    def _book(self, path: NodePath, name: str) -> Runbook | None:
        if name not in self._books:
            self._books[name] = None
            try:
                text, origin = self._find(name)
                if is_playbook(text):
                    self._add(path, f"{name} is a playbook: a stage runs runbooks")
                else:
                    self._books[name] = load_runbook(text, origin=origin, catalogue=self._catalogue)
            except DocumentError as error:
                count, file = len(error.problems), beside(self._document.origin, name)
                self._add(path, f"the runbook {name} has {count} problems: sretool check {file}")
            except UsageError as error:
                self._add(path, error.message)
        return self._books[name]

    def _with(
        self, path: NodePath, value: Mapping[str, object], book: Runbook, stage: str
    ) -> dict[str, object]:
        params = {param.name: param for param in book.params}
        found: dict[str, object] = {}
        for key, raw in value.items():
            if key not in params:
                text = f"{book.name} has no parameter {key}{suggest(key, params)}"
                self._problems.add(self._document.key_position((*path, key)), text)
                continue
            try:
                found[key] = self._value(raw, params[key], stage)
            except ShapeError as error:
                self._add((*path, key, *error.path), str(error))
        return found

    def _value(self, raw: object, param: ParamSpec, stage: str) -> object:
        """Return a parameter's value, or the mention that it will come from; ShapeError when it does not fit."""
        template = _TEMPLATE.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if template is None:
            if isinstance(raw, str) and ("{{" in raw or "}}" in raw):
                raise ShapeError("{{ }} stands only as a whole value")
            return parse_default(raw, param.type)
        mentions = list(find_references(template[1], PLAYBOOK_FORMS))
        if len(mentions) != 1 or mentions[0].name != re.sub(r"\s", "", template[1]):
            raise ShapeError(f"in {{{{ }}}} stands {' or '.join(PLAYBOOK_FORMS.values())}")
        mention = mentions[0]
        fault = self._scope.find_fault(mention, stage)
        if fault:
            raise ShapeError(fault.text)
        if mention.root == "params":
            own = self._params[mention.words[0]]
            if own and own.type is not param.type:
                raise ShapeError(f"{mention.name} is of type {own.type}: {param.name} is {param.type}")
        elif (kind := self._scope.kinds().get(mention.name)) and kind not in _FITS.get(param.type, ()):
            raise ShapeError(f"{mention.name} is {kind}: {param.name} is {param.type}")
        return mention

    def _check_together(self, path: NodePath, part: Part) -> None:
        """Check what only all values together show, where none of them is a fact that is yet to be read."""
        mentions = [value for value in part.with_.values() if isinstance(value, Reference)]
        if any(one.root == "stages" or not self._params.get(one.words[0]) for one in mentions):
            return
        params = defaults_of(tuple(param for param in self._params.values() if param))
        given = given_of(part, lambda mention: value_of(mention, params, {}))
        try:
            resolve_params(part.book, given if isinstance(given, dict) else {})
        except UsageError as error:
            self._add(path, error.message)

    # -- conditions and numbers -----------------------------------------------------------------------------

    def _condition(self, path: NodePath, text: str | None, stage: str) -> Condition | None:
        if text is None:
            return None
        compiler = Compiler(self._scope.kinds(), PLAYBOOK_FORMS)
        answer = compile_condition(text, compiler, lambda one: self._scope.find_fault(one, stage))
        if isinstance(answer, Condition):
            return answer
        point(self._document, self._problems, path, text, answer)
        return None

    def _read_numbers(self, value: Mapping[str, str]) -> tuple[Number, ...]:
        numbers: list[Number] = []
        for name, text in value.items():
            path = ("numbers", name)
            mentions = list(find_references(text, PLAYBOOK_FORMS))
            if len(mentions) != 1 or mentions[0].root != "stages" or mentions[0].name != text.strip():
                self._add(path, f"must be one {PLAYBOOK_FORMS['stages']}")
            elif fault := self._scope.find_fault(mentions[0], ""):
                self._add(path, fault.text)
            else:
                numbers.append(Number(name=name, fact=mentions[0]))
        return tuple(numbers)
