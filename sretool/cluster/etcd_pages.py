"""The newest metrics page of each member that a look has seen, and when it was asked for."""

import math
from collections.abc import Iterable, Mapping

from sretool.model import MetricsPage

_SAME_MOMENT_SECONDS = 0.05


class EtcdPages:
    """Moments are seconds of the reader's `now`. Threads put pages side by side."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, MetricsPage]] = {}

    def put(self, name: str, page: MetricsPage, *, asked: float) -> None:
        self._newest[name] = (asked, page)

    def asked_after(self, moment: float, names: Iterable[str]) -> dict[str, MetricsPage]:
        """Return the pages of those `names` that were asked for after `moment`."""
        newest = {name: self._newest[name] for name in names if name in self._newest}
        return {name: page for name, (asked, page) in newest.items() if asked >= moment}

    def first_asked(self, names: Mapping[str, object]) -> float:
        """Return when the oldest of these pages was asked for; infinity when there is none."""
        return min((self._newest[name][0] for name in names if name in self._newest), default=math.inf)

    def take_over(self, earlier: "EtcdPages", *, now: float) -> None:
        """Begin with what an earlier look has read a moment ago."""
        moment = now - _SAME_MOMENT_SECONDS
        old = earlier._newest  # noqa: SLF001 - of its own kind
        self._newest = {name: one for name, one in old.items() if one[0] >= moment}
