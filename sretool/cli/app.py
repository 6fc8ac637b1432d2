"""The list of commands. Each one's module is imported when it is called, not before."""

from importlib import import_module
from typing import Any

import click

from sretool import __version__

# name: (module, attribute, one line for the list). The line stands here so that `--help` imports nothing.
_COMMANDS = {
    "runbook": (
        "runbook",
        "runbook",
        "Look, say what is wrong, plan, ask, apply, verify; list without NAME.",
    ),
    "apply": ("apply", "apply", "Carry out a saved plan, and nothing else."),
    "resume": ("resume", "resume", "Go on with a run that was interrupted or stopped."),
    "undo": ("undo", "undo", "Take back what a run changed, where there is a way back."),
    "report": ("report", "report", "One run's report, a ten-line hand-over first; list without ID."),
    "cluster": ("cluster", "cluster", "Members at a glance, and what can be reached by which path."),
    "safe": ("safe", "safe", "May etcd be touched now? One line, exit 0 or not."),
    "step": ("step", "step", "The catalogue of steps; one step's manual."),
    "check": ("check", "check", "Validate runbooks offline: every problem with its place."),
    "lab": ("lab", "lab", "A real local etcd to rehearse on, and faults to break it with."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one line about each without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"sretool.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            ctx.fail(_unknown_command(name))
        return super().resolve_command(ctx, args)


def _unknown_command(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, _COMMANDS, n=1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


EXIT_CODES = """\b
Exit codes:
  0   nothing to do, or done and verified, and the cause is gone
  1   a bug in sretool
  2   usage, runbook or parameter error
  3   changes are due and none was made (plan only, or declined)
  4   refused before the first write
  5   stopped part-way: resume and undo are possible
  6   done, but not as planned when looked at afterwards
  7   outcome unknown: a write was sent and nobody can tell
  8   cannot tell: something that the answer needs could not be read
  9   unhealthy, and this runbook has no further remedy
  130, 143  interrupted, after a clean journal
"""


@click.group(cls=LazyGroup, epilog=EXIT_CODES, context_settings={"max_content_width": 80})
@click.version_option(__version__, prog_name="sretool")
def app(**_: Any) -> None:
    """Runbooks for Kubernetes control planes and the etcd under them.

    Looks first, says what is wrong and what it would do about it, asks once, does that one change at a time,
    and looks again. Nothing is changed without an answer or --approve.
    """
