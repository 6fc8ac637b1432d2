"""`cluster discover` on a real API server whose kube-system holds pods as kubeadm mirrors them."""

import json
import stat

import pytest
import yaml

from sretool.cluster.inventory import parse_cluster
from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.http_stub import Reply, serve, write_kubeconfig
from tests.support.kubeadm_pods import api_server_pod, etcd_pod, mirror
from tests.support.sretool_cli import Sretool

pytestmark = pytest.mark.real
PODS = "/api/v1/namespaces/kube-system/pods"


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="real", members=3, kubernetes=True)) as lab:
        yield lab


@pytest.fixture(scope="module")
def api(lab):
    with lab.api() as api:
        yield api


@pytest.fixture
def sretool(base, tmp_path):
    """Return sretool with cluster files of its own."""
    sretool = Sretool(base, "")
    del sretool.environment["SRETOOL_CLUSTER"]
    sretool.environment["XDG_CONFIG_HOME"] = str(tmp_path)
    return sretool


@pytest.fixture
def discover(sretool, lab, tmp_path):
    """Run `cluster discover --name found` and return it with the cluster file's path."""

    def run(*arguments):
        kubeconfig = str(lab.directory / "kubeconfig")
        done = sretool("cluster", "discover", "--kubeconfig", kubeconfig, "--name", "found", *arguments)
        return done, tmp_path / "sretool" / "clusters" / "found.yaml"

    return run


@pytest.fixture
def control_plane(lab, api):
    """Mirror a control plane's pods with the lab's own flags, changed as told; remove them afterwards."""

    def start(**changed):
        servers = ",".join(member.client_url for member in members(lab))
        for number, member in enumerate(members(lab), start=1):
            node = f"cp{number}"
            flags = {
                "advertise-client-urls": member.client_url,
                "initial-advertise-peer-urls": member.peer_url,
                "listen-client-urls": f"https://127.0.0.1:2379,{member.client_url}",
                "listen-metrics-urls": member.metrics_url,
            }
            place = {
                "host_ip": "127.0.0.1",
                "certificates": str(lab.tls_dir),
                "data_dir": str(member.data_dir),
            }
            mirror(api, etcd_pod(member.name, node=node, flags=flags, **(place | changed)))
            files = {"etcd-cafile": lab.ca, "etcd-certfile": lab.cert, "etcd-keyfile": lab.key}
            given = {"etcd-servers": servers, "etcd-prefix": "/registry"} | files
            if changed:
                given = {"etcd-servers": servers}
            mirror(api, api_server_pod(node, flags=given))

    yield start
    api.delete(PODS, labelSelector="tier=control-plane", gracePeriodSeconds=0)


def members(lab):
    return lab.members


def test_what_is_found_reaches_every_member_without_a_word_by_hand(control_plane, discover, sretool, lab):
    control_plane()
    done, file = discover()
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    entry, written = (parse_cluster(one.read_text(), origin=str(one)) for one in (lab.cluster_file, file))
    assert written.etcd.members == entry.etcd.members
    assert (written.etcd.ca, written.etcd.cert) == (entry.etcd.ca, entry.etcd.cert)
    assert (written.kubernetes.context, written.kubernetes.etcd_prefix) == ("real", "/registry")
    status = sretool("cluster", "status")
    assert status.returncode == 0, status.stdout
    assert "m3" in status.stdout


def test_a_second_discovery_changes_nothing_and_another_file_is_replaced_only_by_force(
    control_plane, discover
):
    control_plane()
    discover()
    done, file = discover("--output", "json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "unchanged")
    changed = yaml.safe_load(file.read_text())
    changed["etcd"]["members"][1]["client"] = "https://192.0.2.7:2379"
    file.write_text(yaml.safe_dump(changed))
    before = file.read_bytes()
    refused, _ = discover()
    assert refused.returncode == 4
    assert "member m2, client: https://192.0.2.7:2379 -> https://" in " ".join(refused.stderr.split())
    assert file.read_bytes() == before
    forced, _ = discover("--force")
    assert forced.returncode == 0
    assert file.read_bytes() != before


def test_without_certificates_on_this_machine_members_are_reached_through_their_pods(control_plane, discover):
    control_plane(host_ip="192.0.2.11", certificates="/etc/kubernetes/pki/etcd", data_dir="/var/lib/etcd")
    done, file = discover()
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "apiserver-etcd-client.key: not on this machine" in said
    assert "copy the three files here" in said
    written = parse_cluster(file.read_text(), origin=str(file))
    assert [one.pod.name for one in written.etcd.members] == ["etcd-cp1", "etcd-cp2", "etcd-cp3"]
    assert {one.pod.endpoint for one in written.etcd.members} == {"https://127.0.0.1:2379"}


def test_while_the_api_server_is_away_what_was_found_before_stands_and_still_reaches_the_members(
    control_plane, discover, sretool, lab, tmp_path
):
    control_plane()
    _, file = discover()
    before = file.read_bytes()
    away = tmp_path / "away"
    server = f"https://{lab.components[0].address}:{lab.components[0].port}"
    away.write_text((lab.directory / "kubeconfig").read_text().replace(server, "https://127.0.0.1:1"))
    done, _ = discover("--kubeconfig", str(away))
    assert done.returncode == 8
    assert f"{file.name} is as it was" in " ".join(done.stderr.split())
    assert file.read_bytes() == before
    assert sretool("cluster", "status").returncode == 0


def test_without_a_member_nothing_is_written_and_it_is_said_how_to_go_on(discover, api):
    mirror(api, api_server_pod("cp1", flags={"etcd-servers": "https://10.0.0.5:2379"}))
    try:
        done, file = discover()
    finally:
        api.delete(PODS, labelSelector="tier=control-plane", gracePeriodSeconds=0)
    assert done.returncode == 8
    said = " ".join(done.stdout.split())
    assert "the API servers use https://10.0.0.5:2379" in said
    assert "write the cluster file by hand" in said
    assert not file.exists()


def test_who_may_not_list_pods_is_told_the_right_and_not_a_command_that_needs_the_file(sretool, tmp_path):
    denied = {"message": 'pods is forbidden: User "me" cannot list resource "pods" in API group ""'}
    with serve(lambda asked: Reply(status=403, body=denied)) as (_, url):
        done = sretool("cluster", "discover", "--kubeconfig", write_kubeconfig(tmp_path / "kubeconfig", url))
    assert done.returncode == 8
    said = " ".join(done.stderr.split())
    assert "create role sretool-discover --verb=list --resource=pods" in said
    assert "cluster doctor" not in said


def test_a_context_that_is_not_there_names_those_that_are(discover):
    done, _ = discover("--context", "reel")
    assert done.returncode == 2
    assert "has no context 'reel'" in done.stderr
    assert "real" in done.stderr
