"""Which facts and parameters a condition mentions, and where in its text. Knows no CEL library."""

import enum
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from sretool.documents import suggest
from sretool.model import MemberId, Unknown

_TOKEN = re.compile(
    r"""
      (?:[bB]?[rR]|[rR][bB])(?:'''.*?'''|\"{3}.*?\"{3}|'[^'\n]*'|"[^"\n]*")
    | [bB]?(?:'''(?:\\.|.)*?'''|\"{3}(?:\\.|.)*?\"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    | //[^\n]*
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)*)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Kind(enum.StrEnum):
    """What a condition sees of a value."""

    INTEGER = "int"
    DECIMAL = "double"
    BOOLEAN = "bool"
    TEXT = "string"
    TEXTS = "list of strings"


class Fault(NamedTuple):
    """What is wrong with a condition, and at which character of it."""

    offset: int
    text: str


class Reference(NamedTuple):
    """One mention, `steps.census.events` or `params.events_max`; `due` is a fact that every step has."""

    root: str
    words: tuple[str, ...]
    offsets: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name under which the value is declared."""
        return ".".join((self.root, *self.words))


def fact_kind(annotation: Any) -> Kind | None:
    """Return what a condition sees of a fact of this type; None when it is the step's own affair."""
    if get_origin(annotation) is Annotated:
        return fact_kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        known = [arm for arm in get_args(annotation) if arm is not Unknown]
        return fact_kind(known[0]) if len(known) == 1 else None
    if get_origin(annotation) is tuple:
        texts = len(get_args(annotation)) == 2 and get_args(annotation)[1] is Ellipsis
        return Kind.TEXTS if texts and fact_kind(get_args(annotation)[0]) is Kind.TEXT else None
    if not isinstance(annotation, type):
        return None
    order = (
        (MemberId, Kind.TEXT),  # 64 bits, unsigned: more than CEL's int holds
        (bool, Kind.BOOLEAN),
        (int, Kind.INTEGER),
        (float, Kind.DECIMAL),
        (str, Kind.TEXT),
    )
    return next((kind for base, kind in order if issubclass(annotation, base)), None)


def fact_kinds(facts_type: type[msgspec.Struct]) -> dict[str, Kind]:
    """Return what conditions may ask about a step: its scalar facts, and whether it plans a change (`due`)."""
    kinds = {field.name: fact_kind(field.type) for field in msgspec.structs.fields(facts_type)}
    return {"due": Kind.BOOLEAN} | {name: kind for name, kind in kinds.items() if kind}


RUNBOOK_FORMS: Mapping[str, str] = {"steps": "steps.ID.FACT", "params": "params.NAME"}
PLAYBOOK_FORMS: Mapping[str, str] = {"stages": "stages.STAGE.RUNBOOK.STEP.FACT", "params": "params.NAME"}


def find_references(text: str, forms: Mapping[str, str] = RUNBOOK_FORMS) -> Iterator[Reference]:
    """Yield every mention of what `forms` name (`steps…` and `params…`) outside string literals and comments."""
    for token in _TOKEN.finditer(text):
        if not token["name"]:
            continue
        words = list(_WORD.finditer(text, token.start(), token.end()))
        if words[0][0] in forms:
            depth = len(forms[words[0][0]].split("."))
            used = words[1:depth]
            yield Reference(
                words[0][0],
                tuple(word[0] for word in used),
                tuple(word.start() for word in words[:depth]),
            )


def check_reference(
    reference: Reference,
    *,
    step: str,
    earlier: Mapping[str, Mapping[str, Kind] | None],
    all_steps: frozenset[str],
    params: Mapping[str, Kind | None],
) -> Fault | None:
    """Return what is wrong with a mention in the condition of `step`; None when nothing is.

    A value of None in `earlier` or `params` stands for something that has a problem of its own already.
    """
    wanted = 1 if reference.root == "params" else 2
    if len(reference.words) < wanted:
        form = "params.NAME" if reference.root == "params" else "steps.ID.FACT"
        return Fault(reference.offsets[0], f"{reference.name} is no value: write {form}")
    first = reference.words[0]
    if reference.root == "params":
        if first in params:
            return None
        return Fault(reference.offsets[1], f"there is no parameter {first}{suggest(first, params)}")
    if first not in earlier:
        return Fault(reference.offsets[1], _wrong_step(first, step, frozenset(earlier), all_steps))
    facts, fact = earlier[first], reference.words[1]
    if facts is None or fact in facts:
        return None
    return Fault(reference.offsets[2], f"step {first} has no fact {fact}{suggest(fact, facts)}")


def _wrong_step(named: str, step: str, earlier: frozenset[str], all_steps: frozenset[str]) -> str:
    if named == step:
        return f"step {step} asks about itself: a condition refers only to earlier steps"
    if named in all_steps:
        return f"step {named} comes later: a condition refers only to earlier steps"
    return f"there is no earlier step {named}{suggest(named, earlier)}"
