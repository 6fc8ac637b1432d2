"""Every member's Status as fast as it can be had: why a member is silent is asked while it is still waited for."""

from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

import msgspec

from sretool.cluster.connections import FIRST_PASS_SECONDS, EtcdConnections
from sretool.cluster.etcd_questions import PROBE_KEY, why_unserved
from sretool.cluster.inventory import EtcdAccess, KubernetesAccess
from sretool.errors import RemoteError
from sretool.knowledge.membership import foreign_metrics, newest_list
from sretool.knowledge.quorum import quorum_of
from sretool.knowledge.quota_size import quota_of
from sretool.model import EndpointStatus, Known, MemberList, MetricsPage, Silence, Unknown, known_only

if TYPE_CHECKING:
    from sretool.cluster.kubernetes_connection import KubernetesConnection

# A healthy member answers in milliseconds; asking a slow one why it is silent costs it next to nothing.
_PATIENCE_SECONDS = 0.2
_SILENCE_SECONDS = FIRST_PASS_SECONDS - _PATIENCE_SECONDS


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, by member in inventory order; `silences` has the silent ones only."""

    statuses: Mapping[str, Known[EndpointStatus]]
    quotas: Mapping[str, Known[int]]  # bytes
    silences: Mapping[str, tuple[Silence, str]]
    member_list: Known[MemberList]
    unserved: Mapping[str, str]
    """Why a voter that answers Status answered no read through consensus, where it did not."""


def read_glance(access: EtcdAccess, kubernetes: KubernetesAccess | None = None) -> Glance:
    """Return Status and quota of every member, why the silent ones are silent, and the member list.

    Takes 1.2 s at most, however many members are silent; 7.2 s where members are reached inside their pods, which
    takes `kubernetes`. Metrics are read only where Status has no quota
    (before etcd 3.6.6).
    """
    api = _open_api(kubernetes) if kubernetes and any(member.pod for member in access.members) else None
    connections = EtcdConnections(access, api)
    try:
        served = {
            member.name: connections.pool.submit(_why_unserved, connections, member.name)
            for member in access.members
        }
        statuses, lists, silences = _read(connections, tuple(served))
        answered = known_only(statuses)
        # Without a quorum the silent ones alone explain why nobody is served.
        has_quorum = len(answered) >= quorum_of(len(statuses))
        voters = [name for name, one in answered.items() if has_quorum and not one.is_learner]
        return Glance(
            statuses=statuses,
            quotas=_quotas(
                connections, statuses, {member.name: member.metrics_url for member in access.members}
            ),
            silences=silences,
            member_list=newest_list(statuses, lists),
            unserved={name: why for name in voters if (why := served[name].result())},
        )
    finally:
        connections.close()
        if api is not None:
            api.close()


def _open_api(access: KubernetesAccess) -> "KubernetesConnection":
    from sretool.cluster.kubernetes_connection import KubernetesConnection

    return KubernetesConnection(access)


def _read(
    connections: EtcdConnections, names: tuple[str, ...]
) -> tuple[
    Mapping[str, Known[EndpointStatus]],
    Mapping[str, Known[MemberList]],
    Mapping[str, tuple[Silence, str]],
]:
    lists: dict[str, Known[MemberList]] = {}

    def ask(name: str) -> Known[EndpointStatus]:
        reads = connections.reads(name)
        try:
            status = reads.status(timeout_seconds=FIRST_PASS_SECONDS * connections.patience)
        except RemoteError as error:
            return Unknown(error.message)
        try:  # of this member alone: it must be had without a quorum too
            lists[name] = reads.member_list(
                linearizable=False, timeout_seconds=FIRST_PASS_SECONDS * connections.patience
            )
        except RemoteError as error:
            lists[name] = Unknown(error.message)
        return status

    asked = {name: connections.pool.submit(ask, name) for name in names}
    wait(asked.values(), timeout=_PATIENCE_SECONDS * connections.patience)
    why: dict[str, Future[tuple[Silence, str]]] = {
        name: connections.pool.submit(connections.find_silence, name, _SILENCE_SECONDS * connections.patience)
        for name, answer in asked.items()
        if not answer.done() or isinstance(answer.result(), Unknown)
    }
    statuses = {name: answer.result() for name, answer in asked.items()}
    silences = {name: why[name].result() for name, one in statuses.items() if isinstance(one, Unknown)}
    return statuses, lists, silences


def _why_unserved(connections: EtcdConnections, name: str) -> str:
    seconds = FIRST_PASS_SECONDS * connections.patience
    return why_unserved(
        lambda: connections.reads(name).range_page(PROBE_KEY, limit=1, timeout_seconds=seconds)
    )


def _quotas(
    connections: EtcdConnections, statuses: Mapping[str, Known[EndpointStatus]], urls: Mapping[str, str]
) -> Mapping[str, Known[int]]:
    def ask(name: str) -> Known[int]:
        status = statuses[name]
        quota = quota_of(status, Unknown("its metrics were not read"))
        if isinstance(status, Unknown) or not isinstance(quota, Unknown):
            return quota
        page: Known[MetricsPage]
        try:
            page = connections.scrape(name, timeout_seconds=FIRST_PASS_SECONDS * connections.patience)
            if foreign := foreign_metrics(page, name=name, member_id=status.member_id, url=urls[name]):
                page = Unknown(foreign)
        except RemoteError as error:
            page = Unknown(error.message)
        return quota_of(status, page)

    return dict(zip(statuses, connections.pool.map(ask, statuses), strict=True))
