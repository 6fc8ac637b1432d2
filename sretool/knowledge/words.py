"""How sizes, durations and lists are written for a person, in one place."""

from collections.abc import Sequence


def show_bytes(size: float) -> str:
    """Return a size in binary units: `512 B`, `64.0 MiB`, `1.2 GiB`."""
    if abs(size) < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if abs(size) < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def show_seconds(seconds: float) -> str:
    """Return a duration: `1.4 ms`, `350 ms`, `1.2 s`, `45 s`, `2 min 5 s`, `3 h 20 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def first_of(sentences: Sequence[str], most: int = 3) -> str:
    """Return the first `most` of them: `a; b; c; and 4 more`."""
    more = [f"and {len(sentences) - most} more"] if len(sentences) > most else []
    return "; ".join([*sentences[:most], *more])


def listed(words: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
