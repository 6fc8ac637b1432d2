"""Turns a runbook's file into a checked `Runbook`, or names every problem of it at once."""

from collections.abc import Iterator
from typing import Any

import msgspec

from sretool.documents import Document, NodePath, Problems, scan_document, suggest
from sretool.runbook.conditions import compile_conditions
from sretool.runbook.model import ParamType, RetrySpec, Runbook, StepSpec, VerdictNext
from sretool.runbook.params import (
    build_params,
    defaults_of,
    fits,
    param_named,
    resolve_params,
    step_params,
    type_words,
)
from sretool.runbook.reading import Reading
from sretool.runbook.shapes import (
    NAME_PATTERN,
    NeedsShape,
    RetryShape,
    RunbookShape,
    StepShape,
    VerdictShape,
    VerifyShape,
)
from sretool.runbook.strict import ShapeError, encoded_fields, find_misfits, read_fields, read_struct
from sretool.step import AnyStep, Catalogue, Duration

__all__ = ["load_runbook", "resolve_params", "step_params"]


def load_runbook(text: str, *, origin: str, catalogue: Catalogue) -> Runbook:
    """Return the runbook that `text` holds; DocumentError with every problem, each with line and column.

    A runbook from a file (`origin` ends in .yaml or .yml) carries the file's name.
    """
    problems = Problems(origin)
    document = scan_document(text, origin=origin, problems=problems)
    found = _Reading(document, problems, catalogue).read()
    if problems:
        raise problems.error()
    return Runbook(text=text, origin=origin, **found)


class _Reading(Reading):
    """One pass over one runbook."""

    def __init__(self, document: Document, problems: Problems, catalogue: Catalogue) -> None:
        super().__init__(document, problems)
        self._catalogue = catalogue
        self._by_hand: dict[str, str] = {}
        self._is_whole = True  # every step's kind is known, so every cause that may be found is

    def read(self) -> dict[str, Any]:
        """Return the fields of the Runbook; they are complete when there are no problems."""
        head = read_fields(self._document, (), self._document.value, RunbookShape, self._problems)
        self._check_name("runbook", head.get("runbook"))
        self._read_params(head.get("params", {}))
        steps = self._read_steps(head.get("steps", []))
        deadline = head.get("deadline", RunbookShape.__struct_defaults__[-1])
        self._check_positive(("deadline",), deadline)
        return {
            "name": head.get("runbook", ""),
            "summary": head.get("summary", ""),
            "alerts": head.get("alerts", ()),
            "needs": self._read_needs(head.get("needs")),
            "params": tuple(param for param in self._params.values() if param),
            "steps": steps,
            "verdicts": self._read_verdicts(head.get("verdicts", {})),
            "by_hand": self._by_hand,
            "verify_again_after": self._read_verify(head.get("verify")),
            "deadline_seconds": float(deadline),
        }

    def _read_needs(self, value: Any) -> dict[str, str]:
        if value is None:
            return {}
        needs = read_struct(self._document, ("needs",), value, NeedsShape, self._problems)
        words = msgspec.structs.asdict(needs) if needs else {}
        return {path: word for path, word in words.items() if word is not msgspec.UNSET}

    def _read_verify(self, value: Any) -> Duration | str:
        """Return the pause before the second look, or the name of the parameter that holds it."""
        path = ("verify", "again_after")
        verify = None
        if value is not None:
            verify = read_struct(self._document, ("verify",), value, VerifyShape, self._problems)
        if verify is None:
            return Duration(0)
        try:
            named = param_named(verify.again_after)
            if named is None:
                pause = Duration.parse(verify.again_after)
                self._check_positive(path, pause)
                return pause
        except ValueError as error:  # a ShapeError is one
            self._add(path, str(error))
            return Duration(0)
        param = self._params.get(named)
        if named not in self._params:
            self._add(path, f"there is no parameter {named}{suggest(named, self._params)}")
        elif param is not None and param.type is not ParamType.DURATION:
            self._add(path, f"the parameter {named} is of type {param.type}: it must be duration")
        return named

    def _read_verdicts(self, value: dict[str, Any]) -> dict[str, VerdictNext]:
        found: dict[str, VerdictNext] = {}
        for verdict, inner in value.items():
            path = ("verdicts", verdict)
            self._check_key(path, NAME_PATTERN)
            if self._is_whole and verdict not in self._by_hand:
                words = f"none of its steps finds {verdict}{suggest(verdict, self._by_hand)}"
                self._problems.add(self._document.key_position(path), words)
            shape = read_struct(self._document, path, inner, VerdictShape, self._problems)
            if shape:
                found[verdict] = VerdictNext(next=shape.next, about=shape.about)
        return found

    def _read_steps(self, value: list[Any]) -> tuple[StepSpec, ...]:
        shapes = [
            read_fields(self._document, ("steps", index), inner, StepShape, self._problems)
            for index, inner in enumerate(value)
        ]
        self._check_ids("steps", shapes, "step")
        kinds = [self._kind_of(index, shape) for index, shape in enumerate(shapes)]
        conditions = compile_conditions(
            self._document, self._problems, shapes=shapes, kinds=kinds, params=self._params
        )
        steps = (
            self._step(index, shape, kind, conditions.get(index))
            for index, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
        )
        return tuple(step for step in steps if step)

    def _kind_of(self, index: int, shape: dict[str, Any]) -> type[AnyStep] | None:
        uses = shape.get("uses")
        if uses is not None and uses not in self._catalogue:
            self._add(("steps", index, "uses"), f"there is no step {uses}{suggest(uses, self._catalogue)}")
        kind = self._catalogue.get(uses) if uses is not None else None
        if kind is None:
            self._is_whole = False
        else:
            self._by_hand |= kind.causes
        return kind

    def _step(
        self, index: int, shape: dict[str, Any], kind: type[AnyStep] | None, when: Any
    ) -> StepSpec | None:
        path = ("steps", index)
        retry = self._retry((*path, "retry"), shape.get("retry"))
        if "timeout" in shape:
            self._check_positive((*path, "timeout"), shape["timeout"])
        if kind is None:
            return None
        spec = StepSpec(
            id=shape.get("id", ""),
            uses=kind.uses,
            params_type=kind.params_type,
            with_=shape.get("with_", {}),
            when=when,
            on_failure=shape.get("on_failure", "stop"),
            retry=retry,
            timeout_seconds=float(shape["timeout"]) if "timeout" in shape else None,
        )
        self._check_with(spec, path)
        return spec

    def _retry(self, path: NodePath, value: Any) -> RetrySpec | None:
        if value is None:
            return None
        shape = read_struct(self._document, path, value, RetryShape, self._problems)
        if shape is None:
            return None
        self._check_positive((*path, "within"), shape.within)
        return RetrySpec(attempts=shape.attempts, within_seconds=float(shape.within))

    def _check_with(self, spec: StepSpec, step: NodePath) -> None:
        fields = encoded_fields(spec.params_type)
        path = (*step, "with")
        sound = True
        for key, value in spec.with_.items():
            if key not in fields:
                text = f"{spec.uses} has no parameter {key}{suggest(key, fields)}"
                self._problems.add(self._document.key_position((*path, key)), text)
                sound = False
                continue
            misfits = list(self._misfits(value, fields[key].type))
            for error in misfits:
                self._add((*path, key, *error.path), str(error))
            sound &= not misfits and self._is_known(value)
        for key, field in fields.items():
            if field.required and key not in spec.with_:
                self._add(step, f"{spec.uses} needs {key} in its with")
                sound = False
        if sound:
            self._check_together(spec, path)

    def _misfits(self, value: object, annotation: Any) -> Iterator[ShapeError]:
        """Yield everything about a value that does not fit, of a parameter its type and its default."""
        try:
            named = param_named(value)
        except ShapeError as error:
            yield error
            return
        if named is None:
            yield from find_misfits(value, annotation)
        elif named not in self._params:
            yield ShapeError(f"there is no parameter {named}{suggest(named, self._params)}")
        elif (param := self._params[named]) and not fits(param.type, annotation):
            yield ShapeError(f"params.{named} is of type {param.type}: {type_words(annotation)}")
        elif param:
            yield from find_misfits(param.default, annotation)

    def _is_known(self, value: object) -> bool:
        """Tell whether a value that fits is known: its parameter has no problem of its own."""
        named = param_named(value)
        return named is None or self._params[named] is not None

    def _check_together(self, spec: StepSpec, path: NodePath) -> None:
        """Check what only all values together show: the struct's own `__post_init__`."""
        params = tuple(param for param in self._params.values() if param)
        try:
            build_params(spec, defaults_of(params))
        except ShapeError as error:
            self._add(path, str(error))
