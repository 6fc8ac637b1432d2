"""Parameters: their types, what a person gives, and `{{ params.x }}` in a step's `with`."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sretool.documents import suggest
from sretool.errors import UsageError
from sretool.runbook.model import ParamSpec, ParamType, Runbook, StepSpec
from sretool.runbook.references import Kind
from sretool.runbook.strict import ShapeError, base_types, choices, convert, encoded_fields
from sretool.step import Duration, Percent, Quantity

_PYTHON: Mapping[ParamType, type] = {
    ParamType.DURATION: Duration,
    ParamType.QUANTITY: Quantity,
    ParamType.PERCENT: Percent,
    ParamType.INTEGER: int,
    ParamType.NUMBER: float,
    ParamType.BOOLEAN: bool,
    ParamType.STRING: str,
}
KINDS: Mapping[ParamType, Kind] = {
    ParamType.DURATION: Kind.DECIMAL,
    ParamType.QUANTITY: Kind.INTEGER,
    ParamType.PERCENT: Kind.DECIMAL,
    ParamType.INTEGER: Kind.INTEGER,
    ParamType.NUMBER: Kind.DECIMAL,
    ParamType.BOOLEAN: Kind.BOOLEAN,
    ParamType.STRING: Kind.TEXT,
}
_TEMPLATE = re.compile(r"\{\{\s*params\s*\.\s*([A-Za-z0-9_-]+)\s*\}\}")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")


def resolve_params(runbook: Runbook, given: Mapping[str, str]) -> dict[str, object]:
    """Return every parameter's typed value: what was given (`-p key=value`), else its default.

    UsageError names every wrong name and value, also one that a step does not take.
    """
    params = params_given(runbook.name, runbook.params, given)
    refuse([one for spec in runbook.steps for one in _step_problems(spec, params)], runbook.params)
    return params


def params_given(owner: str, declared: Sequence[ParamSpec], given: Mapping[str, str]) -> dict[str, object]:
    """Return the typed value of every parameter that `owner` declares; UsageError names what is wrong."""
    known = {param.name: param for param in declared}
    params: dict[str, object] = {name: param.default for name, param in known.items()}
    problems: list[str] = []
    for name, text in given.items():
        if name not in known:
            none = "" if known else f" ({owner} has no parameters)"
            problems.append(f"-p {name}: there is no such parameter{suggest(name, known) or none}")
            continue
        try:
            params[name] = parse_given(text, known[name].type)
        except ShapeError as error:
            problems.append(f"-p {name}={text}: {error}")
    refuse(problems, declared)
    return params


def refuse(problems: Sequence[str], declared: Sequence[ParamSpec]) -> None:
    """Raise UsageError with all of `problems` and the parameters that there are; nothing when there is none."""
    if problems:
        # Each parameter is one line of an ending, and a semicolon would begin the next.
        lines = (f"-p {one.name}: {one.about.replace('; ', ', ')} ({one.type})" for one in declared)
        then = "; ".join(lines)
        raise UsageError("\n".join(problems), then=then)


def step_params(runbook: Runbook, spec: StepSpec, params: Mapping[str, object]) -> msgspec.Struct:
    """Return the params of one step of `runbook`, its templates filled from `params`."""
    try:
        return build_params(spec, params)
    except ShapeError as error:
        raise UsageError(f"{runbook.name}, step {spec.id}: {error}") from error


def parse_default(value: object, wanted: ParamType) -> object:
    """Return a default from the file in its type; ShapeError otherwise."""
    converted: object = convert(value, _PYTHON[wanted])
    return converted


def parse_given(text: str, wanted: ParamType) -> object:
    """Return what a person typed in its type; ShapeError otherwise."""
    match wanted:
        case ParamType.BOOLEAN:
            if text not in ("true", "false"):
                raise ShapeError("must be true or false")
            return text == "true"
        case ParamType.INTEGER:
            if not _INTEGER.fullmatch(text):
                raise ShapeError("must be an integer")
            return int(text)
        case ParamType.NUMBER:
            return _number(text)
        case _:
            return parse_default(text, wanted)


def param_named(value: object) -> str | None:
    """Return the parameter that `value` stands for, None for a plain value; ShapeError for half a template."""
    if isinstance(value, str) and (whole := _TEMPLATE.fullmatch(value.strip())):
        return whole[1]
    if any("{{" in text or "}}" in text for text in _texts(value)):
        raise ShapeError("{{ }} stands only as a whole value: {{ params.NAME }}")
    return None


def fits(wanted: ParamType, annotation: Any) -> bool:
    """Tell whether a parameter of this type may fill a field of this type."""
    bases = base_types(annotation)
    if wanted is ParamType.STRING and choices(annotation):
        return True
    if wanted is ParamType.INTEGER and float in bases:
        return True
    return _PYTHON[wanted] in bases


def type_words(annotation: Any) -> str:
    """Return which types of parameter may fill a field."""
    names = [name.value for name in ParamType if fits(name, annotation)]
    return f"it must be {' or '.join(names)}" if names else "no parameter fits, write the value"


def build_params(spec: StepSpec, params: Mapping[str, object]) -> msgspec.Struct:
    """Return the step's struct; ShapeError says which key does not fit."""
    fields = encoded_fields(spec.params_type)
    values: dict[str, object] = {}
    for key, raw in spec.with_.items():
        named = param_named(raw)
        try:
            values[fields[key].name] = convert(raw if named is None else params[named], fields[key].type)
        except ShapeError as error:
            raise ShapeError(f"{key}: {error}", (key,)) from error
    try:
        return spec.params_type(**values)
    except (TypeError, ValueError) as error:
        raise ShapeError(str(error)) from error


def defaults_of(params: tuple[ParamSpec, ...]) -> dict[str, object]:
    """Return the default of each parameter by its name."""
    return {param.name: param.default for param in params}


def _step_problems(spec: StepSpec, params: Mapping[str, object]) -> Iterator[str]:
    try:
        build_params(spec, params)
    except ShapeError as error:
        yield f"step {spec.id}: {error}"


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ShapeError("must be a number") from None
    if not math.isfinite(number) or "_" in text:
        raise ShapeError("must be a number")
    return number


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
