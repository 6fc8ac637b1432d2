"""`sretool step`: the catalogue of steps, and one step's manual."""

import click
from click.shell_completion import CompletionItem

from sretool.cli.options import output_option


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from sretool.steps.catalogue import load_catalogue

    return [CompletionItem(uses) for uses in load_catalogue() if uses.startswith(begun)]


@click.command()
@click.argument("name", default="", shell_complete=_complete)
@output_option
def step(name: str, output: str) -> int:
    """Show the manual of the step NAME: what it does, its parameters, its facts. List the steps without NAME."""
    from sretool.cli import streams
    from sretool.documents import suggest
    from sretool.errors import UsageError
    from sretool.report.documents import render_json
    from sretool.report.step_text import manual_of, render_catalogue, render_manual
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    if name and name not in catalogue:
        raise UsageError(
            f"there is no step {name!r}{suggest(name, catalogue)}", then="`sretool step` lists them"
        )
    if output == "json":
        manuals = [manual_of(one) for one in catalogue.values()]
        streams.say([render_json(manual_of(catalogue[name]) if name else manuals)])
    elif name:
        streams.say(render_manual(manual_of(catalogue[name]), columns=streams.columns()))
    else:
        streams.say(render_catalogue(catalogue, columns=streams.columns()))
    return 0
