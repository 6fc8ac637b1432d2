"""The step etcd.endpoint-status: is this etcd healthy, member by member?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.compaction import read_compaction
from sretool.cluster.etcd_reader import EtcdReader
from sretool.knowledge import causes
from sretool.knowledge.health import ClusterHealth, MemberRow, disagreement_of, lags_of
from sretool.knowledge.health_findings import findings_of, health_summary, is_healthy
from sretool.knowledge.quorum import LAG_NOTICED, quorum_of
from sretool.knowledge.quota_size import quota_of
from sretool.model import Change, EndpointStatus, Known, Proposal, Risk, Unknown, known_only
from sretool.step import Step

N = TypeVar("N", int, float)

SAMPLES = 3  # a leader change takes about a second: what members tell differently after three is no accident
SAMPLE_SECONDS = 1.0


class EtcdEndpointStatusParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It has no parameters."""


class EtcdEndpointStatusFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What conditions may ask. Aggregates over members are unknown while a silent member could change them."""

    healthy: Known[bool]
    quorum_lost: bool
    members: int
    silent_members: tuple[str, ...]
    leader: Known[str]
    quota_used: Known[float]
    db_size_bytes: Known[int]
    compaction_stalled: Known[bool]
    health: ClusterHealth

    @property
    def rows(self) -> tuple[MemberRow, ...]:
        """Return one row for each member of the inventory, silent ones too, for the status table."""
        return self.health.rows


class EtcdEndpointStatus(Step[EtcdEndpointStatusParams, EtcdEndpointStatusFacts]):
    """Look at every etcd member at once and say what stands between the cluster and health.

    Reads Status of every member in the inventory (1.2 s, side by side), then TCP and metrics of those that
    stay silent: dead, frozen, defragmenting, unreachable, TLS. Reads the member list (stale and marked so
    without a quorum), quotas, the age of the last compaction and the certificates' dates. What members tell
    differently of leader or term, and a member's lag, is asked up to three times, a second apart.

    Changes nothing and refuses nothing. With no member answering it fails: there is nothing to tell.

    Sources: etcd-diagnosis' epStatus plugin (three samples), etcd's monitoring mixin and
    cluster-etcd-operator's alerts (65, 75, 85 and 95 % of the quota).
    """

    uses = "etcd.endpoint-status"
    risk = Risk.READ
    causes = causes.STATUS
    reads_by_hand = (
        "etcdctl --endpoints={endpoints} endpoint status -w table",
        "etcdctl --endpoints={endpoint} member list -w table",
    )

    def look(self, read: ClusterReader, params: EtcdEndpointStatusParams) -> EtcdEndpointStatusFacts:
        etcd = read.etcd
        read.require_an_answer()
        answering = etcd.answering()
        days: dict[str, Known[float]] = {}
        questions: list[Callable[[], Any]] = [
            etcd.metrics,
            etcd.silences,
            etcd.member_list,
            etcd.is_kubernetes,
            *(lambda name=name: days.update(_certificates(etcd, name)) for name in answering),
        ]
        etcd.side_by_side(questions, lambda ask: ask())
        health = _health(etcd, days)
        rows = [row for row in health.rows if row.name not in health.strangers]
        return EtcdEndpointStatusFacts(
            healthy=is_healthy(health),
            quorum_lost=health.is_quorum_lost,
            members=_member_count(health),
            silent_members=tuple(row.name for row in rows if isinstance(row.status, Unknown)),
            leader=health.leader,
            quota_used=_highest([row.quota_used for row in rows], "quota use"),
            db_size_bytes=_highest([_size(row) for row in rows], "size"),
            compaction_stalled=health.compaction_stalled,
            health=health,
        )

    def plan(
        self, params: EtcdEndpointStatusParams, facts: EtcdEndpointStatusFacts, earlier: Sequence[Change]
    ) -> Proposal:
        return Proposal(findings=findings_of(facts.health) or (health_summary(facts.health),))


def _health(etcd: EtcdReader, days: Mapping[str, Known[float]]) -> ClusterHealth:
    statuses, pages, silences = etcd.status(), etcd.metrics(), etcd.silences()
    disagreement, lags = _sampled(etcd, known_only(statuses))
    rows = tuple(
        MemberRow(
            name=member.name,
            endpoint=member.client,
            peer_url=member.peer,
            status=statuses[member.name],
            quota_bytes=quota_of(statuses[member.name], pages[member.name]),
            lag=lags.get(member.name, Unknown("it, or the leader, does not answer")),
            metrics_unread=page if isinstance(page := pages[member.name], Unknown) else None,
            silence=silences[member.name][0] if member.name in silences else None,
            why_silent=silences[member.name][1] if member.name in silences else "",
        )
        for member in etcd.members
    )
    compaction = read_compaction(etcd)
    return ClusterHealth(
        rows=rows,
        member_list=etcd.member_list(),
        disagreement=disagreement,
        is_kubernetes=etcd.is_kubernetes(),
        compaction_stalled=compaction.stalled,
        compaction_evidence=compaction.evidence,
        certificate_days=tuple(sorted(days.items())),
    )


def _sampled(etcd: EtcdReader, statuses: dict[str, EndpointStatus]) -> tuple[str, dict[str, int]]:
    """Return what the answering members still disagree on, and each one's lowest lag, after up to 3 samples."""
    lags = lags_of(statuses)
    for _ in range(SAMPLES - 1):
        enough_answer = len(statuses) >= quorum_of(len(etcd.members))
        leaderless = not any(status.leader for status in statuses.values())
        lagging = any(lag > LAG_NOTICED for lag in lags.values())
        if not (disagreement_of(statuses) or lagging or (leaderless and enough_answer)):
            break
        etcd.wait(SAMPLE_SECONDS)
        again = known_only(etcd.status_now(statuses))
        statuses = again or statuses
        fresh = lags_of(statuses)
        lags = {name: min(lag, lags.get(name, lag)) for name, lag in fresh.items()} or lags
    return disagreement_of(statuses), lags


def _certificates(etcd: EtcdReader, name: str) -> dict[str, Known[float]]:
    if not etcd.member(name).client.startswith("https"):
        return {}
    days = etcd.certificate_days(name)
    return {"our client": days.client, f"{name}'s": days.server}


def _member_count(health: ClusterHealth) -> int:
    return len(health.rows if isinstance(health.member_list, Unknown) else health.member_list.members)


def _size(row: MemberRow) -> Known[int]:
    return row.status if isinstance(row.status, Unknown) else row.status.db_size_bytes


def _highest(values: Sequence[Known[N]], what: str) -> Known[N]:
    known = [value for value in values if not isinstance(value, Unknown)]
    if len(known) == len(values) and known:
        return max(known)
    return Unknown(f"the {what} of {len(values) - len(known)} of {len(values)} members is unknown")
