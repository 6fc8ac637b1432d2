"""A playbook as the engine sees it: stages that run runbooks, with gates where a person decides. Frozen."""

from collections.abc import Callable, Mapping

import msgspec

from sretool.model import Known, Unknown
from sretool.runbook.expressions import Condition
from sretool.runbook.model import ParamSpec, Runbook
from sretool.runbook.references import Kind, Reference, fact_kinds
from sretool.step import Catalogue

Facts = Mapping[str, Mapping[str, object]]
"""What one runbook's steps read: the values that conditions see, by step and fact."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One runbook in a stage. `with_` is as written: `given_of` resolves its templates."""

    id: str
    run: str
    book: Runbook
    when: Condition | None = None
    with_: Mapping[str, object] = {}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage. Its runbooks are planned together, asked about once, and carried out in order.

    `gate` is `none` (it only looks, with all of its runbooks at once), `ask`, or `held` (it runs only when it is
    named).
    """

    id: str
    about: str = ""
    parts: tuple[Part, ...]
    when: Condition | None = None
    gate: str = "ask"
    until: Condition | None = None
    timeout_seconds: float = 0.0
    on_failure: str = "stop"

    @property
    def only_looks(self) -> bool:
        return self.gate == "none"


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that the report tells before and after."""

    name: str
    fact: Reference


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded playbook. `text` is the exact file, `origin` where it came from.

    `causes` are verdicts in the order in which one leads to the next: the report tells them so.
    """

    name: str
    summary: str
    alerts: tuple[str, ...] = ()
    params: tuple[ParamSpec, ...] = ()
    stages: tuple[Stage, ...]
    causes: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    deadline_seconds: float = 7200.0
    text: str
    origin: str

    @property
    def books(self) -> dict[str, tuple[str, str]]:
        """Return text and origin of every runbook by the name under which the file asks for it."""
        return {part.run: (part.book.text, part.book.origin) for stage in self.stages for part in stage.parts}


def value_of(
    reference: Reference, params: Mapping[str, object], facts: Mapping[tuple[str, str], Facts]
) -> object:
    """Return what a mention stands for; unknown where the stage, the runbook or the step did not read it."""
    if reference.root == "params":
        return params[reference.words[0]]
    stage, part, step, fact = reference.words
    if (stage, part) not in facts:
        return Unknown(f"stage {stage} has not looked with {part}")
    found = facts[stage, part].get(step)
    if found is None:
        return Unknown(f"step {step} of {part} was skipped, or could not look")
    value = found.get(fact)
    if isinstance(value, Mapping) or value is None:  # how an unknown fact stands in a journal
        return Unknown(str((value or {}).get("unknown", "it was not read")))
    return value


def given_of(part: Part, resolve: Callable[[Reference], object]) -> Known[dict[str, str]]:
    """Return the parameters of a stage's runbook as a person would write them; unknown with what is missing."""
    given: dict[str, str] = {}
    for name, raw in part.with_.items():
        value = resolve(raw) if isinstance(raw, Reference) else raw
        if isinstance(value, Unknown):
            return Unknown(f"{name} of {part.id}: {value.reason}")
        given[name] = as_given(value)
    return given


def as_given(value: object) -> str:
    """Return a value as it is written behind `-p NAME=`."""
    from sretool.runbook.schema import written

    plain = written(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def facts_of(book: Runbook, catalogue: Catalogue) -> dict[str, dict[str, Kind]]:
    """Return what a playbook may ask about a runbook: the facts of its steps."""
    return {
        spec.id: {
            fact: kind for fact, kind in fact_kinds(catalogue[spec.uses].facts_type).items() if fact != "due"
        }
        for spec in book.steps
    }
