"""The cluster file against the member list: every contradiction is told once, and nothing else is."""

import pytest

from sretool.clients.metrics import parse_metrics
from sretool.knowledge.membership import (
    clusters_told,
    difference_sentence,
    differences,
    find_differences,
    foreign_metrics,
    pair_members,
)
from sretool.model import Unknown
from tests.support.etcd_states import listed, member, replaced, silent, state, status, url


def changed(list_of, number, **fields):
    """Return the list with member `number` changed."""
    return replaced(
        list_of,
        members=tuple(replaced(one, **fields) if one.id == number else one for one in list_of.members),
    )


def test_an_inventory_that_matches_has_no_differences():
    assert find_differences(state()) == ()
    assert difference_sentence(state().members, listed(1, 2, 3).members) == ""


@pytest.mark.parametrize(
    "cluster",
    [
        state(member_list=changed(listed(1, 2, 3), 1, peer_urls=("HTTPS://10.0.0.1:2380/",))),
        state(member_list=changed(listed(1, 2, 3), 1, peer_urls=("https://old:2380", url(1)))),
        state(member(1), member(2), silent(3)),
        state(member(1), member(2), silent(3), member_list=changed(listed(1, 2, 3), 3, name="")),
        state(
            *(replaced(member(number), name=f"x{number}") for number in (1, 2, 3)),
            member_list=listed(1, 2, 3),
        ),
    ],
    ids=[
        "written otherwise",
        "several peer URLs",
        "silent",
        "never started",
        "names that etcd does not know",
    ],
)
def test_what_is_no_contradiction_is_no_difference(cluster):
    assert () == find_differences(cluster)


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (
            state(member_list=listed(1, 2, 3, 4)),
            (f"the cluster lists n4 ({url(4)}), which the inventory lacks",),
        ),
        (
            state(member_list=listed(1, 2)),
            (f"the inventory has n3 ({url(3)}), which the cluster does not list",),
        ),
        (
            state(member(1), member(2), silent(3), member_list=listed(1, 2)),
            (f"the inventory has n3 ({url(3)}), which the cluster does not list",),
        ),
        (
            state(member(1), member(2, member_id=3), member(3, member_id=2)),
            (
                f"the endpoint of n2 answers as member 3 (n3), the cluster lists 2 (n2) under {url(2)}",
                f"the endpoint of n3 answers as member 2 (n2), the cluster lists 3 (n3) under {url(3)}",
            ),
        ),
        (
            state(member(1), member(2), member(3, member_id=0xABC)),
            (f"the endpoint of n3 answers as member abc, the cluster lists 3 (n3) under {url(3)}",),
        ),
        (
            state(member(1), member(2), member(3, peer_url="https://wrong:2380")),
            (f"the peer URL of n3 is https://wrong:2380 in the inventory, the cluster lists it under {url(3)}",),
        ),
        (
            state(member(1), member(2), replaced(silent(3), peer_url="https://wrong:2380")),
            (f"the peer URL of n3 is https://wrong:2380 in the inventory, the cluster lists it under {url(3)}",),
        ),
        (
            state(replaced(member(1), name="n2"), replaced(silent(2), name="n1"), member(3), member_list=listed(1, 2, 3)),
            (
                f"the inventory calls the member at {url(1)} n2, which in etcd is the name of the one at {url(2)}",
                f"the inventory calls the member at {url(2)} n1, which in etcd is the name of the one at {url(1)}",
            ),
        ),
    ],
    ids=[
        "lacking", "removed", "removed and silent", "swapped endpoints", "another cluster's endpoint",
        "wrong peer URL", "wrong peer URL of a silent one", "swapped names",
    ],
)  # fmt: skip
def test_every_contradiction_is_told_once(cluster, expected):
    assert expected == find_differences(cluster)
    assert expected == differences(cluster.members, cluster.member_list.members)


@pytest.mark.parametrize("members", [Unknown("timed out"), listed(1, 2, 3, stale=True)])
def test_without_a_current_list_the_inventory_cannot_be_compared(members):
    assert isinstance(find_differences(state(member_list=members)), Unknown)


def test_who_is_silent_at_an_address_that_etcd_does_not_know_is_the_one_with_its_name():
    moved = replaced(silent(3), peer_url="https://wrong:2380")
    paired = pair_members((member(1), member(2), moved), listed(1, 2, 3).members)
    assert {"n1": 1, "n2": 2, "n3": 3} == {name: one.id for name, one in paired.items()}
    assert "n3" not in pair_members((moved,), listed(1, 2).members)


def test_who_answers_for_which_cluster_is_told_when_there_are_two():
    one = {"n1": status(1), "n2": status(2)}
    assert clusters_told(one) == ""
    assert clusters_told(one | {"n3": status(3, cluster_id=0xD)}) == "c (n1, n2), d (n3)"


@pytest.mark.parametrize(
    ("page", "is_foreign"),
    [
        ('etcd_server_id{server_id="2"} 1\n', False),
        ('etcd_server_id{server_id="1f"} 1\n', True),
        ("up 1\n", False),
    ],
)
def test_metrics_are_another_members_when_they_say_so(page, is_foreign):
    told = foreign_metrics(parse_metrics(page), name="n2", member_id=2, url="http://m/metrics")
    assert is_foreign is bool(told)
    if is_foreign:
        assert "the metrics at http://m/metrics are those of member 1f, not of n2, which answers as 2" == told
