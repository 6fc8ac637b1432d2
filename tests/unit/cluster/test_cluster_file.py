"""Cluster files that are written: read back they are the same, and what changes is told in words."""

import stat

import msgspec
import pytest

from sretool.cluster.cluster_file import differences, render_cluster, write_cluster
from sretool.cluster.inventory import (
    ClusterEntry,
    EtcdAccess,
    InventoryMember,
    KubernetesAccess,
    PodAccess,
    parse_cluster,
)
from sretool.errors import StateError

PLAIN = InventoryMember(name="a", client="https://192.0.2.1:2379", peer="https://192.0.2.1:2380")
BY_POD = InventoryMember(
    name="007", client="https://b:2379", peer="https://b:2380", pod=PodAccess(name="etcd-b")
)
ACCESS = KubernetesAccess(kubeconfig="/srv/kube/my config: #1", context="me@prod", etcd_prefix="/registry")
ENTRY = ClusterEntry(
    cluster="prod", etcd=EtcdAccess(members=(PLAIN, BY_POD), ca="/pki/ca.crt"), kubernetes=ACCESS
)


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        msgspec.structs.replace(ENTRY, kubernetes=None, etcd=EtcdAccess(members=(PLAIN,), ca="/ünï/c.crt")),
        msgspec.structs.replace(ENTRY, cluster="1.5"),
        msgspec.structs.replace(ENTRY, cluster="no"),
    ],
    ids=["both ways", "umlauts", "a number", "a YAML 1.1 word"],
)
def test_what_is_written_is_read_back_as_it_was(entry):
    text = render_cluster(entry, first_line="Written by a test.")
    assert parse_cluster(text, origin=f"{entry.cluster}.yaml") == entry
    assert text.startswith("# Written by a test.\n")


def test_only_what_differs_is_told_and_members_go_by_their_names():
    moved = msgspec.structs.replace(PLAIN, client="https://192.0.2.9:2379")
    etcd = EtcdAccess(members=(moved,), ca="/pki/ca.crt")
    told = differences(ENTRY, msgspec.structs.replace(ENTRY, etcd=etcd))
    assert told[0] == "member a, client: https://192.0.2.1:2379 -> https://192.0.2.9:2379"
    assert told[1].startswith("member 007: ")
    assert told[1].endswith(" -> nothing")
    assert len(told) == 2
    assert differences(ENTRY, ENTRY) == []


def test_the_file_is_its_owners_alone_and_whole(tmp_path):
    path = tmp_path / "sretool" / "clusters" / "prod.yaml"
    write_cluster(path, "first\n")
    write_cluster(path, "second\n")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("second\n", 0o600)
    assert [one.name for one in path.parent.iterdir()] == ["prod.yaml"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "sretool").write_text("a file")
    with pytest.raises(StateError, match=r"prod\.yaml cannot be written"):
        write_cluster(tmp_path / "sretool" / "prod.yaml", "text\n")
