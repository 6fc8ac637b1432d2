"""A plan is for one cluster: by the ids of its etcd, and by Kubernetes' own where both could be read."""

import pytest

from sretool.engine.carry import require_same_cluster
from sretool.errors import WrongClusterError
from sretool.model import Identity


def identity(uid: str = "", *, cluster: str = "c0ffee", members: tuple[str, ...] = ("1a", "2b")) -> Identity:
    return Identity(etcd_cluster_id=cluster, etcd_member_ids=members, kubernetes_uid=uid)


@pytest.mark.parametrize(("now", "planned"), [("a", "a"), ("", "a"), ("a", ""), ("", "")])
def test_a_uid_that_could_not_be_read_compares_with_nothing(now: str, planned: str) -> None:
    require_same_cluster(identity(now), identity(planned), "prod")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (identity("b"), "the API server of prod is cluster b; this was made for a"),
        (identity("a", cluster="bad"), "prod is etcd cluster bad; this was made for c0ffee"),
        (identity("a", members=("1a",)), "prod now has the members 1a; this was made for 1a, 2b"),
    ],
)
def test_another_cluster_is_refused(now: Identity, said: str) -> None:
    with pytest.raises(WrongClusterError) as caught:
        require_same_cluster(now, identity("a"), "prod")
    assert said == caught.value.message
