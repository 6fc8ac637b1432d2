"""`sretool playbook`: an incident as stages of runbooks, with gates; without a name, the list of playbooks."""

import click

from sretool.cli.options import (
    approval_options,
    cluster_option,
    complete_playbooks,
    given_params,
    params_option,
    run_output_option,
    verbose_option,
)


@click.command()
@click.argument("name", default="", shell_complete=complete_playbooks)
@cluster_option
@params_option
@click.option("--plan", "plan_only", is_flag=True, help="Look and plan every stage; change nothing.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="ID",
    help="Run only this stage, after the looks: the way to run a stage that is held.",
)
@approval_options
@run_output_option
@verbose_option
def playbook(
    name: str,
    cluster: str,
    params: tuple[str, ...],
    plan_only: bool,
    stages: tuple[str, ...],
    approve: str | None,
    accepted: tuple[str, ...],
    output: str,
    verbose: bool,
) -> int:
    """Run the playbook NAME (or a path): look at everything, then stage by stage plan, ask, apply, verify.

    Each stage asks once for all of its runbooks. Without a terminal it looks and plans only, unless --approve
    says otherwise: a stage above that level is not begun. A stage that is held runs only with --stage. `sretool
    resume` goes on at the gate where it ended, `sretool report` gives the incident report as Markdown.
    Without NAME it lists the playbooks.
    """
    if not name:
        return _list(output)
    from sretool.cli.playing import run_playbook
    from sretool.cli.running import Asked

    asked = Asked(plan_only=plan_only, approve=approve, accepted=accepted, output=output, verbose=verbose)
    return run_playbook(name, cluster=cluster, given=given_params(params), stages=stages, asked=asked)


def _list(output: str) -> int:
    from sretool.cli.listing import print_list
    from sretool.runbook.library import list_playbooks
    from sretool.runbook.named import read_playbook
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()

    def describe(path: str) -> tuple[str, str]:
        book = read_playbook(path, catalogue)
        return ", ".join(stage.id for stage in book.stages), book.summary

    return print_list(list_playbooks(), ("playbook", "stages"), describe, output)
