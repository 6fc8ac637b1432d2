"""The cluster file's members against those that etcd lists: the one comparison, which every look makes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sretool.model import (
    EndpointStatus,
    EtcdState,
    Known,
    Member,
    MemberId,
    MemberList,
    MetricsPage,
    Unknown,
    known_only,
)

CORRECT = "sretool cluster discover, or correct the members of the cluster file"


class KnownMember(Protocol):
    """A member of the inventory, and its Status where it answers."""

    @property
    def name(self) -> str: ...
    @property
    def peer_url(self) -> str: ...
    @property
    def status(self) -> Known[EndpointStatus]: ...


def pair_members(known: Sequence[KnownMember], members: Sequence[Member]) -> Mapping[str, Member]:
    """Return, by name in the inventory, which listed member each one is; who is none is not in it.

    It is the one under its peer URL, else the one as which it answers, else, while it is silent, the one with its
    name that no other is.
    """
    by_url = {_plain(url): member for member in members for url in member.peer_urls}
    by_id = {member.id: member for member in members}
    found: dict[str, Member] = {}
    for one in known:
        answers_as = None if isinstance(one.status, Unknown) else by_id.get(one.status.member_id)
        if member := by_url.get(_plain(one.peer_url), answers_as):
            found[one.name] = member
    taken = {member.id for member in found.values()}
    left = {member.name: member for member in members if member.name and member.id not in taken}
    for one in known:
        if one.name not in found and one.name in left and isinstance(one.status, Unknown):
            found[one.name] = left[one.name]
    return found


def differences(known: Sequence[KnownMember], members: Sequence[Member]) -> tuple[str, ...]:
    """Return how the inventory differs from the member list, one clause each.

    A name is compared too: one that is another member's is a contradiction. One that etcd does not know at all is
    somebody's own word for the member.
    """
    paired = pair_members(known, members)
    found = {member.id for member in paired.values()}
    clauses = [
        f"the cluster lists {member.name or 'a member'} ({', '.join(member.peer_urls)}), "
        "which the inventory lacks"
        for member in members
        if member.id not in found
    ]
    for one in known:
        if one.name in paired:
            clauses.append(_contradiction(one, paired[one.name], members))
        else:
            clauses.append(f"the inventory has {one.name} ({one.peer_url}), which the cluster does not list")
    return tuple(clause for clause in clauses if clause)


def difference_sentence(known: Sequence[KnownMember], members: Sequence[Member]) -> str:
    """Return the same as one sentence; empty when the inventory does not differ."""
    clauses = differences(known, members)
    return f"the inventory differs from the member list: {'; '.join(clauses)}" if clauses else ""


def find_differences(state: EtcdState) -> Known[tuple[str, ...]]:
    """Return how the inventory differs from the member list, one clause each; unknown without a current list."""
    if isinstance(state.member_list, Unknown):
        return state.member_list
    if state.member_list.stale:
        return Unknown("the member list comes from one member, without a quorum")
    return differences(state.members, state.member_list.members)


def newest_list(
    statuses: Mapping[str, Known[EndpointStatus]], lists: Mapping[str, Known[MemberList]]
) -> Known[MemberList]:
    """Return the list of the member that has applied most: one that was cut off holds an old one."""
    applied = {name: status.raft_applied_index for name, status in known_only(statuses).items()}
    listed = known_only(lists)
    if not listed:
        return next(iter(lists.values()), Unknown("no member answers"))
    return listed[max(listed, key=lambda name: applied[name])]


def clusters_told(statuses: Mapping[str, EndpointStatus]) -> str:
    """Return who answers for which etcd cluster, by cluster id; empty when it is the same for all."""
    named: dict[int, list[str]] = {}
    for name, status in statuses.items():
        named.setdefault(status.cluster_id, []).append(name)
    if len(named) < 2:
        return ""
    return ", ".join(f"{cluster:x} ({', '.join(names)})" for cluster, names in named.items())


def foreign_metrics(page: MetricsPage, *, name: str, member_id: int, url: str) -> str:
    """Return that the metrics at `url` are another member's; empty when they are its own, or do not tell."""
    served = page.label_values("etcd_server_id", "server_id")
    own = str(MemberId(member_id))
    if not served or served == (own,):
        return ""
    return f"the metrics at {url} are those of member {served[0]}, not of {name}, which answers as {own}"


def _contradiction(one: KnownMember, listed: Member, members: Sequence[Member]) -> str:
    """Return what the inventory says otherwise than etcd: its peer URL, where it answers, or its name."""
    if _plain(one.peer_url) not in {_plain(url) for url in listed.peer_urls}:
        own = f"the peer URL of {one.name} is {one.peer_url} in the inventory"
        return f"{own}, the cluster lists it under {', '.join(listed.peer_urls)}"
    if not isinstance(one.status, Unknown) and one.status.member_id != listed.id:
        answers = f"the endpoint of {one.name} answers as member {_shown(one.status.member_id, members)}"
        return f"{answers}, the cluster lists {_shown(listed.id, members)} under {one.peer_url}"
    other = next((member for member in members if member.name == one.name), listed)
    if one.name == listed.name or other is listed:
        return ""
    called = f"the inventory calls the member at {one.peer_url} {one.name}"
    return f"{called}, which in etcd is the name of the one at {', '.join(other.peer_urls)}"


def _shown(member_id: int, members: Sequence[Member]) -> str:
    name = next((member.name for member in members if member.id == member_id), "")
    return f"{MemberId(member_id)} ({name})" if name else str(MemberId(member_id))


def _plain(url: str) -> str:
    return url.rstrip("/").lower()
