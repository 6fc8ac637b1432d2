"""Latency samples as values: a healthy three-member etcd under load, and what a fault makes of it."""

import msgspec

from sretool.model import EndpointStatus, Histogram, Silence, Unknown
from sretool.model.latency import LatencySample, MemberSample, MemberWindow, Probe

INFINITY = float("inf")
BOUNDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, INFINITY)
FAST = (0.002,) * 20
SLOW = (0.3,) * 8
IDS = {"m1": 0xA, "m2": 0xB, "m3": 0xC}


def histogram(*seconds: float) -> Histogram:
    """Return the histogram of these observations."""
    counts = tuple(float(sum(1 for one in seconds if one <= bound)) for bound in BOUNDS)
    return Histogram(bounds=BOUNDS, counts=counts, sum=sum(seconds))


def status(name: str, *, leader: str = "m1", in_use: int = 1 << 20, size: int = 2 << 20) -> EndpointStatus:
    return EndpointStatus(
        cluster_id=1,
        member_id=IDS[name],
        revision=10,
        raft_term=2,
        version="3.6.16",
        db_size_bytes=size,
        db_size_in_use_bytes=in_use,
        leader=IDS.get(leader, 0),
        raft_index=10,
        raft_applied_index=10,
    )


def window(**changes) -> MemberWindow:
    """Return a healthy member's window of 10 s, with `changes`."""
    healthy = MemberWindow(
        seconds=10.0,
        fsync=histogram(*[0.0015] * 100),
        commit=histogram(*[0.003] * 50),
        apply=histogram(*[0.0005] * 100),
        increases={"server_leader_changes_seen_total": 0.0, "process_cpu_seconds_total": 0.5},
        gauges={"server_has_leader": 1.0, "go_sched_gomaxprocs_threads": 2.0},
        first_gauges={"server_has_leader": 1.0},
    )
    for field in ("increases", "gauges", "first_gauges"):
        if field in changes:
            changes[field] = getattr(healthy, field) | changes[field]
    return msgspec.structs.replace(healthy, **changes)


def member(name: str, *, leader: str = "m1", last_leader: str = "", **changes) -> MemberSample:
    """Return a healthy member; what is not a field of `MemberSample` changes its window."""
    own = {key: changes.pop(key) for key in tuple(changes) if key in MemberSample.__struct_fields__}
    leads = float(name == (last_leader or leader))
    changes["gauges"] = {"server_is_leader": leads} | changes.get("gauges", {})
    healthy = {
        "status": status(name, leader=leader),
        "window": window(**changes),
        "serializable": probes(*FAST),
        "linearizable": probes(*FAST),
    }
    return MemberSample(name=name, **(healthy | own))


def silent(name: str, silence: Silence) -> MemberSample:
    return MemberSample(
        name=name,
        status=Unknown("no answer in 1.2 s"),
        window=Unknown("not asked for"),
        silence=silence,
        silence_reason="TCP and metrics say so",
    )


def probes(*seconds: float) -> tuple[Probe, ...]:
    """Return probes; a negative number is one that failed after so long."""
    return tuple(Probe(abs(one), "no answer" if one < 0 else "") for one in seconds)


def sample(*members: MemberSample) -> LatencySample:
    """Return a sample of `members`, the rest of three healthy ones beside them."""
    given = {one.name: one for one in members}
    return LatencySample(window_seconds=10.0, members=tuple(given.get(name) or member(name) for name in IDS))
