"""What one look sees of every etcd member, and what follows from it for leader and quorum."""

from collections.abc import Mapping

import msgspec

from sretool.knowledge.membership import pair_members
from sretool.knowledge.quorum import STILL_VOTING, quorum_of
from sretool.knowledge.space import quota_share
from sretool.model import EndpointStatus, Evidence, Known, Member, MemberId, MemberList, Silence, Unknown

_GONE = frozenset({Silence.DEAD, Silence.FROZEN})


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the cluster's table. `why_silent` is empty when the member answers.

    `metrics_unread` is why its metrics could not be read, None when they were.
    `lag` is how many raft entries it had not applied, compared with the leader, at the best of the samples.
    """

    name: str
    endpoint: str
    peer_url: str
    status: Known[EndpointStatus]
    quota_bytes: Known[int]
    lag: Known[int]
    metrics_unread: Unknown | None = None
    silence: Silence | None = None
    why_silent: str = ""

    @property
    def quota_used(self) -> Known[float]:
        """Return the share of the quota that the database file takes."""
        if isinstance(self.status, Unknown):
            return self.status
        return quota_share(self.status.db_size_bytes, self.quota_bytes)


class ClusterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What one look saw of every member.

    `disagreement` is what the members still told differently after they were asked again.
    """

    rows: tuple[MemberRow, ...]
    member_list: Known[MemberList]
    disagreement: str
    is_kubernetes: Known[bool]
    compaction_stalled: Known[bool]
    compaction_evidence: tuple[Evidence, ...] = ()
    certificate_days: tuple[tuple[str, Known[float]], ...] = ()

    @property
    def statuses(self) -> tuple[EndpointStatus, ...]:
        return tuple(row.status for row in self.rows if not isinstance(row.status, Unknown))

    @property
    def leader(self) -> Known[str]:
        """Return the name of the leader that a majority of the answering members names."""
        named = [status.leader for status in self.statuses if status.leader]
        if not named:
            return Unknown("no member that answers knows a leader")
        leader = max(set(named), key=named.count)
        for row in self.rows:
            if not isinstance(row.status, Unknown) and row.status.member_id == leader:
                return row.name
        listed = () if isinstance(self.member_list, Unknown) else self.member_list.members
        return next((member.name for member in listed if member.id == leader), str(MemberId(leader)))

    @property
    def voters(self) -> int:
        """Return how many members vote: by the member list, else by the inventory."""
        if isinstance(self.member_list, Unknown):
            return len(self.rows)
        return sum(not member.is_learner for member in self.member_list.members)

    @property
    def quorum(self) -> int:
        return quorum_of(self.voters)

    @property
    def voters_alive(self) -> int:
        """Return how many voters answer, or take part in raft although they do not answer."""
        return sum(
            row.silence in STILL_VOTING if isinstance(row.status, Unknown) else not row.status.is_learner
            for row in self.rows
            if self._may_vote(row)
        )

    @property
    def is_quorum_lost(self) -> bool:
        """Tell whether no majority is left: too many are dead or frozen, or too few are seen and know a leader.

        A member that only we cannot reach may still vote: then its peers know a leader.
        """
        gone = sum(row.silence in _GONE for row in self.rows if self._may_vote(row))
        knows_leader = any(status.leader for status in self.statuses)
        return self.voters - gone < self.quorum or (self.voters_alive < self.quorum and not knows_leader)

    @property
    def strangers(self) -> frozenset[str]:
        """Return who is in the inventory and no member of this etcd; nobody without a current member list."""
        if isinstance(self.member_list, Unknown) or self.member_list.stale:
            return frozenset()
        listed = pair_members(self.rows, self.member_list.members)
        return frozenset(row.name for row in self.rows if row.name not in listed)

    def name_in_words(self, row: MemberRow) -> str:
        """Return the member's name, and etcd's own where that is what the inventory calls another one."""
        listed = () if isinstance(self.member_list, Unknown) else self.member_list.members
        own = next(
            (one.name for name, one in pair_members(self.rows, listed).items() if name == row.name), ""
        )
        is_of_another = own != row.name and own in {other.name for other in self.rows}
        return f"{row.name}, which is {own} in etcd," if is_of_another else row.name

    def _may_vote(self, row: MemberRow) -> bool:
        """Tell whether the row is a voter of the member list; a member that was removed is none."""
        if isinstance(self.member_list, Unknown):
            return True
        listed = pair_members(self.rows, self.member_list.members).get(row.name)
        return listed is not None and not listed.is_learner


def disagreement_of(statuses: Mapping[str, EndpointStatus]) -> str:
    """Return what the members tell differently of cluster, leader or term; empty when they agree."""
    for what, told in (
        ("cluster id", {name: f"{status.cluster_id:x}" for name, status in statuses.items()}),
        ("leader", {name: str(MemberId(status.leader)) for name, status in statuses.items()}),
        ("raft term", {name: str(status.raft_term) for name, status in statuses.items()}),
    ):
        if len(set(told.values())) > 1:
            return f"{what} " + ", ".join(f"{value} ({name})" for name, value in told.items())
    return ""


def lags_of(statuses: Mapping[str, EndpointStatus]) -> dict[str, int]:
    """Return how many raft entries each member has not applied yet, compared with the leader's index.

    Empty when no leader is among them.
    """
    committed = next((status.raft_index for status in statuses.values() if status.is_leader), None)
    if committed is None:
        return {}
    return {name: max(0, committed - status.raft_applied_index) for name, status in statuses.items()}


def unstarted_sentence(member: Member) -> str:
    """Return what is wrong with a member that has no name: it was added and has never started."""
    where = f"the member at {', '.join(member.peer_urls)}"
    return f"{where} was added and never started{'' if member.is_learner else '; it counts'}"
