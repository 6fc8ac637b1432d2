"""How values, times and foreign text stand on a page of plain text."""

import datetime
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sretool.knowledge.words import show_bytes, show_seconds

PAGE_COLUMNS = 80
NARROWEST_COLUMNS = 40


def show_percent(ratio: float) -> str:
    """Return a ratio as whole percent; what is not quite 100 % never reads as 100 %."""
    percent = ratio * 100
    return "99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def unended_sentence(run_id: str, *, pid: int, is_gone: bool) -> str:
    """Return how it is with a run that did not end; `is_gone` where its process is known to be there no more."""
    how = f"its process (pid {pid}) is gone" if is_gone else f"it is at work (pid {pid}), or was killed"
    return f"it did not end: {how}; sretool resume {run_id}"


def show_count(number: int, one: str, many: str = "") -> str:
    """Return `1 change`, `3 changes`, `41,207 keys`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def show_time(at: datetime.datetime) -> str:
    """Return a point in time to the second, in UTC and saying so."""
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def show_value(name: str, value: Any) -> str:
    """Return a measured value by what its name says of its unit (`..._seconds`, `..._bytes`, `..._ratio`)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        for suffix, show in (("seconds", show_seconds), ("bytes", show_bytes), ("ratio", show_percent)):
            if name.endswith(suffix):
                return show(value)
        return str(value) if isinstance(value, int) else f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show_value(name, one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(show_value(name, one) for one in value) or "none"
    return str(value)


def show_named_value(name: str, value: Any) -> str:
    """Return `reclaimed 1.2 GiB` of `reclaimed_bytes`: the name without its unit, which the value carries."""
    for suffix in ("_seconds", "_bytes", "_ratio"):
        name_only = name.removesuffix(suffix)
        if name_only != name:
            return f"{name_only.replace('_', ' ')} {show_value(name, value)}"
    return f"{name.replace('_', ' ')} {show_value(name, value)}"


def printable(text: str) -> str:
    """Return `text` with every control character but the line break made visible.

    Keys, names and messages come from the cluster: none of them may move the cursor of a terminal, or
    write a line that looks like ours.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def wrapped(text: str, *, first: str = "", rest: str | None = None, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return `text` as lines of at most `columns`, the first one after `first`, the others after `rest`.

    A word that is longer than a line (a path, a URL) stands alone and whole: it must stay possible to copy it.
    """
    text = " ".join(text.split())
    rest = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text,
        width=max(NARROWEST_COLUMNS, columns),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return aligned lines, two spaces between columns; the last column is wrapped to `columns`."""
    body = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [list(header), *body]) for index in range(len(header) - 1)]
    before = sum(widths) + 2 * len(widths)
    lines = []
    for row in [list(header), *body]:
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        if columns - before < 16:  # too narrow for a last column beside the others: it goes below
            lines.append(start.rstrip())
            lines.extend(wrapped(row[-1], first="    ", columns=columns) if row[-1] else [])
        else:
            lines.extend(wrapped(row[-1], first=start, columns=columns))
    return lines
