"""The control plane as values: its API servers, what presses on them, who holds its leases."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from sretool.knowledge.guard_leases import is_stale
from sretool.model import ControlPlaneLease, Known, MetricsPage, Unknown, increase, known_only

METRICS = (
    "process_start_time_seconds",
    "apiserver_current_inflight_requests",
    "apiserver_flowcontrol_nominal_limit_seats",
    "apiserver_flowcontrol_current_limit_seats",
    "apiserver_flowcontrol_current_executing_seats",
    "apiserver_flowcontrol_current_inqueue_requests",
    "apiserver_flowcontrol_rejected_requests_total",
    "apiserver_flowcontrol_dispatched_requests_total",
    "apiserver_longrunning_requests",
    "apiserver_storage_list_total",
    "apiserver_storage_list_fetched_objects_total",
    "apiserver_request_total",
)
"""All that is looked at of an API server's metrics page, which has two megabytes."""

_DROPPED = ("429", "503", "504")  # shed, not ready, timed out


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One priority level: seats it may fill, seats that are filled, requests that wait; `refused` in the window.

    `limit` is the current one: levels lend each other seats, up to half and more of their nominal ones.
    """

    name: str
    limit: float
    executing: float
    waiting: float
    refused: float


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Of one resource, or one class of clients (a flow schema): how much a second, or how much now."""

    name: str
    amount: float


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """What one API server carries. Rates are of the window; each tuple is sorted, most first."""

    seconds: float
    reading: float
    mutating: float
    levels: tuple[Level, ...]
    fetched: tuple[Use, ...]
    lists: tuple[Use, ...]
    watches: tuple[Use, ...]
    clients: tuple[Use, ...]
    failed: tuple[Use, ...]


Seen = Literal["ready", "not-ready", "down", "unreachable", "silent", "refused"]


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """One API server. `state`: `down` when nobody listens there, `unreachable` when no connection comes about,
    `silent` when it listens and does not answer in time, `refused` when it, or a proxy, says no.

    `failing` are the checks of its /readyz that fail. `get_seconds` is the median of a few small reads;
    `refuses_reads` when they were answered, with a no.
    """

    url: str
    state: Seen
    why: str = ""
    failing: tuple[str, ...] = ()
    get_seconds: Known[float]
    refuses_reads: bool = False
    pressure: Known[Pressure]
    certificate_days: Known[float]


class ControlPlane(msgspec.Struct, frozen=True, kw_only=True):
    """The whole control plane; the leases come from etcd, where they are read while no API server answers."""

    servers: tuple[ServerView, ...]
    unread_servers: str = ""
    leases: Known[tuple[ControlPlaneLease, ...]]
    client_certificate_days: Known[float]
    nospace: Known[bool]

    @property
    def stale(self) -> tuple[ControlPlaneLease, ...]:
        """The leases that nobody renews any more."""
        return () if isinstance(self.leases, Unknown) else tuple(one for one in self.leases if is_stale(one))

    @property
    def undated(self) -> dict[str, Unknown]:
        """The leases of which nobody can tell whether they are renewed, with the reason."""
        leases = () if isinstance(self.leases, Unknown) else self.leases
        return {one.name: one.age_seconds for one in leases if isinstance(one.age_seconds, Unknown)}

    @property
    def ready(self) -> tuple[ServerView, ...]:
        return tuple(server for server in self.servers if server.state == "ready")


def pressure_of(later: MetricsPage, earlier: MetricsPage, *, seconds: float) -> Pressure:
    """Return what two pages of one API server, `seconds` apart, say of its load."""

    def rates(name: str, label: str, **labels: str) -> tuple[Use, ...]:
        return _most(
            Use(name=value or "(none)", amount=grown / seconds)
            for value, grown in _increases(later, earlier, name, label, **labels).items()
        )

    return Pressure(
        seconds=seconds,
        reading=_sum(later, "apiserver_current_inflight_requests", request_kind="readOnly"),
        mutating=_sum(later, "apiserver_current_inflight_requests", request_kind="mutating"),
        levels=tuple(_levels(later, earlier)),
        fetched=rates("apiserver_storage_list_fetched_objects_total", "resource"),
        lists=rates("apiserver_storage_list_total", "resource"),
        watches=_most(
            Use(name=resource or "(none)", amount=_sum(later, _LONG, verb="WATCH", resource=resource))
            for resource in later.label_values(_LONG, "resource")
        ),
        clients=rates("apiserver_flowcontrol_dispatched_requests_total", "flow_schema"),
        failed=_most(
            use
            for code in _DROPPED
            for use in (
                Use(name=f"{one.name} ({code})", amount=one.amount)
                for one in rates("apiserver_request_total", "resource", code=code)
            )
        ),
    )


_LONG = "apiserver_longrunning_requests"


def _levels(later: MetricsPage, earlier: MetricsPage) -> Iterable[Level]:
    label, current = "priority_level", "apiserver_flowcontrol_current_limit_seats"
    refused = _increases(later, earlier, "apiserver_flowcontrol_rejected_requests_total", label)
    for name in later.label_values("apiserver_flowcontrol_nominal_limit_seats", label):
        yield Level(
            name=name,
            limit=_sum(
                later,
                current if current in later.samples else "apiserver_flowcontrol_nominal_limit_seats",
                priority_level=name,
            ),
            executing=_sum(later, "apiserver_flowcontrol_current_executing_seats", priority_level=name),
            waiting=_sum(later, "apiserver_flowcontrol_current_inqueue_requests", priority_level=name),
            refused=refused.get(name, 0.0),
        )


def _increases(
    later: MetricsPage, earlier: MetricsPage, name: str, label: str, **labels: str
) -> dict[str, float]:
    return known_only(
        {
            value: increase(later, earlier, name, **{label: value}, **labels)
            for value in later.label_values(name, label)
        }
    )


def _sum(page: MetricsPage, name: str, **labels: str) -> float:
    total = page.sum(name, **labels)
    return 0.0 if isinstance(total, Unknown) else total


def _most(uses: Iterable[Use]) -> tuple[Use, ...]:
    return tuple(sorted((use for use in uses if use.amount > 0), key=lambda use: (-use.amount, use.name)))
