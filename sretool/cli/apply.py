"""`sretool apply`: a saved plan, and nothing beyond it."""

from pathlib import Path

import click

from sretool.cli.options import approval_options, require_path, run_output_option, verbose_option


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), callback=require_path)
@approval_options
@run_output_option
@verbose_option
def apply(file: Path, approve: str | None, accepted: tuple[str, ...], output: str, verbose: bool) -> int:
    """Carry out the plan in FILE, as far as it is still due, and nothing else.

    It looks again first. What was not in the plan, or has grown beyond it, stops the run before the first
    change. At a terminal it asks once; without one, the saved plan is the approval. A plan older than an hour
    is refused.
    """
    from sretool.cli.running import Asked, apply_plan

    return apply_plan(file, asked=Asked(approve=approve, accepted=accepted, output=output, verbose=verbose))
