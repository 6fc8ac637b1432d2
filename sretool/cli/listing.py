"""The list that `runbook` and `playbook` print when they get no name."""

from collections.abc import Callable, Iterable

from sretool.cli import streams
from sretool.errors import DocumentError, UsageError
from sretool.report.documents import render_json, render_line
from sretool.report.format import table


def print_list(
    found: Iterable[tuple[str, str]],
    columns: tuple[str, str],
    describe: Callable[[str], tuple[str, str]],
    output: str,
) -> int:
    """Print what is `found`, names with their paths, under the titles `columns`; return the exit code.

    `describe` returns the second column and what it is for, by path. What cannot be loaded is listed too, with the
    command that says why.
    """
    rows = []
    for name, path in found:
        try:
            rows.append((name, *describe(path)))
        except DocumentError as error:
            problems = f"cannot be used: sretool check {path} ({len(error.problems)} problems)"
            rows.append((name, "?", problems))
        except UsageError as error:
            rows.append((name, "?", f"cannot be used: {error.message}"))
    if output == "text":
        titles = (*(one.upper() for one in columns), "FOR")
        streams.say(table(titles, rows, columns=streams.columns()))
    else:
        entries = [dict(zip((*columns, "summary"), row, strict=True)) for row in rows]
        streams.say([render_json(entries)] if output == "json" else [render_line(one) for one in entries])
    return 0
