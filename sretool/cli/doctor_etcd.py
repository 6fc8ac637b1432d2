"""Asks etcd's members what runbooks ask them, and compares what all of them tell with the cluster file."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from sretool.clients.etcd.reads import EtcdReads
from sretool.cluster import InventoryMember
from sretool.cluster.etcd_questions import PROBE_KEY
from sretool.errors import RemoteError
from sretool.knowledge.membership import CORRECT, clusters_told, differences, foreign_metrics, newest_list
from sretool.knowledge.words import show_bytes
from sretool.model import EndpointStatus, Known, MemberList, MetricsPage, Unknown, known_only
from sretool.model.checks import PathCheck, failed, passed, untried

_ADDRESSES = "correct `client` and `metrics` in the cluster file"
_WRITES = (
    "Defragment, Compact, Alarm, MoveLeader, Put and Snapshot are not tried: doctor changes nothing. "
    "Where etcd's own authentication is on, our user needs the role root for them"
)
_SILENT = Unknown("it does not answer")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a member of the cluster file told of itself and of the others."""

    name: str
    peer_url: str
    status: Known[EndpointStatus]
    member_list: Known[MemberList]


Answer: TypeAlias = tuple[Told, list[PathCheck]]


def silent(member: InventoryMember) -> Told:
    """Return what a member tells that was not reached."""
    return Told(name=member.name, peer_url=member.peer, status=_SILENT, member_list=_SILENT)


def ask_member(
    where: str,
    member: InventoryMember,
    reads: EtcdReads,
    *,
    timeout_seconds: float,
    path: str = "Status",
    then: str = "",
) -> Answer:
    """Return what `member` told, and which reads it served: Status by `path`, one key, and the member list.

    None of them needs a quorum: a member that has none refuses nothing. `then` is for a Status that did not come.
    """
    try:
        status = reads.status(timeout_seconds=timeout_seconds)
    except RemoteError as error:
        return silent(member), [failed(where, path, error.message, error.then or then)]
    checks = [passed(where, path, f"etcd {status.version}, {show_bytes(status.db_size_bytes)}")]
    try:
        reads.range_page(PROBE_KEY, limit=1, serializable=True, timeout_seconds=timeout_seconds)
        checks.append(passed(where, "Range", "a key can be read"))
    except RemoteError as error:
        checks.append(failed(where, "Range", error.message, error.then))
    listed: Known[MemberList] = Unknown("a learner answers no MemberList")
    if not status.is_learner:
        try:
            listed = reads.member_list(linearizable=False, timeout_seconds=timeout_seconds)
        except RemoteError as error:
            checks.append(failed(where, "MemberList", error.message, error.then))
    return Told(name=member.name, peer_url=member.peer, status=status, member_list=listed), checks


def check_metrics(
    where: str, path: str, member: InventoryMember, page: MetricsPage, status: Known[EndpointStatus]
) -> PathCheck:
    """Return whether these are the metrics of the member that answers as `member`."""
    url = member.metrics_url
    if not isinstance(status, Unknown):
        foreign = foreign_metrics(page, name=member.name, member_id=status.member_id, url=url)
        if foreign:
            return failed(where, path, foreign, _ADDRESSES)
    return passed(where, path, f"{len(page.samples)} metrics at {url}")


def compare_members(answers: Sequence[Told]) -> Iterator[PathCheck]:
    """Yield whether they are the members of one etcd, and those that it lists; then what was not tried."""
    statuses = known_only({one.name: one.status for one in answers})
    listed = newest_list(statuses, {one.name: one.member_list for one in answers})
    if told := clusters_told(statuses):
        yield failed(
            "etcd", "cluster id", f"the endpoints belong to different etcd clusters: {told}", _ADDRESSES
        )
    elif not isinstance(listed, Unknown):
        if found := differences(answers, listed.members):
            yield failed("etcd", "members", "; ".join(found), CORRECT)
        else:
            yield passed("etcd", "members", "those that etcd lists are those of the cluster file")
    if statuses:
        yield untried("etcd", "writes", _WRITES)
