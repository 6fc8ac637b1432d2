"""`sretool check`: runbooks and playbooks validated offline, every problem of every file at once."""

import click

from sretool.cli.options import complete_runbooks


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=complete_runbooks)
def check(files: tuple[str, ...]) -> int:
    """Validate runbooks and playbooks without contacting anything: FILE is a path or a name.

    Every problem is printed as FILE:LINE:COLUMN, all of them at once. Exit 2 when there is any.
    """
    from sretool.cli import streams
    from sretool.errors import DocumentError, UsageError
    from sretool.runbook.named import read_either
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    problems: list[str] = []
    for file in files:
        try:
            read_either(file, catalogue)
        except DocumentError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(error.message)
        else:
            streams.say([f"{file}: ok"])
    if problems:
        raise DocumentError(problems)
    return 0
