"""Runaway Deployments: what makes one, and who holds its number of replicas."""

import msgspec

from sretool.knowledge.replica_owners import Source
from sretool.knowledge.rollouts import Rollout

RUNAWAY_GAP = 50  # ours: desired beyond ready by more than this …
RUNAWAY_SHARE = 0.3  # … and by this share of desired, with pods that no node can take


class Scaler(msgspec.Struct, frozen=True, kw_only=True):
    """What sets the number of replicas by itself: an HPA, or a KEDA ScaledObject.

    `paused` is the ScaledObject's annotation, empty when it has none. `kept_by` says who would put back what
    is written to it.
    """

    kind: str
    name: str
    uid: str
    resource_version: str
    minimum: int = 1
    maximum: int = 0
    desired: int = 0
    paused: str = ""
    owners: tuple[str, ...] = ()
    kept_by: Source | None = None


def runs_away(*, desired: int, ready: int, pending: int) -> bool:
    """Tell whether far more replicas are desired than can be ready, and the nodes have no room."""
    return is_far(desired=desired, ready=ready) and pending > 0


def is_far(*, desired: int, ready: int) -> bool:
    """Tell whether far more replicas are desired than are ready."""
    gap = desired - ready
    return gap > RUNAWAY_GAP and gap > RUNAWAY_SHARE * desired


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment as it was read. `placed` are its pods with a node, `pending` those without one, `lacking` what
    the nodes lack.

    Both may be fewer than desired: what a quota or a slow controller keeps from being created is no pod.
    `rollout` is the rolling update that is under way. `kept_by` says who would put the number of replicas back,
    none when the scalers or nobody would.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    desired: int
    ready: int
    pending: int
    placed: int = 0
    lacking: tuple[str, ...] = ()
    rollout: Rollout | None = None
    scalers: tuple[Scaler, ...] = ()
    owners: tuple[str, ...] = ()
    kept_by: Source | None = None

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def fitting(self) -> int:
        """Return how many replicas the nodes have taken, at least those that are ready, and at least 1."""
        return max(1, self.ready, min(self.placed, self.desired))

    @property
    def is_runaway(self) -> bool:
        return runs_away(desired=self.desired, ready=self.ready, pending=self.pending)

    def ready_lost(self, replicas: int) -> int:
        """Return how many of the ready replicas may go with a scale down to `replicas`."""
        kept = self.rollout.least_ready(replicas) if self.rollout else replicas
        return max(0, self.ready - kept)


class ScaleView(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan is made from: the Deployment that was named, else every one that runs away.

    `missing` says what could not be read about the named one, empty when everything was. `besides` are the titles
    of more Deployments that run away: their autoscalers and owners were not read.
    """

    workloads: tuple[Workload, ...]
    is_named: bool
    missing: str = ""
    besides: tuple[str, ...] = ()

    @property
    def has_runaway(self) -> bool:
        return bool(self.besides) or any(one.is_runaway for one in self.workloads)
