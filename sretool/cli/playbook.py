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
    from sretool.cli import streams
    from sretool.cli.playing import read_playbook
    from sretool.errors import DocumentError, UsageError
    from sretool.report.documents import render_json
    from sretool.report.format import table
    from sretool.runbook.library import list_playbooks
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    rows: list[tuple[str, str, str]] = []
    for name, path in list_playbooks():
        try:
            book = read_playbook(path, catalogue)
        except DocumentError as error:
            problems = f"cannot be used: sretool check {path} ({len(error.problems)} problems)"
            rows.append((name, "?", problems))
        except UsageError as error:
            rows.append((name, "?", f"cannot be used: {error.message}"))
        else:
            rows.append((name, ", ".join(stage.id for stage in book.stages), book.summary))
    if output == "text":
        streams.say(table(("PLAYBOOK", "STAGES", "FOR"), rows, columns=streams.columns()))
    else:
        found = [{"playbook": name, "stages": stages, "summary": summary} for name, stages, summary in rows]
        streams.say([render_json(found)])
    return 0
