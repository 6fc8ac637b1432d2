"""Conditions in CEL, Kubernetes' expression language, with three values. The only home of cel_expr_python."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sretool.model import Known, Unknown
from sretool.runbook.references import RUNBOOK_FORMS, Fault, Kind, Reference, find_references

MAX_CHARACTERS = 2000

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*)'")
_LARGEST = 2**63


class Condition:
    """A compiled condition; immutable, and safe to evaluate from several threads."""

    def __init__(
        self, text: str, program: Any, references: Iterable[Reference], kinds: Mapping[str, Kind]
    ) -> None:
        self.text = text
        self._program = program
        self._references = tuple({reference.name: reference for reference in references}.values())
        self._kinds = kinds

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    @property
    def steps(self) -> frozenset[str]:
        """The ids of the steps that the condition mentions."""
        return frozenset(one.words[0] for one in self._references if one.root == "steps")

    @property
    def mentions(self) -> tuple[Reference, ...]:
        """What the condition mentions, each once."""
        return self._references

    def evaluate(
        self,
        facts: Mapping[str, msgspec.Struct],
        params: Mapping[str, object],
        due: Mapping[str, Known[bool]],
    ) -> Known[bool]:
        """Return whether the condition holds, or unknown with the facts that are missing.

        Unknown facts are left out: `&&` and `||` absorb what they can (Kleene). A step without facts (it was
        skipped, or could not look) has only unknown ones.
        """
        return self.answer(lambda reference: _value(reference, facts, params, due))

    def answer(self, value_of: Callable[[Reference], object]) -> Known[bool]:
        """Return whether the condition holds when each mention has the value that `value_of` returns."""
        bound: dict[str, Any] = {}
        missing: list[str] = []
        for reference in self._references:
            value = value_of(reference)
            if not isinstance(value, Unknown):
                value = _as_cel(value, self._kinds[reference.name])
            if isinstance(value, Unknown):
                missing.append(f"{reference.name} is unknown: {value.reason}")
            else:
                bound[reference.name] = value
        result = self._run(bound)
        return result if isinstance(result, bool) else Unknown("; ".join(missing) or f"{self.text}: {result}")

    def _run(self, bound: Mapping[str, Any]) -> bool | str:
        """Return the answer, or why there is none."""
        try:
            answer = self._program.eval(data=bound)
        except RuntimeError as error:
            return _run_time_reason(str(error))
        result = answer.value()
        # A run-time error comes back as a value of type ERROR, and its text is truthy: look at the type.
        return bool(result) if answer.type().name() == "BOOL" else _run_time_reason(str(result))


class Compiler:
    """Compiles the conditions of one document against what `kinds` declare; `forms` are how they are written."""

    def __init__(self, kinds: Mapping[str, Kind], forms: Mapping[str, str] = RUNBOOK_FORMS) -> None:
        from cel_expr_python import cel

        types = {
            Kind.INTEGER: cel.Type.INT,
            Kind.DECIMAL: cel.Type.DOUBLE,
            Kind.BOOLEAN: cel.Type.BOOL,
            Kind.TEXT: cel.Type.STRING,
            Kind.TEXTS: cel.Type.List(cel.Type.STRING),
        }
        self.kinds = dict(kinds)
        self.forms = forms
        self._cel = cel
        self._types = {name: types[kind] for name, kind in kinds.items()}
        self._environment = cel.NewEnv(variables=self._types)

    def compile(self, text: str, untyped: Collection[str] = ()) -> Condition | Sequence[Fault]:
        """Return the condition, or what is wrong with it and where.

        With mentions that are `untyped` there is no condition, only what is wrong whatever their types are.
        """
        if len(text) > MAX_CHARACTERS:
            return [Fault(0, f"{len(text)} characters: a condition has at most {MAX_CHARACTERS}")]
        try:
            program = self._environment_with(untyped).compile(text)
        except RuntimeError as error:
            return _faults(text, str(error), self.forms) or [Fault(0, f"no valid condition: {error}")]
        result = program.return_type().name()
        if result != "BOOL" and not (untyped and result == "DYN"):
            return [Fault(0, f"a condition is true or false, this is {_type_word(result)}")]
        if untyped:
            return []
        return Condition(text, program, find_references(text, self.forms), self.kinds)

    def _environment_with(self, untyped: Collection[str]) -> Any:
        if not untyped:
            return self._environment
        return self._cel.NewEnv(variables=self._types | dict.fromkeys(untyped, self._cel.Type.DYN))


def _value(
    reference: Reference,
    facts: Mapping[str, msgspec.Struct],
    params: Mapping[str, object],
    due: Mapping[str, Known[bool]],
) -> object:
    if reference.root == "params":
        return params[reference.words[0]]
    step, fact = reference.words
    if fact == "due":
        return due.get(step, Unknown(f"step {step} has not planned yet"))
    if step not in facts:
        return Unknown(f"step {step} was skipped, or could not look")
    return getattr(facts[step], fact)


def _as_cel(value: Any, kind: Kind) -> Any:
    """Return the plain value that CEL takes for `kind`, whatever subclass the fact has."""
    if kind is Kind.INTEGER and not -_LARGEST <= value < _LARGEST:
        return Unknown("a number beyond 64 bits")
    if kind is Kind.TEXTS:
        return [str(one) for one in value]
    return {Kind.INTEGER: int, Kind.DECIMAL: float, Kind.BOOLEAN: bool, Kind.TEXT: str}[kind](value)


def _run_time_reason(text: str) -> str:
    code, _, reason = text.partition(": ")
    return (reason or code).removesuffix(f" [{code}]")


def _faults(text: str, message: str, forms: Mapping[str, str]) -> list[Fault]:
    if "recursion limit" in message:
        return [Fault(0, "nested too deep")]
    lines = text.split("\n")
    faults: list[Fault] = []
    for line, column, what in _ERROR.findall(message):
        offset = sum(len(one) + 1 for one in lines[: int(line) - 1]) + int(column) - 1
        if what.startswith("Syntax error"):
            # What stands behind the first one is only its echo.
            return [Fault(offset, _syntax(what))]
        faults.append(_checked(text, offset, what.removesuffix(" [INVALID_ARGUMENT]"), forms))
    return faults


def _syntax(what: str) -> str:
    cause = re.sub(r" expecting .*| \[INVALID_ARGUMENT\]$", "", what.removeprefix("Syntax error: "))
    return "the condition ends too early" if "'<EOF>'" in cause else f"no valid condition: {cause}"


def _checked(text: str, offset: int, what: str, forms: Mapping[str, str]) -> Fault:
    if undeclared := _UNDECLARED.match(what):
        name = undeclared[1]
        head = name.rpartition(".")[0] or name
        begin = text.rfind(head, 0, offset + len(head))
        fact, param = forms.values()
        advice = f"facts are {fact}, parameters {param}, text stands in quotes"
        return Fault(offset if begin < 0 else begin, f"{name} is not known here: {advice}")
    if overload := _OVERLOAD.match(what):
        operator, operands = overload[1].strip("_@"), overload[2].strip("()")
        hint = ""
        if {"int", "double"} <= set(operands.split(", ")):
            hint = ": whole and decimal numbers do not mix, write 1.0 for 1, or double(...) around an integer"
        return Fault(offset, f"{operator!r} does not work on ({operands}){hint}")
    return Fault(offset, what)


def _type_word(name: str) -> str:
    return {"INT": "a number", "DOUBLE": "a number", "STRING": "text", "DYN": "of no fixed type"}.get(
        name, name.lower()
    )
