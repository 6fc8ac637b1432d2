"""What the doctor makes of what all members told together; what one alone tells, real members are asked for."""

import pytest

from sretool.cli.doctor_etcd import Told, check_metrics, compare_members
from sretool.clients.metrics import parse_metrics
from sretool.cluster import InventoryMember
from sretool.model import Unknown
from tests.support.etcd_states import listed, status, url

SILENT = Unknown("it does not answer")


def told(number, **changed):
    usual = {
        "name": f"n{number}",
        "peer_url": url(number),
        "status": status(number),
        "member_list": listed(1, 2, 3),
    }
    return Told(**(usual | changed))


def found(*answers):
    return {check.path: (check.state, check.found) for check in compare_members(answers)}


def test_members_that_are_those_of_the_cluster_file_are_one_etcd():
    checks = found(told(1), told(2), told(3, status=SILENT, member_list=SILENT))
    assert {"members": "ok", "writes": "UNTRIED"} == {path: state for path, (state, _) in checks.items()}


def test_what_cannot_be_tried_is_told_with_the_role_that_it_takes():
    assert "Defragment" in found(told(1))["writes"][1]
    assert "role root" in found(told(1))["writes"][1]


def test_members_of_two_clusters_are_named_with_theirs_and_compared_with_neither_list():
    checks = found(told(1), told(2), told(3, status=status(3, cluster_id=0xD)))
    assert ("FAILED", "the endpoints belong to different etcd clusters: c (n1, n2), d (n3)") == checks[
        "cluster id"
    ]
    assert "members" not in checks


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            (told(1, status=status(2)), told(2, status=status(1)), told(3)),
            "the endpoint of n1 answers as member 2",
        ),
        (
            (told(1), told(2), told(3, peer_url="https://wrong:2380")),
            "the peer URL of n3 is https://wrong:2380",
        ),
        ((told(1), told(2)), "the cluster lists n3"),
    ],
)
def test_an_entry_that_differs_is_a_path_that_fails(answers, words):
    state, what = found(*answers)["members"]
    assert ("FAILED", True) == (state, words in what)


def test_the_list_of_the_member_that_has_applied_most_counts():
    cut_off = told(1, status=status(1, raft_applied_index=10), member_list=listed(1, 2))
    assert found(cut_off, told(2), told(3))["members"][0] == "ok"
    assert found(cut_off, told(2, member_list=SILENT), told(3, member_list=SILENT))["members"][0] == "FAILED"


def test_nothing_is_compared_when_nobody_answers():
    assert found(told(1, status=SILENT, member_list=SILENT)) == {}


@pytest.mark.parametrize(("answers_as", "state"), [(status(2), "ok"), (SILENT, "ok"), (status(1), "FAILED")])
def test_metrics_are_those_of_the_member_that_answers(answers_as, state):
    member = InventoryMember(
        name="n2", client="https://10.0.0.2:2379", peer=url(2), metrics="http://10.0.0.2:2381"
    )
    page = parse_metrics('etcd_server_id{server_id="2"} 1\n')
    check = check_metrics("n2", "metrics", member, page, answers_as)
    assert state == check.state
    assert bool(check.then) is (state == "FAILED")
