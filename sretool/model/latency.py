"""Values of a latency window: what each member did between two scrapes, and how its probes went."""

from collections.abc import Mapping

import msgspec

from sretool.model.etcd import EndpointStatus, Silence
from sretool.model.known import Known
from sretool.model.metrics import Histogram


class Probe(msgspec.Struct, frozen=True):
    """One read of one key: how long it took, and why it failed (empty: it did not)."""

    seconds: float
    failure: str = ""


class MemberWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Two scrapes of one member's metrics, subtracted.

    Metrics are named without `etcd_`; one that is absent was not on the page (another version of etcd, or
    not the role that has it). `increases` is by how much counters grew, `gauges` are the values at the end,
    `first_gauges` those at the begin. `rtt` is by the peer's member name.
    """

    seconds: float
    fsync: Known[Histogram]
    commit: Known[Histogram]
    apply: Known[Histogram]
    rtt: Mapping[str, Histogram] = {}
    increases: Mapping[str, float] = {}
    gauges: Mapping[str, float] = {}
    first_gauges: Mapping[str, float] = {}

    def rate(self, name: str) -> float:
        """Return the counter's growth per second, 0 when it is not on the page."""
        return self.increases.get(name, 0.0) / self.seconds

    def lasting(self, name: str) -> float:
        """Return the lower of the gauge's two values: what held at both ends of the window."""
        return min(self.gauges.get(name, 0.0), self.first_gauges.get(name, 0.0))


class MemberSample(msgspec.Struct, frozen=True, kw_only=True):
    """One member during a latency window; `silence` is set when it did not answer Status before it."""

    name: str
    status: Known[EndpointStatus]
    window: Known[MemberWindow]
    silence: Silence | None = None
    silence_reason: str = ""
    serializable: tuple[Probe, ...] = ()
    linearizable: tuple[Probe, ...] = ()


class LatencySample(msgspec.Struct, frozen=True, kw_only=True):
    """All members during one window, in inventory order; `cut_short` is why a window did not take its time.

    Nothing is to be told from such a one: what was left unanswered may be our own doing.
    """

    window_seconds: float
    cut_short: str = ""
    members: tuple[MemberSample, ...]


class MemberLatency(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one member is, as judged from a window: for choosing a member to lead, or to snapshot.

    Times are seconds; an unknown p99 had too few samples, which is not «good». `round_trips` are by the other
    member's name, mostly unknown: etcd observes one every 5 to 30 s. `disk_slow` and `network_slow` are judged
    by `knowledge.verdicts`.
    """

    name: str
    fsync_p99: Known[float]
    commit_p99: Known[float]
    round_trips: Mapping[str, Known[float]]
    disk_slow: Known[bool]
    network_slow: Known[bool]
