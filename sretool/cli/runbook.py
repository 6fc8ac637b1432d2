"""`sretool runbook`: the main command; without a name, the list of runbooks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sretool.cli.options import (
    approval_options,
    cluster_option,
    complete_runbooks,
    given_params,
    params_option,
    require_path,
    run_output_option,
    verbose_option,
    window_option,
)

if TYPE_CHECKING:
    from sretool.knowledge.window import Window


@click.command()
@click.argument("name", default="", shell_complete=complete_runbooks)
@cluster_option
@params_option
@click.option("--plan", "plan_only", is_flag=True, help="Stop after the plan.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=require_path,
    help="Stop after the plan and keep it in this file, for `sretool apply`.",
)
@approval_options
@window_option()
@run_output_option
@verbose_option
def runbook(
    name: str,
    cluster: str,
    params: tuple[str, ...],
    plan_only: bool,
    save: Path | None,
    approve: str | None,
    accepted: tuple[str, ...],
    window: "Window | None",
    output: str,
    verbose: bool,
) -> int:
    """Run the runbook NAME (or a path): look, say what is wrong, plan, ask once, apply, verify.

    Without a terminal it looks and plans only, unless --approve says otherwise. Without NAME it lists the
    runbooks.
    """
    if not name:
        return _list(output)
    from sretool.cli.running import Asked, run_runbook

    asked = Asked(
        plan_only=plan_only or save is not None,
        save=save,
        approve=approve,
        accepted=accepted,
        window=window,
        output=output,
        verbose=verbose,
    )
    return run_runbook(name, cluster=cluster, given=given_params(params), asked=asked)


def _list(output: str) -> int:
    from sretool.cli.listing import print_list
    from sretool.runbook.library import list_runbooks
    from sretool.runbook.named import read_runbook
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()

    def describe(path: str) -> tuple[str, str]:
        book = read_runbook(path, catalogue)
        return str(max(catalogue[spec.uses].risk for spec in book.steps)), book.summary

    return print_list(list_runbooks(), ("runbook", "risk"), describe, output)
