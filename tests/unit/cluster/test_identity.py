"""Which cluster answers: one, or it is told who answers for which."""

import pytest

from sretool.clock import SystemClock
from sretool.cluster import Cluster, ClusterEntry, InventoryMember
from sretool.cluster.inventory import EtcdAccess
from sretool.errors import RemoteError
from tests.support.etcd_states import listed, status, url


class Look:
    """A look at three members, all of which answer."""

    def __init__(self, **statuses):
        self.etcd = self
        self._statuses = {"n1": status(1), "n2": status(2), "n3": status(3)} | statuses

    def require_an_answer(self):
        pass

    def status(self):
        return self._statuses

    def member_list(self):
        return listed(1, 2, 3)


@pytest.fixture
def cluster():
    members = tuple(
        InventoryMember(name=f"n{number}", client=f"http://10.0.0.{number}:2379", peer=url(number))
        for number in (1, 2, 3)
    )
    with Cluster(ClusterEntry(cluster="prod", etcd=EtcdAccess(members=members)), SystemClock()) as cluster:
        yield cluster


def test_members_of_one_cluster_give_its_id_and_theirs(cluster):
    seen = cluster.identity(Look())
    assert ("c", ("1", "2", "3")) == (seen.etcd_cluster_id, seen.etcd_member_ids)


def test_members_of_two_clusters_are_named_with_theirs_and_what_to_do(cluster):
    with pytest.raises(RemoteError) as raised:
        cluster.identity(Look(n3=status(3, cluster_id=0xD)))
    assert (
        raised.value.message == "the endpoints of prod belong to different etcd clusters: c (n1, n2), d (n3)"
    )
    assert "in the cluster file" in raised.value.then
