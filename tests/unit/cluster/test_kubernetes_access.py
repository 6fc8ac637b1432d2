"""The `kubernetes` section of a cluster file: what it may hold, and where a mistake is."""

import pytest

from sretool.cluster.inventory import KubernetesAccess, parse_cluster
from sretool.errors import DocumentError

ETCD = """\
cluster: prod
etcd:
  members:
    - {name: m1, client: "http://10.0.0.1:2379", peer: "http://10.0.0.1:2380"}
"""


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", None),
        (
            "kubernetes: {kubeconfig: /etc/kubernetes/admin.conf}",
            KubernetesAccess(kubeconfig="/etc/kubernetes/admin.conf"),
        ),
        ("kubernetes: {kubeconfig: /k, context: prod}", KubernetesAccess(kubeconfig="/k", context="prod")),
        ("kubernetes: {kubeconfig: in-cluster}", KubernetesAccess(kubeconfig="in-cluster")),
    ],
)
def test_a_cluster_may_name_a_kubeconfig(section: str, expected: KubernetesAccess | None) -> None:
    assert expected == parse_cluster(ETCD + section, origin="prod.yaml").kubernetes


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("kubernetes: {}", "missing required field `kubeconfig`"),
        ("kubernetes: {kubeconfig: /k, contxt: prod}", "contxt"),
        (
            "kubernetes: {kubeconfig: .kube/config}",
            "prod.yaml:5:26: kubeconfig is neither an absolute path",
        ),
        ('kubernetes: {kubeconfig: ""}', "neither an absolute path nor `in-cluster`"),
        ("kubernetes: {kubeconfig: in-cluster, context: prod}", "in-cluster has no contexts"),
        ("kubernetes: /k", "Expected `object | null`"),
    ],
)
def test_a_mistake_in_it_is_named_with_its_place(section: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_cluster(ETCD + section, origin="prod.yaml")
    assert said in caught.value.message
    assert caught.value.message.startswith("prod.yaml:")
