"""What was found on each path to a cluster."""

from collections.abc import Sequence

import msgspec

from sretool.report.format import PAGE_COLUMNS, wrapped


class PathCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One path to one thing: `state` is ok, MISSING (it is not set up) or FAILED (it is, and does not work)."""

    where: str
    path: str
    state: str
    found: str
    then: str = ""


def render_checks(checks: Sequence[PathCheck], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return the checks, grouped by what was asked, what to do beside each that is not ok."""
    lines: list[str] = []
    where = ""
    for check in checks:
        if check.where != where:
            where = check.where
            lines.append(where)
        first = f"  {check.state:<8} {check.path:<13} "
        inner = " " * len(first)
        lines += wrapped(check.found, first=first, columns=columns)
        if check.then:
            lines += wrapped(check.then, first=f"{inner}do: ", rest=f"{inner}    ", columns=columns)
    return lines
