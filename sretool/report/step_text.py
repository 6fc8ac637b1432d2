"""The catalogue of steps, and one step's manual, from the step's own types and docstring."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sretool.report.format import PAGE_COLUMNS, table, wrapped
from sretool.runbook.references import Kind, fact_kind, fact_kinds
from sretool.runbook.schema import description_of, written
from sretool.runbook.strict import UNITS, base_types, choices
from sretool.step import AnyStep, Catalogue

_KIND_WORDS = {
    Kind.INTEGER: "integer",
    Kind.DECIMAL: "number",
    Kind.BOOLEAN: "true or false",
    Kind.TEXT: "text",
    Kind.TEXTS: "list of text",
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
    causes: Mapping[str, str]


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
        causes=step.causes,
    )


def render_catalogue(catalogue: Catalogue, *, columns: int = PAGE_COLUMNS) -> list[str]:
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
    if manual.causes:
        lines += ["", "CAUSES (where no runbook takes over)"]
        found = [(f"  {cause}", by_hand) for cause, by_hand in manual.causes.items()]
        lines += table(("  CAUSE", "BY HAND"), found, columns=columns)
    return [line.rstrip() for line in lines]


def _paragraph(text: str, columns: int) -> list[str]:
    lines = text.splitlines()
    if any(line.startswith((" ", "-", "*")) for line in lines):  # a list or a table: as it was written
        return lines
    return wrapped(text, columns=columns)


def _params(params: type[msgspec.Struct]) -> Iterable[Field]:
    for field in msgspec.structs.fields(params):
        yield Field(
            name=field.encode_name,
            type=_type_words(field.type),
            default="required" if field.required else _default_words(field.default),
            about=description_of(field.type),
        )


def _default_words(default: object) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    return "none" if default in ("", None, ()) else str(written(default))


def _type_words(annotation: Any) -> str:
    """Return what a person writes there: one of some words, a quantity with its unit, a plain value."""
    if words := choices(annotation):
        return " or ".join(words)
    unit = next((base.__name__.lower() for base in base_types(annotation) if base in UNITS), "")
    kind = fact_kind(annotation)
    return unit or (_KIND_WORDS[kind] if kind else "a value of its own")


def _facts(facts: type[msgspec.Struct]) -> Iterable[Field]:
    """Yield the facts that conditions see, without `due`, which every step has."""
    for name, kind in fact_kinds(facts).items():
        if name != "due":
            yield Field(name=name, type=_KIND_WORDS[kind])
