"""What a control plane's leases say: which are renewed, whatever the clocks say, and which nobody renews."""

import math
from collections.abc import Iterator

import msgspec

from sretool.knowledge.control_plane import ControlPlane
from sretool.knowledge.guard_leases import (
    API_SERVER,
    API_SERVER_STALE_SECONDS,
    ELECTED,
    LEASES_PREFIX,
    STALE_SECONDS,
)
from sretool.knowledge.words import listed, show_seconds
from sretool.model import ControlPlaneLease, Evidence, Finding, Known, Severity, Unknown

_CLOCKS_DIFFER_SECONDS = 2.0  # a lease tells whole seconds, and reading it takes a moment


def date_by_window(
    before: Known[tuple[ControlPlaneLease, ...]],
    after: Known[tuple[ControlPlaneLease, ...]],
    *,
    seconds: float,
) -> Known[tuple[ControlPlaneLease, ...]]:
    """Return the leases of the second of two looks, `seconds` apart, with ages that both looks bear out.

    An age is told by two machines' clocks, a renewal between the looks by the revision alone.
    """
    if isinstance(before, Unknown) or isinstance(after, Unknown):
        return after
    seen = {one.name: one.mod_revision for one in before}
    renewed = {one.name for one in after if seen.get(one.name) != one.mod_revision}
    fast = any(
        one.name in renewed and seconds + _CLOCKS_DIFFER_SECONDS < _age(one) < math.inf for one in after
    )
    return tuple(_dated(one, one.name in renewed, seconds=seconds, fast=fast) for one in after)


def _dated(lease: ControlPlaneLease, renewed: bool, *, seconds: float, fast: bool) -> ControlPlaneLease:
    if renewed:
        age: Known[float] = min(_age(lease), seconds)
    elif isinstance(lease.age_seconds, Unknown):
        return lease
    elif fast or lease.age_seconds < seconds - _CLOCKS_DIFFER_SECONDS:
        age = Unknown("this machine's clock and those of the control plane differ")
    else:
        return lease
    return msgspec.structs.replace(lease, age_seconds=age)


def _age(lease: ControlPlaneLease) -> float:
    return math.inf if isinstance(lease.age_seconds, Unknown) else lease.age_seconds


def lease_findings(plane: ControlPlane) -> Iterator[Finding]:
    """Yield which leases nobody renews any more, and of which nobody can tell."""
    if isinstance(plane.leases, Unknown):
        sentence = f"the control plane's leases could not be read in etcd: {plane.leases.reason}"
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
        return
    if not plane.leases:
        sentence = (
            f"etcd holds no lease of the control plane below {LEASES_PREFIX.decode()}: "
            "whether its controllers are at work is not known"
        )
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
    for name in ELECTED if plane.leases else ():
        if name not in {one.name for one in plane.leases}:
            sentence = f"etcd holds no lease of {name}: whether it is at work is not known"
            yield Finding(severity=Severity.WARNING, subject=name, sentence=sentence, blind=True)
    if plane.undated:
        why = next(iter(plane.undated.values())).reason
        sentence = f"whether {listed(list(plane.undated))} is still renewed is not known: {why}"
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
    above = _above(plane)
    for lease in plane.stale:
        is_server = lease.name.startswith(API_SERVER)
        yield Finding(
            severity=Severity.WARNING if is_server or above else Severity.CRITICAL,
            verdict="api-server-gone" if is_server else "lease-stale",
            subject=lease.name,
            follows_from=above,
            sentence=f"{lease.name} does not renew its lease: "
            + ("that API server has ended or stands still" if is_server else "what it controls stands still"),
            evidence=(lease_row(lease),),
        )


def _above(plane: ControlPlane) -> str:
    """Return what stale leases follow from: without an API server, or with etcd full, nobody can renew."""
    if plane.nospace is True:
        return "nospace"
    states = ("" if plane.ready else server.state for server in plane.servers)
    causes = {
        "down": "api-down",
        "unreachable": "api-down",
        "silent": "api-silent",
        "not-ready": "api-not-ready",
    }
    return causes.get(next(states, ""), "")


def lease_row(lease: ControlPlaneLease) -> Evidence:
    """Return how old the lease is and who holds it."""
    limit = API_SERVER_STALE_SECONDS if lease.name.startswith(API_SERVER) else STALE_SECONDS
    age = (
        "age unknown" if isinstance(lease.age_seconds, Unknown) else f"{show_seconds(lease.age_seconds)} old"
    )
    return Evidence(
        what=f"lease {lease.name}",
        value=f"{age}, held by {lease.holder or 'nobody'}",
        threshold=f"{limit:g} s",
        source="etcd",
    )
