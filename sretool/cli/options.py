"""Options that several commands share."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from sretool.knowledge.window import Window

APPROVAL_LEVELS = ("reversible", "disruptive", "irreversible")
ACCEPTABLE = ("margin", "leases", "disk-free")


def complete_clusters(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> "list[CompletionItem]":
    """Offer the names of the clusters that are known."""
    from sretool.cluster.inventory import clusters_folder, list_clusters

    return _offer(list_clusters(clusters_folder()), begun)


def complete_runbooks(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> "list[CompletionItem]":
    """Offer the names of the runbooks."""
    from sretool.runbook.library import list_runbooks

    return _offer((name for name, _ in list_runbooks()), begun)


def complete_playbooks(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> "list[CompletionItem]":
    """Offer the names of the playbooks."""
    from sretool.runbook.library import list_playbooks

    return _offer((name for name, _ in list_playbooks()), begun)


def complete_runs(_context: click.Context, _parameter: click.Parameter, begun: str) -> "list[CompletionItem]":
    """Offer the ids of the runs, newest first."""
    from sretool.engine.runs import runs_folder

    return _offer(sorted((path.name for path in runs_folder().glob("*/")), reverse=True), begun)


def _offer(names: Iterable[str], begun: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(begun)]


def require_path(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Return the path of a file; BadParameter for an empty one, which would be the current folder."""
    if path == Path():
        raise click.BadParameter("an empty path names no file")
    return path


cluster_option = click.option(
    "--cluster",
    default="",
    envvar="SRETOOL_CLUSTER",
    metavar="NAME",
    shell_complete=complete_clusters,
    help="The cluster; the only one that is known when there is but one. [env: SRETOOL_CLUSTER]",
)

params_option = click.option(
    "-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="Set a parameter."
)


def _window(_context: click.Context, _parameter: click.Parameter, text: str | None) -> "Window | None":
    from sretool.knowledge.window import Window

    try:
        return None if text is None else Window.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def window_option(*, default: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--window`, the maintenance window."""
    return click.option(
        "--window",
        default=default,
        show_default=True,
        metavar="WINDOW",
        callback=_window,
        help="Begin nothing outside of this maintenance window, such as 'Sun 02:00-04:00 UTC'.",
    )


output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, or one JSON document.",
)

run_output_option = click.option(
    "--output",
    type=click.Choice(["text", "json", "jsonl"]),
    default="text",
    show_default=True,
    help="Text for people, one JSON document at the end, or one JSON line an event.",
)

verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print beside every look and change the commands that do the same by hand.",
)


def approval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--approve` and `--accept`."""
    approve = click.option(
        "--approve",
        type=click.Choice(APPROVAL_LEVELS),
        help="Ask nothing: approve a plan up to this risk, do nothing at all above it.",
    )
    accept = click.option(
        "--accept",
        "accepted",
        type=click.Choice(ACCEPTABLE),
        multiple=True,
        help="Override this guard. Only at a terminal: the word is typed once more, and journaled.",
    )
    return approve(accept(command))


def given_params(params: tuple[str, ...]) -> dict[str, str]:
    """Return what was given with `-p`, by name; BadParameter for what is no KEY=VALUE, or there twice."""
    given: dict[str, str] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{param!r} is not KEY=VALUE", param_hint="-p")
        if key in given:
            raise click.BadParameter(f"{key} is given twice", param_hint="-p")
        given[key] = value
    return given
