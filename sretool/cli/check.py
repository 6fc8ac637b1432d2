"""`sretool check`: runbooks and playbooks validated offline, every problem of every file at once."""

from typing import TYPE_CHECKING

import click

from sretool.cli.options import complete_runbooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sretool.step import AnyStep


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=complete_runbooks)
def check(files: tuple[str, ...]) -> int:
    """Validate runbooks and playbooks without contacting anything: FILE is a path or a name.

    Every problem is printed as FILE:LINE:COLUMN, all of them at once. Exit 2 when there is any.
    """
    from sretool.cli import streams
    from sretool.errors import DocumentError, UsageError
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    problems: list[str] = []
    for file in files:
        try:
            _check(file, catalogue)
        except DocumentError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(error.message)
        else:
            streams.say([f"{file}: ok"])
    if problems:
        raise DocumentError(problems)
    return 0


def _check(file: str, catalogue: "Mapping[str, type[AnyStep]]") -> None:
    """Load one file: what has the key `playbook` is one, and so is what only a playbook is called."""
    import re

    from sretool.runbook.library import find_playbook, find_runbook, list_playbooks
    from sretool.runbook.loader import load_runbook
    from sretool.runbook.playbook_loader import load_playbook

    text, origin = (find_playbook if file in dict(list_playbooks()) else find_runbook)(file)
    if re.search(r"^playbook\s*:", text, re.MULTILINE):
        load_playbook(text, origin=origin, catalogue=catalogue, find=find_runbook)
    else:
        load_runbook(text, origin=origin, catalogue=catalogue)
