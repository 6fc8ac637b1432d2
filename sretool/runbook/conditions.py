"""Compiles the conditions of a runbook's steps, and points at the character where one is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sretool.documents import Document, NodePath, Problems
from sretool.runbook.expressions import Compiler, Condition
from sretool.runbook.model import ParamSpec
from sretool.runbook.params import KINDS
from sretool.runbook.references import Fault, Kind, Reference, check_reference, fact_kinds, find_references
from sretool.step import AnyStep

_WIDEST = 100


def compile_conditions(
    document: Document,
    problems: Problems,
    *,
    shapes: Sequence[Mapping[str, Any]],
    kinds: Sequence[type[AnyStep] | None],
    params: Mapping[str, ParamSpec | None],
) -> dict[int, Condition]:
    """Return each step's condition by the step's index; what is wrong with the others goes to `problems`."""
    facts: dict[str, Mapping[str, Kind] | None] = {}
    for shape, kind in zip(shapes, kinds, strict=True):
        if "id" in shape:
            facts.setdefault(shape["id"], fact_kinds(kind.facts_type) if kind else None)
    scope = _Scope(facts, {name: KINDS[param.type] if param else None for name, param in params.items()})
    conditions: dict[int, Condition] = {}
    earlier: dict[str, Mapping[str, Kind] | None] = {}
    for index, shape in enumerate(shapes):
        step = shape.get("id", "")
        if "when" in shape:
            path = ("steps", index, "when")
            answer = scope.compile(shape["when"], step=step, earlier=earlier)
            if isinstance(answer, Condition):
                conditions[index] = answer
            else:
                point(document, problems, path, shape["when"], answer)
        if step:
            earlier[step] = facts[step]
    return conditions


class _Scope:
    """What the conditions of one runbook may name."""

    def __init__(
        self, facts: Mapping[str, Mapping[str, Kind] | None], params: Mapping[str, Kind | None]
    ) -> None:
        self._params = params
        self._steps = frozenset(facts)
        self._names = {f"params.{name}": kind for name, kind in params.items() if kind} | {
            f"steps.{step}.{fact}": kind
            for step, known in facts.items()
            if known
            for fact, kind in known.items()
        }
        self._compiler: Compiler | None = None

    def compile(
        self, text: str, *, step: str, earlier: Mapping[str, Mapping[str, Kind] | None]
    ) -> Condition | Sequence[Fault]:
        def wrong(one: Reference) -> Fault | None:
            return check_reference(
                one, step=step, earlier=earlier, all_steps=self._steps, params=self._params
            )

        if self._compiler is None:
            self._compiler = Compiler(self._names)
        return compile_condition(text, self._compiler, wrong)


def compile_condition(
    text: str, compiler: Compiler, wrong: Callable[[Reference], Fault | None]
) -> Condition | Sequence[Fault]:
    """Return the condition, or everything that is wrong with it: with its mentions, and with the rest."""
    mentions = tuple(find_references(text, compiler.forms))
    faults = [fault for one in mentions if (fault := wrong(one))]
    if "{{" in text:
        return [Fault(text.index("{{"), "a condition takes params.NAME as it is, without {{ }}"), *faults]
    # A name without a type is wrong, or belongs to a step or parameter that has its own problem.
    answer = compiler.compile(text, [one.name for one in mentions if one.name not in compiler.kinds])
    if isinstance(answer, Condition):
        return faults or answer
    return [*faults, *answer]


def point(document: Document, problems: Problems, path: NodePath, text: str, faults: Sequence[Fault]) -> None:
    """Note what is wrong with the condition at `path`, each with a caret below the character."""
    for fault in faults:
        problems.add(
            document.inside(path, fault.offset), f"{path[-1]}: {fault.text}\n{_caret(text, fault.offset)}"
        )


def _caret(text: str, offset: int) -> str:
    begin = text.rfind("\n", 0, offset) + 1
    line = text[begin:].split("\n", 1)[0].replace("\t", " ")
    column = offset - begin
    left = max(0, column - _WIDEST // 2)
    return f"    {line[left : left + _WIDEST]}\n    {' ' * (column - left)}^"
