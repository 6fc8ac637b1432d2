"""The list of commands. Each one's module is imported when it is called, not before."""

from importlib import import_module
from typing import Any

import click

from sretool import __version__
from sretool.errors import EXIT_CODES

# One line about each command, which its module of the same name defines: `--help` imports none of them.
_COMMANDS = {
    "runbook": "Look, say what is wrong, plan, ask, apply, verify; list without NAME.",
    "playbook": "An incident, stage by stage: looks, gates, runbooks; list without NAME.",
    "apply": "Carry out a saved plan, and nothing else.",
    "resume": "Go on with a run that was interrupted or stopped.",
    "undo": "Take back what a run changed, where there is a way back.",
    "report": "One run's report, a ten-line hand-over first; list without ID.",
    "cluster": "Members at a glance, and what can be reached by which path.",
    "safe": "May etcd be touched now? One line, exit 0 or not.",
    "step": "The catalogue of steps; one step's manual.",
    "check": "Validate runbooks and playbooks offline: every problem with its place.",
    "schedule": "A CronJob or systemd timer that runs a runbook unattended.",
    "lab": "A real local etcd to rehearse on, and faults to break it with.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one line about each without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"sretool.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

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


# \b keeps click from joining the lines.
_EPILOG = "\b\nExit codes:\n" + "".join(f"  {code:<5}{meaning}\n" for code, meaning in EXIT_CODES.items())


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"max_content_width": 80})
@click.version_option(__version__, prog_name="sretool")
def app(**_: Any) -> None:
    """Runbooks for Kubernetes control planes and the etcd under them.

    Looks first, says what is wrong and what it would do about it, asks once, does that one change at a time,
    and looks again. Nothing is changed without an answer or --approve.
    """
