"""What can be chosen about a fault; a fault reads only what concerns it."""

from collections.abc import Callable
from typing import Literal

import msgspec


def _silent(_line: str) -> None:
    """Tell nobody."""


class FaultOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The measure of a fault; None stands for the fault's own default."""

    percent: float | None = None
    milliseconds: int | None = None
    size_bytes: int | None = None
    content: Literal["live", "garbage"] = "garbage"
    prefix: str = "/sretool-lab/fill/"
    count: int | None = None
    namespaces: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    minutes: int = 10
    progress: Callable[[str], None] = _silent
