"""The one JSON document of a command that an error ended before it had anything else to print."""

from collections.abc import Sequence

import click

from sretool.cli import streams
from sretool.errors import SretoolError


def say_ending(error: SretoolError, arguments: Sequence[str]) -> None:
    """Print how `error` ended the command line `arguments`, as a run's ending, if that asked for JSON."""
    output = find_output(arguments)
    if output not in ("json", "jsonl"):
        return
    from sretool.engine.ending import Ending
    from sretool.report.documents import render_ended, render_json

    ending = Ending(
        exit_code=error.exit_code,
        sentence=error.message,
        touched=error.touched.value,
        then=error.then,
    )
    document = (
        render_json({"ending": ending}) if output == "json" else render_ended(ending, run="", elapsed=0.0)
    )
    streams.say([document])


def find_output(arguments: Sequence[str]) -> str | None:
    """Return what `--output` says in `arguments`, read as far as they can be; None where no command has it."""
    from sretool.cli.app import app

    command: click.Command | None = app
    name: str | None = None
    words = list(arguments)
    context = click.Context(app, info_name="sretool", resilient_parsing=True)
    try:
        # Groups have no options of their own, so the next word names the command.
        while isinstance(command, click.Group) and words:
            name, command, words = command.resolve_command(context, words)
        if command is None:
            return None
        context = command.make_context(
            name, words, parent=context, resilient_parsing=True, ignore_unknown_options=True
        )
    except click.ClickException:
        return None
    output: str | None = context.params.get("output")
    return output
