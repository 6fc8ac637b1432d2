"""The one question of a run, at the plan's highest risk; and what answers it when nobody can be asked."""

from collections.abc import Callable, Sequence

from sretool.cli import tty
from sretool.engine.operate import Approval, Approver
from sretool.engine.plan import Plan
from sretool.errors import UsageError
from sretool.knowledge.words import show_seconds
from sretool.model import Risk
from sretool.report.format import show_count, wrapped
from sretool.report.plan_text import names_of, render_plan, stalls_of


def choose_approver(*, level: str | None, accepted: Sequence[str], plan_on_screen: bool) -> Approver | None:
    """Return who answers: `--approve`, the person at the terminal, or None: nobody, so only look.

    UsageError for `--accept` where no person can type it again.
    """
    interactive = level is None and tty.is_interactive()
    if accepted and not interactive:
        raise UsageError(
            f"--accept {' '.join(accepted)} overrides a guard: only a person at a terminal may",
            then="run it at a terminal without --approve",
        )
    if level is not None:
        return approve_up_to(Risk[level.upper()])
    return ask_person(accepted, plan_on_screen=plan_on_screen) if interactive else None


def approve_up_to(level: Risk) -> Approver:
    """Return an approver that grants plans up to `level`, and nothing at all above it."""

    def approve(plan: Plan, _lock: str) -> Approval:
        if plan.risk <= level:
            return Approval(granted=True, how=f"--approve {level}")
        return Approval(
            granted=False, how=f"--approve {level} is too low: this plan needs --approve {plan.risk}"
        )

    return approve


def approve_saved(path: str) -> Approver:
    """Return an approver for a plan that was reviewed as a file."""
    return lambda _plan, _lock: Approval(granted=True, how=f"the saved plan {path}")


def ask_person(accepted: Sequence[str], *, plan_on_screen: bool) -> Approver:
    """Return an approver that asks on the terminal. It shows the plan there when stdout does not."""

    def ask(plan: Plan, lock: str) -> Approval:
        if plan.risk is Risk.READ:
            return Approval(granted=True, how="nothing to approve: the cluster is only read")
        try:
            with tty.Terminal() as terminal:
                if not plan_on_screen:
                    terminal.show(render_plan(plan))
                terminal.show(render_question(plan, lock))
                return _answer(terminal.ask, plan, accepted)
        except OSError as error:
            return Approval(granted=False, how=f"the terminal cannot be asked ({error.strerror})")

    return ask


def render_question(plan: Plan, lock: str) -> list[str]:
    """Return what stands above the question: how much, how bad, how long, under which lock."""
    seconds = sum(change.cost.seconds for change in plan.changes)
    about = f", about {show_seconds(seconds)}" if seconds else ""
    lines = wrapped(f"{show_count(len(plan.changes), 'change')} on {plan.cluster}: {plan.risk}{about}.")
    if plan.risk is Risk.IRREVERSIBLE:
        lines += wrapped(f"There is no way back from: {_irreversible(plan)}.")
    if stalls := stalls_of(plan):
        lines += wrapped(f"Predicted stall: {stalls}.")
    return ["", *lines, *wrapped(f"Lock: {lock}.")]


def _irreversible(plan: Plan) -> str:
    return ", ".join(names_of([change for change in plan.changes if change.risk is Risk.IRREVERSIBLE]))


def _answer(ask: Callable[[str], str], plan: Plan, accepted: Sequence[str]) -> Approval:
    for word in accepted:
        if ask(f"The guard «{word}» is overridden. Type {word} to accept that: ") != word:
            return Approval(granted=False, how=f"declined: {word} was not accepted")
    typed = f", accepted {', '.join(accepted)}" if accepted else ""
    if plan.risk is Risk.REVERSIBLE:
        answer = ask("Make these changes? [y/N] ")
        if answer.lower() in {"y", "yes"}:
            return Approval(granted=True, how=f"answered {answer}{typed}")
        return Approval(granted=False, how="declined")
    answer = ask(f"Type the cluster's name, {plan.cluster}, to make them; anything else is No: ")
    if answer == plan.cluster:
        return Approval(granted=True, how=f"typed the cluster's name{typed}")
    if answer:
        return Approval(granted=False, how=f"declined: {answer!r} is not the cluster's name")
    return Approval(granted=False, how="declined")
