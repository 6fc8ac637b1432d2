"""Quorum arithmetic: who votes, who is healthy, who may be lost."""

from collections import Counter

import msgspec

from sretool.model import EndpointStatus, EtcdState, Known, MemberState, Silence, Unknown

# They take part in raft although they do not answer: a defragmentation blocks reads and writes, not votes.
STILL_VOTING = frozenset({Silence.DEFRAGMENTING, Silence.SLOW})


# Raft entries behind the leader. Ours: openshift-etcd-suite proposes 10 to 50, etcd's docs «a few thousand».
LAG_NOTICED = 100  # what is further behind is waited for
LAG_CRITICAL = 5000  # beyond it, waiting is no plan


def quorum_of(voters: int) -> int:
    """Return how many of `voters` must agree for etcd to commit anything."""
    return voters // 2 + 1


class Votes(msgspec.Struct, frozen=True, kw_only=True):
    """The voters of a cluster by name. `leader` is the id that most of them name, 0 when none does.

    Healthy ones answer, also a read through consensus, and name that leader. Returning ones may be healthy in a
    moment: they vote without answering, name another leader or none, or are `unserved`: they answer only what
    needs nobody else. All others are lost, as far as anybody can tell.
    """

    voters: int
    leader: int
    healthy: tuple[str, ...] = ()
    returning: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()

    @property
    def quorum(self) -> int:
        return quorum_of(self.voters)

    @property
    def spare(self) -> int:
        """How many healthy voters can be lost before writes stop; negative when they have stopped."""
        return len(self.healthy) - self.quorum

    @property
    def spare_soon(self) -> int:
        """The same, when those that are returning are back."""
        return self.spare + len(self.returning)

    def __str__(self) -> str:
        text = f"{len(self.healthy)} of {self.voters} voters are healthy, quorum is {self.quorum}"
        if self.lost:
            text += f"; {', '.join(self.lost)} does not answer"
        if self.unserved:
            text += f"; {', '.join(self.unserved)} answers no read through consensus, so it may not vote"
        back = [name for name in self.returning if name not in self.unserved]
        return f"{text}; {', '.join(back)} may be back soon" if back else text


def count_votes(state: EtcdState) -> Known[Votes]:
    """Return who votes and who is healthy; unknown without a member list."""
    if isinstance(state.member_list, Unknown):
        return state.member_list
    by_id = {status.member_id: (member, status) for member, status in answering(state)}
    silent = {member.peer_url: member for member in state.members if isinstance(member.status, Unknown)}
    voters = [member for member in state.member_list.members if not member.is_learner]
    leader = _leader([by_id[voter.id][1] for voter in voters if voter.id in by_id])
    parts: dict[str, list[str]] = {"healthy": [], "returning": [], "lost": []}
    for voter in voters:
        seen, status = by_id.get(voter.id, (None, None))
        quiet = next((silent[url] for url in voter.peer_urls if url in silent), None)
        if seen and status:
            part = "healthy" if leader and status.leader == leader and not seen.unserved else "returning"
        else:
            part = "returning" if quiet and quiet.silence in STILL_VOTING else "lost"
        member = seen or quiet
        parts[part].append(member.name if member else voter.name or voter.peer_urls[0])
    return Votes(
        voters=len(voters),
        leader=leader,
        unserved=tuple(member.name for member, _ in answering(state) if member.unserved),
        **{part: tuple(names) for part, names in parts.items()},
    )


def answering(state: EtcdState) -> list[tuple[MemberState, EndpointStatus]]:
    """Return the members that answered Status, with what they answered."""
    return [(member, member.status) for member in state.members if not isinstance(member.status, Unknown)]


def find_leader(state: EtcdState) -> MemberState | None:
    """Return the member that most voters name as their leader, when it answers itself."""
    votes = count_votes(state)
    leader = 0 if isinstance(votes, Unknown) else votes.leader
    return next((member for member, status in answering(state) if status.member_id == leader != 0), None)


def lag_of(state: EtcdState, status: EndpointStatus) -> int:
    """Return how many raft entries a member has not applied that some member has committed."""
    committed = max(other.raft_index for _, other in answering(state))
    return max(0, committed - status.raft_applied_index)


def raft_term(state: EtcdState) -> Known[int]:
    """Return the highest raft term that a member knows; every election raises it."""
    terms = [status.raft_term for _, status in answering(state)]
    return max(terms) if terms else Unknown("no member answers")


def _leader(statuses: list[EndpointStatus]) -> int:
    named = Counter(status.leader for status in statuses if status.leader)
    terms = {status.leader: status.raft_term for status in sorted(statuses, key=lambda one: one.raft_term)}
    return max(named, key=lambda leader: (named[leader], terms[leader]), default=0)
