"""A rolling update that is under way: how many pods it may keep, and how few ready ones."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """`maxSurge` and `maxUnavailable` as the strategy has them: a number, or a percentage of the replicas.

    Source: pkg/controller/deployment/util, ResolveFenceposts.
    """

    surge: int | str
    unavailable: int | str

    def most_pods(self, replicas: int) -> int:
        """Return how many pods may stay for `replicas`, for as long as the new ones do not become ready."""
        return replicas + self._surge(replicas)

    def least_ready(self, replicas: int) -> int:
        """Return how many ready pods are kept of `replicas`."""
        unavailable = _share(self.unavailable, replicas)[0]
        if not unavailable and not self._surge(replicas):
            unavailable = 1  # it could not begin otherwise
        return max(0, replicas - unavailable)

    def _surge(self, replicas: int) -> int:
        return _share(self.surge, replicas)[1]


def find_rollout(live: Mapping[str, Any]) -> Rollout | None:
    """Return the rolling update of a Deployment in which old pods are left, None when there is none."""
    status, strategy = live.get("status") or {}, live["spec"].get("strategy") or {}
    has_old = int(status.get("updatedReplicas", 0)) < int(status.get("replicas", 0))
    if not has_old or strategy.get("type") == "Recreate":
        return None
    bounds = strategy.get("rollingUpdate") or {}
    return Rollout(surge=bounds.get("maxSurge", "25%"), unavailable=bounds.get("maxUnavailable", "25%"))


def _share(value: int | str, replicas: int) -> tuple[int, int]:
    """Return a number, or a percentage of `replicas`, rounded down and rounded up."""
    if isinstance(value, int):
        return value, value
    hundredths = int(value.removesuffix("%")) * replicas
    return hundredths // 100, -(-hundredths // 100)
