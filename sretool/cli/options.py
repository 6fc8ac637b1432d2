"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

APPROVAL_LEVELS = ("reversible", "disruptive", "irreversible")
ACCEPTABLE = ("margin", "disk-free")


def complete_clusters(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Offer the names of the clusters that are known."""
    from sretool.cluster.inventory import clusters_folder, list_clusters

    return [CompletionItem(name) for name in list_clusters(clusters_folder()) if name.startswith(begun)]


def complete_runbooks(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Offer the names of the runbooks."""
    from sretool.runbook.library import list_runbooks

    return [CompletionItem(name) for name, _ in list_runbooks() if name.startswith(begun)]


def complete_runs(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the ids of the runs, newest first."""
    from sretool.engine.runs import runs_folder

    names = sorted((path.name for path in runs_folder().glob("*/")), reverse=True)
    return [CompletionItem(name) for name in names if name.startswith(begun)]


cluster_option = click.option(
    "--cluster",
    default="",
    envvar="SRETOOL_CLUSTER",
    metavar="NAME",
    shell_complete=complete_clusters,
    help="The cluster; the only one that is known when there is but one. [env: SRETOOL_CLUSTER]",
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
