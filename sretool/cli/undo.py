"""`sretool undo`: takes back what a run changed."""

import click

from sretool.cli.options import approval_options, complete_runs, run_output_option, verbose_option


@click.command()
@click.argument("run", shell_complete=complete_runs)
@approval_options
@run_output_option
@verbose_option
def undo(run: str, approve: str | None, accepted: tuple[str, ...], output: str, verbose: bool) -> int:
    """Take back what RUN changed, newest first, where there is a way back.

    Only what still is as the run left it: nobody's later edit is overwritten. Asks like any other run.
    """
    from sretool.cli.running import Asked, undo_run

    return undo_run(run, asked=Asked(approve=approve, accepted=accepted, output=output, verbose=verbose))
