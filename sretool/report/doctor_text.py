"""What was found on each path to a cluster."""

from collections.abc import Sequence

from sretool.model.checks import PathCheck
from sretool.report.format import PAGE_COLUMNS, wrapped

_NARROWEST_PATH = 13


def render_checks(checks: Sequence[PathCheck], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return the checks, grouped by what was asked, what to do beside each that is not ok."""
    lines: list[str] = []
    where = ""
    path_columns = max((_NARROWEST_PATH, *(len(check.path) for check in checks)))
    for check in checks:
        if check.where != where:
            where = check.where
            lines.append(where)
        first = f"  {check.state:<8} {check.path:<{path_columns}} "
        inner = " " * len(first)
        lines += wrapped(check.found, first=first, columns=columns)
        if check.then:
            lines += wrapped(check.then, first=f"{inner}do: ", rest=f"{inner}    ", columns=columns)
    return lines
