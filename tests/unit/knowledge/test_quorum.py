"""Quorum arithmetic over every size of cluster that exists, and over everything a voter can be."""

import pytest

from sretool.knowledge.quorum import count_votes, find_leader, lag_of
from sretool.model import Silence, Unknown
from tests.support.etcd_states import listed, member, silent, state, status


@pytest.mark.parametrize(
    ("voters", "dead", "quorum", "spare"),
    [
        (1, 0, 1, 0),
        (2, 0, 2, 0),
        (3, 0, 2, 1),
        (3, 1, 2, 0),
        (3, 2, 2, -1),
        (4, 0, 3, 1),
        (5, 0, 3, 2),
        (5, 1, 3, 1),
        (5, 2, 3, 0),
        (5, 3, 3, -1),
        (7, 3, 4, 0),
    ],
)
def test_spare_is_healthy_voters_less_quorum(voters, dead, quorum, spare):
    members = [member(number) for number in range(1, voters - dead + 1)]
    members += [silent(number) for number in range(voters - dead + 1, voters + 1)]
    votes = count_votes(state(*members))
    assert (quorum, spare, voters) == (votes.quorum, votes.spare, votes.voters)


@pytest.mark.parametrize(
    ("third", "part"),
    [
        (member(3), "healthy"),
        (member(3, leader=0), "returning"),
        (member(3, unserved="no answer in 1.2 s"), "returning"),
        (member(3, leader=3), "returning"),
        (silent(3, Silence.DEFRAGMENTING), "returning"),
        (silent(3, Silence.SLOW), "returning"),
        (silent(3, Silence.DEAD), "lost"),
        (silent(3, Silence.FROZEN), "lost"),
        (silent(3, Silence.UNREACHABLE), "lost"),
        (silent(3, Silence.TLS), "lost"),
    ],
)
def test_a_voter_is_healthy_when_it_names_the_leader_that_most_name(third, part):
    assert "n3" in getattr(count_votes(state(member(1), member(2), third)), part)


def test_a_learner_has_no_vote():
    votes = count_votes(state(member_list=listed(1, 2, 3, learners={3})))
    assert (votes.voters, votes.healthy) == (2, ("n1", "n2"))


def test_a_listed_voter_that_the_inventory_lacks_is_lost():
    votes = count_votes(state(member_list=listed(1, 2, 3, 4)))
    assert (votes.lost, votes.quorum) == (("n4",), 3)


def test_without_a_member_list_nobody_can_count():
    assert Unknown("no quorum") == count_votes(state(member_list=Unknown("no quorum")))


def test_of_two_leaders_named_equally_often_the_later_term_counts():
    old, new = member(1, leader=1, raft_term=2), member(2, leader=2, raft_term=3)
    assert count_votes(state(old, new)).leader == 2


@pytest.mark.parametrize(("leader", "expected"), [(1, "n1"), (3, "n3"), (0, None), (9, None)])
def test_the_leader_is_found_only_when_it_answers(leader, expected):
    found = find_leader(state(*(member(number, leader=leader) for number in (1, 2, 3))))
    assert expected == (found and found.name)


def test_lag_is_what_some_member_committed_and_this_one_has_not_applied():
    cluster = state(member(1, raft_index=5200), member(2), member(3))
    assert lag_of(cluster, status(2)) == 200
    assert lag_of(cluster, status(2, raft_applied_index=5300)) == 0
