"""What a person types where etcd is reached in its pods only."""

import pytest

from sretool.cluster.by_hand import commands_by_hand
from sretool.cluster.inventory import InventoryMember, PodAccess, parse_cluster
from sretool.errors import DocumentError


def member(name: str, *, pod: PodAccess | None) -> InventoryMember:
    return InventoryMember(name=name, client=f"https://{name}:2379", peer=f"https://{name}:2380", pod=pod)


POD = PodAccess(name="etcd-a", ca="/ca", cert="/crt", key="/key")
IN_POD = (
    "kubectl -n kube-system exec etcd-a -c etcd -- etcdctl --endpoints={} --cacert=/ca --cert=/crt --key=/key"
)


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        (
            "etcdctl --endpoints=https://a:2379 --command-timeout=60s defrag",
            IN_POD.format("https://127.0.0.1:2379") + " --command-timeout=60s defrag",
        ),
        (
            "etcdctl --endpoints=https://a:2379,https://b:2379 endpoint status -w table",
            IN_POD.format("https://a:2379,https://b:2379") + " endpoint status -w table",
        ),
        ("etcdctl --endpoints=https://b:2379 defrag", "etcdctl --endpoints=https://b:2379 defrag"),
        ("curl -s http://a:2381/metrics", "curl -s http://a:2381/metrics"),
        ("etcdutl snapshot status /a", "etcdutl snapshot status /a"),
    ],
)
def test_etcdctl_is_typed_inside_the_pod_of_its_member(command: str, typed: str) -> None:
    assert commands_by_hand([command], [member("a", pod=POD), member("b", pod=None)]) == (typed,)


def test_where_no_member_is_in_a_pod_a_command_stays_as_it_is() -> None:
    command = "etcdctl --endpoints=https://a:2379 defrag"
    assert commands_by_hand([command], [member("a", pod=None)]) == (command,)


def test_a_pod_needs_the_api_server_and_no_certificates_here() -> None:
    entry = """\
cluster: a
etcd:
  members:
    - {name: a, client: "https://a:2379", peer: "https://a:2380", pod: {name: etcd-a}}
"""
    with pytest.raises(
        DocumentError, match="`pod` is reached through the API server: `kubernetes` is missing"
    ):
        parse_cluster(entry, origin="a.yaml")
    found = parse_cluster(f"{entry}kubernetes: {{kubeconfig: /k}}\n", origin="a.yaml")
    assert found.etcd.members[0].pod == PodAccess(name="etcd-a")
