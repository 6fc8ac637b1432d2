"""`sretool resume`: goes on with a run that did not come to its end."""

import click

from sretool.cli.options import approval_options, complete_runs, run_output_option, verbose_option


@click.command()
@click.argument("run", default=None, shell_complete=complete_runs)
@approval_options
@run_output_option
@verbose_option
def resume(
    run: str | None, approve: str | None, accepted: tuple[str, ...], output: str, verbose: bool
) -> int:
    """Go on with RUN (its id or the begin of it), or with the newest one that did not end.

    Looks first what became of the change that was under way, then at the cluster, plans what is left and asks
    again. No effect is repeated.
    """
    from sretool.cli.running import Asked, resume_run

    return resume_run(run, asked=Asked(approve=approve, accepted=accepted, output=output, verbose=verbose))
