"""The members of an etcd at a glance: one row each, silent ones too, and what is wrong in words."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.knowledge.health import disagreement_of, lags_of
from sretool.knowledge.quorum import LAG_NOTICED, quorum_of
from sretool.knowledge.space import QUOTA_WARNING, quota_share
from sretool.knowledge.words import show_bytes
from sretool.model import EndpointStatus, Known, Silence, Unknown, known_only
from sretool.report.format import PAGE_COLUMNS, show_percent, table, wrapped

# A member that is seen to be stopped is unhealthy; one that we cannot reach may be well.
_SEEN = frozenset({Silence.DEAD, Silence.FROZEN, Silence.DEFRAGMENTING, Silence.SLOW})
_STOPPED = frozenset({Silence.DEAD.value.upper(), Silence.FROZEN.value.upper()})


class MemberGlance(msgspec.Struct, frozen=True, kw_only=True):
    """One member at one moment. `problems` are clauses; `exit_code` is 0, 8 (cannot tell) or 9 (unhealthy)."""

    name: str
    endpoint: str
    role: str
    state: str
    status: Known[EndpointStatus]
    quota_used: Known[float]
    lag: Known[int]
    problems: tuple[str, ...]
    exit_code: int


def glance(
    endpoints: Mapping[str, str],
    statuses: Mapping[str, Known[EndpointStatus]],
    quotas: Mapping[str, Known[int]],
    silences: Mapping[str, tuple[Silence, str]],
) -> tuple[MemberGlance, ...]:
    """Return one row for each member in `endpoints`, in that order."""
    answered = known_only(statuses)
    lags = lags_of(answered)
    return tuple(
        _answering(name, endpoint, answered[name], quotas[name], lags.get(name))
        if name in answered
        else _silent(name, endpoint, *silences[name])
        for name, endpoint in endpoints.items()
    )


def cluster_problems(rows: Sequence[MemberGlance]) -> tuple[str, ...]:
    """Return what is wrong between the members: no leader, no quorum, disagreement."""
    answered = known_only({row.name: row.status for row in rows})
    if not answered:
        return (f"none of {len(rows)} members answers",)
    quorum = quorum_of(len(rows))
    leaderless = not any(status.leader for status in answered.values())
    stopped = sum(row.state in _STOPPED for row in rows)  # a survivor may name the old leader for a second
    if len(rows) - stopped < quorum or (leaderless and len(answered) < quorum):
        return (f"no quorum: {len(answered)} of {len(rows)} members answer, {quorum} are needed",)
    if leaderless:
        return ("no member that answers knows a leader",)
    disagreement = disagreement_of(answered)
    return (f"the members disagree: {disagreement}",) if disagreement else ()


def exit_code_of_glance(rows: Sequence[MemberGlance]) -> int:
    """Return 0 when all is well, 9 when something is wrong, 8 when something cannot be seen and none is wrong.

    A status is asked for to learn whether etcd is well: an answer «no» stands before «cannot tell».
    """
    codes = {row.exit_code for row in rows}
    answered = any(not isinstance(row.status, Unknown) for row in rows)
    if 9 in codes or (answered and cluster_problems(rows)):
        return 9
    return 8 if 8 in codes else 0


def render_members(cluster: str, rows: Sequence[MemberGlance], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return the table and, below it, every problem as a sentence."""
    header = ("MEMBER", "ROLE", "VERSION", "SIZE", "IN USE", "QUOTA", "LAG", "STATE")
    lines = table(header, [_cells(row) for row in rows], columns=columns)
    for problem in cluster_problems(rows):
        lines += wrapped(problem, first=f"{cluster}: ", rest="  ", columns=columns)
    for row in rows:
        for problem in row.problems:
            lines += wrapped(problem, first=f"{row.name}: ", rest="  ", columns=columns)
    return lines


def _answering(
    name: str, endpoint: str, status: EndpointStatus, quota: Known[int], lag: int | None
) -> MemberGlance:
    used = quota_share(status.db_size_bytes, quota)
    problems = [f"etcd says: {error.strip()}" for error in status.errors]
    if not status.leader:
        problems.append("it knows no leader")
    if lag is not None and lag > LAG_NOTICED:
        problems.append(f"it is {lag} raft entries behind the leader")
    if not isinstance(used, Unknown) and used >= QUOTA_WARNING:
        problems.append(f"its database takes {show_percent(used)} of the quota")
    if isinstance(quota, Unknown):
        problems.append(f"its quota is unknown: {quota.reason}")
    wrong = len(problems) > isinstance(quota, Unknown)
    role = "leader" if status.is_leader else "learner" if status.is_learner else "follower"
    return MemberGlance(
        name=name,
        endpoint=endpoint,
        role=role,
        state=_state_word(status, wrong=wrong),
        status=status,
        quota_used=used,
        lag=Unknown("the leader does not answer") if lag is None else lag,
        problems=tuple(problems),
        exit_code=9 if wrong else 8 if isinstance(quota, Unknown) else 0,
    )


def _state_word(status: EndpointStatus, *, wrong: bool) -> str:
    for word in ("NOSPACE", "CORRUPT"):
        if any(f"alarm:{word}" in error for error in status.errors):
            return word
    return "WARNING" if wrong else "ok"


def _silent(name: str, endpoint: str, silence: Silence, reason: str) -> MemberGlance:
    unknown = Unknown(reason)
    return MemberGlance(
        name=name,
        endpoint=endpoint,
        role="?",
        state=silence.value.upper(),
        status=unknown,
        quota_used=unknown,
        lag=unknown,
        problems=(f"{silence.value}: {reason}",),
        exit_code=9 if silence in _SEEN else 8,
    )


def _cells(row: MemberGlance) -> tuple[str, ...]:
    status = row.status
    if isinstance(status, Unknown):
        return (row.name, row.role, "?", "?", "?", "?", "?", row.state)
    return (
        row.name,
        row.role,
        status.version,
        show_bytes(status.db_size_bytes),
        show_bytes(status.db_size_in_use_bytes),
        "?" if isinstance(row.quota_used, Unknown) else show_percent(row.quota_used),
        "?" if isinstance(row.lag, Unknown) else str(row.lag),
        row.state,
    )
