"""The members of an etcd at a glance: one row each, silent ones too, and what is wrong in words."""

from collections.abc import Sequence

import msgspec

from sretool.cluster.etcd_questions import alarms_of_errors
from sretool.cluster.glance import Glance
from sretool.cluster.inventory import InventoryMember
from sretool.knowledge.health import disagreement_of, lags_of, unstarted_sentence
from sretool.knowledge.membership import difference_sentence
from sretool.knowledge.quorum import LAG_NOTICED, quorum_of
from sretool.knowledge.space import QUOTA_WARNING, quota_share
from sretool.knowledge.words import show_bytes
from sretool.model import AlarmType, EndpointStatus, Known, MemberId, MemberList, Silence, Unknown, known_only
from sretool.report.format import PAGE_COLUMNS, show_percent, table, wrapped

# A member that is seen to be stopped is unhealthy; one that we cannot reach may be well.
_SEEN = frozenset({Silence.DEAD, Silence.FROZEN, Silence.DEFRAGMENTING, Silence.SLOW})
_STOPPED = frozenset({Silence.DEAD.value.upper(), Silence.FROZEN.value.upper()})


class MemberGlance(msgspec.Struct, frozen=True, kw_only=True):
    """One member at one moment. `problems` are clauses; `exit_code` is 0, 8 (cannot tell) or 9 (unhealthy)."""

    name: str
    endpoint: str
    peer_url: str
    role: str
    state: str
    status: Known[EndpointStatus]
    quota_used: Known[float]
    lag: Known[int]
    problems: tuple[str, ...]
    exit_code: int


class ClusterGlance(msgspec.Struct, frozen=True, kw_only=True):
    """Every member's row, and what is wrong between them. `exit_code` is 0, 8 (cannot tell) or 9 (unhealthy)."""

    cluster: str
    exit_code: int
    problems: tuple[str, ...]
    members: tuple[MemberGlance, ...]


def glance(cluster: str, known: Sequence[InventoryMember], seen: Glance) -> ClusterGlance:
    """Return what was seen of the members that are `known`, in that order.

    A status is asked for to learn whether etcd is well: an answer «no» stands before «cannot tell».
    """
    answered = known_only(seen.statuses)
    lags = lags_of(answered)
    rows = tuple(
        _answering(one, answered[one.name], seen, lags.get(one.name))
        if one.name in answered
        else _silent(one, *seen.silences[one.name])
        for one in known
    )
    wrong = _cluster_problems(rows, seen.member_list) if answered else ()
    blind = _blind(rows, seen.member_list)
    codes = {row.exit_code for row in rows} | ({9} if wrong else set()) | ({8} if blind else set())
    return ClusterGlance(
        cluster=cluster,
        exit_code=9 if 9 in codes else 8 if 8 in codes else 0,
        problems=(*wrong, *blind),
        members=rows,
    )


def render_members(seen: ClusterGlance, *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return the table and, below it, every problem as a sentence."""
    header = ("MEMBER", "ROLE", "VERSION", "SIZE", "IN USE", "QUOTA", "LAG", "STATE")
    lines = table(header, [_cells(row) for row in seen.members], columns=columns)
    for problem in seen.problems:
        lines += wrapped(problem, first=f"{seen.cluster}: ", rest="  ", columns=columns)
    for row in seen.members:
        for problem in row.problems:
            lines += wrapped(problem, first=f"{row.name}: ", rest="  ", columns=columns)
    return lines


def _cluster_problems(rows: Sequence[MemberGlance], listed: Known[MemberList]) -> tuple[str, ...]:
    """Return what is wrong between the members: no leader, no quorum, disagreement, another member list."""
    members = () if isinstance(listed, Unknown) else listed.members
    unstarted = [unstarted_sentence(member) for member in members if not member.name]
    difference = difference_sentence(rows, members) if members else ""
    return tuple(one for one in (_agreement_problem(rows), *unstarted, difference) if one)


def _agreement_problem(rows: Sequence[MemberGlance]) -> str:
    answered = known_only({row.name: row.status for row in rows})
    quorum = quorum_of(len(rows))
    leaderless = not any(status.leader for status in answered.values())
    stopped = sum(row.state in _STOPPED for row in rows)  # a survivor may name the old leader for a second
    if len(rows) - stopped < quorum or (leaderless and len(answered) < quorum):
        return f"no quorum: {len(answered)} of {len(rows)} members answer, {quorum} are needed"
    if leaderless:
        return "no member that answers knows a leader"
    disagreement = disagreement_of(answered)
    return f"the members disagree: {disagreement}" if disagreement else ""


def _blind(rows: Sequence[MemberGlance], listed: Known[MemberList]) -> tuple[str, ...]:
    if all(isinstance(row.status, Unknown) for row in rows):
        return (f"none of {len(rows)} members answers",)
    return (f"the member list could not be read: {listed.reason}",) if isinstance(listed, Unknown) else ()


def _answering(
    member: InventoryMember, status: EndpointStatus, seen: Glance, lag: int | None
) -> MemberGlance:
    quota = seen.quotas[member.name]
    used = quota_share(status.db_size_bytes, quota)
    problems = [f"etcd says: {_with_names(error, seen)}" for error in status.errors]
    if not status.leader:
        problems.append("it knows no leader")
    elif member.name in seen.unserved:
        problems.append(
            f"it answers for itself only: a read through consensus got none ({seen.unserved[member.name]}); "
            "the others may not hear it, or its disk hangs"
        )
    if lag is not None and lag > LAG_NOTICED:
        problems.append(f"it is {lag} raft entries behind the leader")
    if not isinstance(used, Unknown) and used >= QUOTA_WARNING:
        problems.append(f"its database takes {show_percent(used)} of the quota")
    if isinstance(quota, Unknown):
        problems.append(f"its quota is unknown: {quota.reason}")
    wrong = len(problems) > isinstance(quota, Unknown)
    role = "leader" if status.is_leader else "learner" if status.is_learner else "follower"
    return MemberGlance(
        name=member.name,
        endpoint=member.client,
        peer_url=member.peer,
        role=role,
        state=_state_word(status, wrong=wrong),
        status=status,
        quota_used=used,
        lag=Unknown("the leader does not answer") if lag is None else lag,
        problems=tuple(problems),
        exit_code=9 if wrong else 8 if isinstance(quota, Unknown) else 0,
    )


def _with_names(error: str, seen: Glance) -> str:
    """Return what etcd says, an alarm with its member's name: etcd gives the id alone, in decimal digits."""
    alarm = next(alarms_of_errors([error]), None)
    if alarm is None or alarm.type is AlarmType.UNRECOGNISED:
        return error.strip()
    listed = () if isinstance(seen.member_list, Unknown) else seen.member_list.members
    names = {member.id: member.name for member in listed}
    names |= {status.member_id: name for name, status in known_only(seen.statuses).items()}
    known = names.get(alarm.member_id) or f"member {MemberId(alarm.member_id)}"
    return f"alarm {alarm.type} of {known if alarm.member_id else 'a member that etcd could not name'}"


def _state_word(status: EndpointStatus, *, wrong: bool) -> str:
    for word in ("NOSPACE", "CORRUPT"):
        if any(f"alarm:{word}" in error for error in status.errors):
            return word
    return "WARNING" if wrong else "ok"


def _silent(member: InventoryMember, silence: Silence, reason: str) -> MemberGlance:
    unknown = Unknown(reason)
    return MemberGlance(
        name=member.name,
        endpoint=member.client,
        peer_url=member.peer,
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
