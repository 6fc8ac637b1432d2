"""How a run ended: exit code, one sentence, what was touched, what to do next."""

from collections.abc import Container, Iterable, Sequence

import msgspec

from sretool.engine.plan import Plan
from sretool.errors import Touched
from sretool.model import Finding, Held, Severity
from sretool.runbook.library import list_runbooks
from sretool.runbook.model import Runbook, VerdictNext

# When several hold, the first of these is the exit code.
PRECEDENCE = (1, 2, 7, 130, 143, 5, 6, 4, 8, 3, 9, 0)
UNKNOWN_WRITE = "what became of a write is not known yet"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run. `commands` lets a person go on by hand, with what to check before each."""

    exit_code: int
    sentence: str
    touched: str = Touched.NOTHING.value
    then: str = ""
    commands: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()  # why it could not go on, where a step saw that


def worst(codes: Iterable[int]) -> int:
    """Return the code that stands first in the order of precedence; 0 when there is none."""
    return min(codes, key=PRECEDENCE.index, default=0)


def code_of_look(findings: Sequence[Finding], held: Sequence[Held], *, due: bool) -> int:
    """Return the exit code that a look alone deserves."""
    codes = []
    if any(one.refused for one in held):
        codes.append(4)
        held = [one for one in held if not one.refused]
    # A critical cause (a lost quorum) explains why facts are missing: then «unhealthy» is the answer.
    explained = any(finding.is_cause and finding.severity is Severity.CRITICAL for finding in findings)
    if any(finding.blind for finding in findings) or (held and not explained):
        codes.append(8)
    if due:
        codes.append(3)
    if any(finding.is_cause for finding in findings):
        codes.append(9)
    return worst(codes)


def ending_of_look(plan: Plan, runbook: Runbook) -> Ending:
    """Return the ending of a run that only looked."""
    code = code_of_look(plan.findings, plan.held, due=bool(plan.changes))
    sentence = {
        0: "nothing to do",
        3: f"{_due(plan)}; nothing was changed",
        4: f"refused: {_first_held(plan.held, refused=True)}{_besides(plan)}",
        8: f"cannot tell: {_blind(plan)}{_besides(plan)}",
        9: f"unhealthy, and {plan.runbook} has no remedy: {_cause(plan)}",
    }[code]
    commands = tuple(command for held in plan.held for command in held.commands)
    accept = sorted({held.accept for held in plan.held if held.accept})
    then = f"a person may override with: {', '.join(f'--accept {word}' for word in accept)}" if accept else ""
    if code == 3:
        then = f"{plan.command}  (asks first)"
    then = "; ".join(part for part in (then, *next_steps(plan, runbook)) if part)
    return Ending(exit_code=code, sentence=sentence, then=then, commands=commands)


def ending_of_verify(after: Plan, runbook: Runbook, *, run_id: str, made: int) -> Ending:
    """Return the ending of a run that made its changes and looked again."""
    codes = [0]
    if after.writes:
        codes.append(6)
    if any(finding.blind for finding in after.findings):
        codes.append(8)
    if any(finding.is_cause for finding in after.findings) or after.held:
        codes.append(9)
    code = worst(codes)
    sentence = {
        0: f"done and verified: {made} changes, and the cause is gone",
        6: f"done, but {after.writes[0].verb} {after.writes[0].label} is due again" if after.writes else "",
        8: f"done, but it cannot be verified: {_blind(after)}",
        9: f"done as planned, and the cause remains: {_cause(after)}",
    }[code]
    commands = tuple(command for held in after.held for command in held.commands)
    return Ending(
        exit_code=code,
        sentence=sentence,
        touched=Touched.CHANGED,
        then="; ".join((f"sretool report {run_id}", *next_steps(after, runbook))),
        commands=commands,
    )


def next_steps(plan: Plan, runbook: Runbook, *, beside: Container[str] = ()) -> list[str]:
    """Return what helps to read what could not be read, and for each cause found what takes over: a runbook, where
    it is none of those `beside`, or a person.
    """
    to_see = [finding.then for finding in plan.findings if finding.blind and finding.then]
    causes = dict.fromkeys(finding.verdict for finding in plan.findings if finding.is_cause)
    there = dict(list_runbooks())
    known = [
        f"{cause}: {successor(after, there, runbook.by_hand.get(cause, ''))}"
        for cause, after in runbook.verdicts.items()
        if cause in causes and after.next not in beside
    ]
    told = [
        f"{cause}: {runbook.by_hand[cause]}"
        for cause in causes
        if cause in runbook.by_hand and cause not in runbook.verdicts
    ]
    return list(dict.fromkeys(to_see)) + known + told


def successor(after: VerdictNext, there: Container[str], by_hand: str) -> str:
    """Return what takes over: the command, or what is done `by_hand` while the runbook is not `there` (yet)."""
    about = f" ({after.about})" if after.about else ""
    if after.next in there:
        return f"sretool runbook {after.next}{about}"
    return f"{after.next}{about}, by hand: {by_hand or 'there is no runbook for it'}"


def declined(plan: Plan, how: str) -> Ending:
    """Return the ending of a run that was told No."""
    return Ending(exit_code=3, sentence=f"{how}: {_due(plan)} and none was made")


def _due(plan: Plan) -> str:
    return "1 change is due" if len(plan.changes) == 1 else f"{len(plan.changes)} changes are due"


def _besides(plan: Plan) -> str:
    """Return what is made all the same when it is approved."""
    return f"; besides, {_due(plan)}" if plan.changes else ""


def _first_held(held: Sequence[Held], *, refused: bool) -> str:
    return next((f"{one.what}: {one.why}" for one in held if one.refused is refused), "")


def _blind(plan: Plan) -> str:
    blind = next((finding.sentence for finding in plan.findings if finding.blind), "")
    return blind or _first_held(plan.held, refused=False)


def _cause(plan: Plan) -> str:
    cause = next((finding.sentence for finding in plan.findings if finding.is_cause), "")
    return cause or _first_held(plan.held, refused=True)
