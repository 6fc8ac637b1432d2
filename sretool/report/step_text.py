"""The catalogue of steps, and one step's manual, from the step's own types and docstring."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sretool.report.format import PAGE_COLUMNS, table, wrapped
from sretool.step import AnyStep, Duration, Percent, Quantity

_WORDS = {
    Duration: "duration",
    Quantity: "quantity",
    Percent: "percent",
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "text",
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter or fact of a step."""

    name: str
    type: str
    default: str = ""
    about: str = ""


class StepManual(msgspec.Struct, frozen=True, kw_only=True):
    """What a person must know to use a step in a runbook."""

    uses: str
    risk: str
    precaution: bool
    summary: str
    manual: str
    params: tuple[Field, ...]
    facts: tuple[Field, ...]


def manual_of(step: type[AnyStep]) -> StepManual:
    """Return the manual of `step`."""
    doc = inspect.cleandoc(step.__doc__ or "")
    summary, _, manual = doc.partition("\n\n")
    return StepManual(
        uses=step.uses,
        risk=str(step.risk),
        precaution=step.precaution,
        summary=" ".join(summary.split()),
        manual=manual,
        params=tuple(_params(step.params_type)),
        facts=tuple(_facts(step.facts_type)),
    )


def render_catalogue(catalogue: Mapping[str, type[AnyStep]], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return one line a step."""
    rows = [(uses, str(step.risk), manual_of(step).summary) for uses, step in catalogue.items()]
    return table(("STEP", "RISK", "WHAT IT IS FOR"), rows, columns=columns)


def render_manual(manual: StepManual, *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return one step's manual: what it does, its parameters, the facts that conditions may use."""
    lines = [f"{manual.uses} (risk: {manual.risk})", *wrapped(manual.summary, columns=columns)]
    for paragraph in filter(None, manual.manual.split("\n\n")):
        lines += ["", *_paragraph(paragraph, columns)]
    if manual.precaution:
        lines += ["", *wrapped("A precaution: only before a later step's due change.", columns=columns)]
    lines += ["", "PARAMETERS (in `with`)"]
    rows = [(f"  {one.name}", one.type, one.default, one.about) for one in manual.params]
    lines += table(("  NAME", "TYPE", "DEFAULT", "ABOUT"), rows, columns=columns) if rows else ["  none"]
    lines += ["", "FACTS (in conditions, as steps.ID.NAME)"]
    facts = [(f"  {one.name}", one.type) for one in manual.facts]
    lines += table(("  NAME", "TYPE"), facts, columns=columns) if facts else ["  none"]
    return [line.rstrip() for line in lines]


def _paragraph(text: str, columns: int) -> list[str]:
    lines = text.splitlines()
    if any(line.startswith((" ", "-", "*")) for line in lines):  # a list or a table: as it was written
        return lines
    return wrapped(text, columns=columns)


def _params(params: type[msgspec.Struct]) -> Iterable[Field]:
    for field in msgspec.structs.fields(params):
        meta = field.type.__metadata__ if hasattr(field.type, "__metadata__") else ()
        about = next((one.description for one in meta if getattr(one, "description", None)), "")
        required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        yield Field(
            name=field.encode_name,
            type=_type_words(field.type),
            default="required" if required else _default_words(field),
            about=about,
        )


def _default_words(field: Any) -> str:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, Duration):
        return _in_unit(default, ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"), (0.001, "ms")))
    if isinstance(default, Quantity):
        return _in_unit(
            default, ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"), (1, ""))
        )
    if isinstance(default, Percent):
        return f"{default * 100:g}%"
    return str(default) if default not in ("", None, ()) else "none"


def _in_unit(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not value:
        return f"0{'' if units[-1][1] == '' else 's'}"
    for size, unit in units:
        if value >= size and float(value / size).is_integer():
            return f"{value / size:.0f}{unit}"
    return f"{value:g}"


def _facts(facts: type[msgspec.Struct]) -> Iterable[Field]:
    """Yield the facts that conditions see: scalars and lists of text."""
    for field in msgspec.structs.fields(facts):
        words = _type_words(field.type)
        if re.fullmatch(r"integer|number|true or false|text|list of text", words):
            yield Field(name=field.name, type=words)


def _type_words(annotation: Any) -> str:
    inner = getattr(annotation, "__origin__", None)
    if hasattr(annotation, "__metadata__"):
        return _type_words(annotation.__origin__)
    arguments = getattr(annotation, "__args__", ())
    if arguments and all(isinstance(one, str) for one in arguments):  # a Literal
        return " or ".join(arguments)
    if inner is tuple and arguments and arguments[0] is str:
        return "list of text"
    if arguments and inner is not tuple:
        known = [_type_words(one) for one in arguments if one.__name__ not in ("Unknown", "NoneType")]
        return " or ".join(dict.fromkeys(known))
    values = getattr(annotation, "__members__", None)
    if values is not None:
        return " or ".join(str(one.value) for one in values.values())
    return _WORDS.get(annotation, str(getattr(annotation, "__name__", annotation)))
