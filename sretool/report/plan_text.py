"""What was found and what would be done about it, as the text that a person decides on."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sretool.engine.ending import Ending
from sretool.engine.plan import Plan, Skipped
from sretool.knowledge.words import show_seconds
from sretool.model import Change, Cost, Evidence, Finding, Held, Risk, Severity
from sretool.report.batches import batches, deed_of
from sretool.report.format import PAGE_COLUMNS, show_count, show_named_value, wrapped

RISK_WORDS = {
    Risk.READ: "read (a local file)",
    Risk.REVERSIBLE: "reversible",
    Risk.DISRUPTIVE: "disruptive",
    Risk.IRREVERSIBLE: "irreversible, no way back",
}


def render_plan(
    plan: Plan, *, columns: int = PAGE_COLUMNS, verbose: bool = False, title: str = "PLAN"
) -> list[str]:
    """Return the findings, the plan, what is held and what was skipped, as lines."""
    lines = render_findings(plan.findings, columns=columns, verbose=verbose)
    lines += ["", *render_changes(plan, columns=columns, verbose=verbose, title=title)]
    if plan.held:
        lines += ["", *render_held(plan.held, columns=columns)]
    if plan.skipped:
        lines += ["", *render_skipped(plan.skipped, columns=columns)]
    for note in plan.notes:
        lines += wrapped(note, first="note: ", columns=columns)
    return lines


def render_findings(
    findings: Sequence[Finding], *, columns: int, title: str = "FOUND", verbose: bool = False
) -> list[str]:
    """Return the findings, worst first, each with what follows from it and its evidence.

    Nobody has to be convinced of what is only worth a note: its evidence is there with `verbose`.
    """
    if not findings:
        return [f"{title}  nothing to report"]
    lines = [title]
    for finding in findings:
        with_evidence = verbose or finding.blind or finding.severity >= Severity.WARNING
        lines += _finding(finding, columns, with_evidence=with_evidence)
    return lines


def severity_word(finding: Finding) -> str:
    """Return the word that stands before a finding; a blind one says that nothing could be seen."""
    return "UNKNOWN" if finding.blind else finding.severity.name


def _finding(finding: Finding, columns: int, *, with_evidence: bool) -> list[str]:
    verdict = f" [{finding.verdict}]" if finding.verdict else ""
    first = f"  {severity_word(finding):<9} "
    inner = " " * len(first)
    lines = wrapped(f"{finding.sentence}{verdict}", first=first, columns=columns)
    for evidence in _evidence(finding.evidence) if with_evidence else ():
        lines += wrapped(evidence, first=f"{inner}- ", rest=f"{inner}  ", columns=columns)
    for follows in finding.follows:
        lines += wrapped(f"{follows}", first=f"{inner}so: ", rest=f"{inner}    ", columns=columns)
    if finding.refuted_by:
        lines += wrapped(f"it is not this if: {finding.refuted_by}", first=inner, columns=columns)
    return lines


def _evidence(evidence: Sequence[Evidence]) -> Iterator[str]:
    """Yield one sentence for all values that were read at one place and held against one threshold."""
    for (threshold, source), alike in itertools.groupby(
        evidence, key=lambda one: (one.threshold, one.source)
    ):
        values = ", ".join(f"{one.what} {one.value}" for one in alike)
        about = "; ".join(filter(None, (f"limit {threshold}" if threshold else "", source)))
        yield f"{values} ({about})" if about else values


def render_changes(plan: Plan, *, columns: int, verbose: bool, title: str = "PLAN") -> list[str]:
    """Return the numbered changes, with their whole cost first."""
    if not plan.changes:
        return [f"{title}  no change is due"]
    seconds = sum(change.cost.seconds for change in plan.changes)
    about = f"{show_count(len(plan.changes), 'change')} · {RISK_WORDS[plan.risk]}"
    about += f" · about {show_seconds(seconds)}" if seconds else ""
    # A run that is taken up again or undone may have changed something already.
    yet = " · nothing has been changed yet" if title == "PLAN" else ""
    lines = wrapped(f"{about}{yet}", first=f"{title}  ", columns=columns)
    lines += _stalls(plan, columns)
    number = 1
    for alike in batches(plan.changes):
        if len(alike) > _MOST_LISTED:
            lines += _many(number, alike, columns, verbose=verbose)
        else:
            for index, change in enumerate(alike, start=number):
                lines += _change(index, change, columns, verbose=verbose)
        number += len(alike)
    if any(change.uses == _SNAPSHOT for change in plan.changes):
        lines += wrapped(SNAPSHOT_WARNING, first="  note: ", columns=columns)
    return lines


_SNAPSHOT = "etcd.snapshot-save"
_DISARM_ALL = " alarm disarm"
_MOST_LISTED = 3  # more batches of one thing are shown as one
_MOST_COMMANDS = 20  # of an ending: what comes next is to be seen below them
SNAPSHOT_WARNING = (
    "the snapshot holds every object of the cluster, every Secret in clear; its file is 0600: guard it as one"
)


def stalls_of(plan: Plan) -> str:
    """Return the predicted stall of each member: `m1 1.2 s, m2 350 ms`; empty when none is predicted."""
    return ", ".join(f"{member} {show_seconds(seconds)}" for member, seconds in plan.stalls.items())


def _stalls(plan: Plan, columns: int) -> list[str]:
    stalls = stalls_of(plan)
    if not stalls:
        return []
    return wrapped(
        f"predicted stall: {stalls}; an API server stalls with the member it uses",
        first="  ",
        columns=columns,
    )


def names_of(changes: Sequence[Change]) -> list[str]:
    """Return the changes as `defragment m1`; many batches of one thing by the first and the last."""
    names: list[str] = []
    for alike in batches(changes):
        if len(alike) > _MOST_LISTED:
            names.append(deed_of(alike))
        else:
            names += [deed_of([one]) for one in alike]
    return names


def _many(number: int, alike: Sequence[Change], columns: int, *, verbose: bool) -> list[str]:
    first, last = alike[0], alike[-1]
    head = f"  {number:>2} to {number + len(alike) - 1} "
    inner = " " * len(head)
    lines = wrapped(f"{deed_of(alike)} ({first.risk})", first=head, columns=columns)
    other = f"; the last: {last.reason}" if last.reason != first.reason else ""
    lines += wrapped(f"because {first.reason}, each{other}", first=inner, columns=columns)
    whole = Cost(seconds=sum(one.cost.seconds for one in alike))
    for part in _terms(msgspec.structs.replace(first, cost=whole)):
        lines += wrapped(part, first=inner, columns=columns)
    if verbose:
        lines += render_commands(first.commands, indent=inner)
    return lines


def _change(number: int, change: Change, columns: int, *, verbose: bool) -> list[str]:
    first = f"  {number:>2} "
    inner = " " * len(first)
    head = f"{change.verb} {change.label}"
    risk = str(change.risk)
    if len(first) + len(head) + 2 + len(risk) <= columns:
        lines = [f"{first}{head:<{columns - len(first) - len(risk) - 2}}  {risk}"]
    else:
        lines = wrapped(f"{head} ({risk})", first=first, columns=columns)
    lines += wrapped(f"because {change.reason}", first=inner, columns=columns)
    for part in _terms(change):
        lines += wrapped(part, first=inner, columns=columns)
    if verbose:
        lines += render_commands(change.commands, indent=inner)
    return lines


def _terms(change: Change) -> Iterable[str]:
    cost = _cost(change.cost)
    if cost:
        yield cost
    if change.conditional:
        yield f"only if: {change.conditional}"
    if change.bounds:
        bounds = ", ".join(show_named_value(name, value) for name, value in change.bounds.items())
        yield f"within: {bounds}"


def _cost(cost: Cost) -> str:
    parts = [f"stalls {member} for {show_seconds(seconds)}" for member, seconds in cost.stalls.items()]
    if cost.seconds:
        parts.append(f"takes {show_seconds(cost.seconds)}")
    if cost.note:
        parts.append(cost.note)
    return "; ".join(parts)


def render_held(held: Sequence[Held], *, columns: int) -> list[str]:
    """Return what was due and is not planned, with why and with the commands: a refusal leaves work."""
    lines = ["NOT PLANNED"]
    for one in held:
        word = "refused" if one.refused else "unknown"
        first = f"  {word:<8} "
        inner = " " * len(first)
        lines += wrapped(f"{one.what}: {one.why}", first=first, columns=columns)
        if one.accept:
            lines += wrapped(f"a person may override it: --accept {one.accept}", first=inner, columns=columns)
        lines += render_commands(one.commands, indent=inner)
    return lines


def render_skipped(skipped: Sequence[Skipped], *, columns: int) -> list[str]:
    """Return the steps that were not looked at, the reason always beside them."""
    width = max(len(one.step) for one in skipped)
    lines = ["SKIPPED"]
    for one in skipped:
        lines += wrapped(one.reason, first=f"  {one.step:<{width}}  ", columns=columns)
    return lines


def render_commands(commands: Sequence[str], *, indent: str = "  ") -> list[str]:
    """Return commands to type by hand, never wrapped: a command must stay one line to be copied.

    One that follows itself, once for each of many batches, is there once and says how many times. What is no
    command is a comment.
    """
    lines = itertools.chain(*(command.splitlines() for command in commands))
    repeated = ((line, len(list(same))) for line, same in itertools.groupby(lines))
    return [f"{indent}{_typed(line, times)}" for line, times in repeated]


def _typed(line: str, times: int) -> str:
    if line.startswith("#"):
        return line
    # One disarms the alarms of all members: a plan has a change for each.
    is_enough_once = _DISARM_ALL in line
    return f"$ {line}" + (f"  # {times} times" if times > 1 and not is_enough_once else "")


def render_ending(ending: Ending, *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return how it ended: the sentence, the exit code, what was touched, what to do next."""
    lines = wrapped(f"{ending.sentence} (exit {ending.exit_code})", first="ENDED  ", columns=columns)
    if ending.touched not in ending.sentence:
        lines += wrapped(str(ending.touched), first="       ", columns=columns)
    if ending.findings:
        lines += ["       found until then:"]
    for finding in ending.findings:
        lines += _finding(finding, columns, with_evidence=True)
    if ending.commands:
        lines += ["       to go on by hand, in this order, looking before each:"]
        commands = render_commands(ending.commands, indent="       ")
        lines += commands[:_MOST_COMMANDS]
        if len(commands) > _MOST_COMMANDS:
            lines.append(
                f"       … and {len(commands) - _MOST_COMMANDS} more: sretool report ID shows them all"
            )
    return lines + render_next(ending.then, columns=columns)


def render_next(then: str, *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return what the person does next, one thing a line; nothing when there is nothing sensible to say."""
    lines: list[str] = []
    for one in filter(None, then.split("; ")):
        lines += wrapped(one, first="       " if lines else "next:  ", rest="         ", columns=columns)
    return lines
