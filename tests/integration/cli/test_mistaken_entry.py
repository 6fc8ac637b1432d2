"""A cluster file that is wrong about etcd: every look says so, and how, whatever else is well."""

import json

import pytest
import yaml

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.lab import LabSpec
from sretool.steps.etcd_endpoint_status import EtcdEndpointStatus
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("mistaken")]


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="right")) as lab:
        yield lab


@pytest.fixture(scope="module")
def other(base):
    with running_lab(base, LabSpec(name="other", members=1)) as other:
        yield other


@pytest.fixture
def mistaken(base, lab):
    """Return sretool with an entry whose members `change` has altered."""

    def write(change):
        entry = yaml.safe_load(lab.cluster_file.read_text()) | {"cluster": "wrong"}
        change(entry["etcd"]["members"])
        (lab.cluster_file.parent / "wrong.yaml").write_text(yaml.safe_dump(entry))
        return Sretool(base, "wrong")

    yield write
    (lab.cluster_file.parent / "wrong.yaml").unlink(missing_ok=True)


def swap(field):
    def change(members):
        members[0][field], members[1][field] = members[1][field], members[0][field]

    return change


def wrong_peer(members):
    members[1]["peer"] = "https://127.0.0.1:9"


def invented(members):
    dead = {"client": "https://127.0.0.1:9", "peer": "https://127.0.0.1:10", "metrics": "http://127.0.0.1:9"}
    members.append({"name": "m9"} | dead)


def one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap("client"), "the endpoint of m1 answers as member"),
        (swap("peer"), "the endpoint of m1 answers as member"),
        (wrong_peer, "the peer URL of m2 is https://127.0.0.1:9 in the inventory"),
        (swap("name"), "which in etcd is the name of the one at"),
        (invented, "the inventory has m9 (https://127.0.0.1:10), which the cluster does not list"),
    ],
    ids=["clients", "peers", "peer", "names", "invented"],
)
def test_every_look_says_how_the_entry_differs(mistaken, change, words):
    sretool = mistaken(change)
    status = sretool("cluster", "status")
    assert (status.returncode, words in one_line(status.stdout)) == (9, True), status.stdout
    doctor = sretool("cluster", "doctor")
    assert (doctor.returncode, words in one_line(doctor.stdout)) == (8, True), doctor.stdout
    planned = sretool("runbook", "etcd-defrag", "--plan")
    assert words in one_line(planned.stdout)
    assert "inventory-differs: sretool cluster discover, or correct" in one_line(
        planned.stdout + planned.stderr
    )
    assert planned.returncode in (8, 9)
    assert "m9 is dead" not in planned.stdout


def test_a_refused_change_comes_with_the_cause_and_what_to_do(mistaken):
    done = mistaken(wrong_peer)("runbook", "etcd-defrag", "--plan", "-p", "reclaim_floor=1Ki")
    assert done.returncode == 4, done.stdout
    assert "refused: defragment" in one_line(done.stdout)
    assert "[inventory-differs]" in one_line(done.stdout)
    assert "next: inventory-differs: sretool cluster discover" in one_line(done.stdout)


def test_a_silent_one_that_etcd_does_not_list_hides_nothing_of_the_members(lab, mistaken):
    mistaken(invented)
    entry = parse_cluster((lab.cluster_file.parent / "wrong.yaml").read_text(), origin="wrong")
    with Cluster(entry, SystemClock()) as cluster:
        step = EtcdEndpointStatus()
        facts = step.look(cluster.reader(Deadline(SystemClock(), 30.0)), step.params_type())
    assert ((), 3) == (facts.silent_members, facts.members)
    assert facts.db_size_bytes > 0
    assert facts.healthy is False


@pytest.mark.parametrize("change", [swap("metrics"), lambda two: two[0].update(metrics=two[1]["metrics"])])
def test_metrics_of_another_member_are_told_with_what_to_do(mistaken, change):
    sretool = mistaken(change)
    doctor = sretool("cluster", "doctor", "--output", "json")
    checks = {(one["where"].split()[0], one["path"]): one for one in json.loads(doctor.stdout)["checks"]}
    assert doctor.returncode == 8
    assert checks["m1", "metrics"]["state"] == "FAILED"
    assert "are those of member" in checks["m1", "metrics"]["found"]
    planned = sretool("runbook", "etcd-defrag", "--plan")
    assert planned.returncode == 8
    assert "the metrics of m1 could not be read: the metrics at" in one_line(planned.stdout)
    assert "next: correct `client` and `metrics` in the cluster file" in one_line(
        planned.stdout + planned.stderr
    )


def test_a_certificate_without_a_role_may_not_read_and_the_doctor_tells(base, other):
    """etcd's own authentication: whoever may ask Status need not be allowed to read a key."""
    doctor = Sretool(base, "other")("cluster", "doctor", "--output", "json")
    assert doctor.returncode == 0
    before = {one["path"]: one["state"] for one in json.loads(doctor.stdout)["checks"]}
    assert (before["Range"], before["writes"]) == ("ok", "UNTRIED")
    for words in (("user", "add", "root:secret"), ("user", "grant-role", "root", "root"), ("auth", "enable")):
        done = other.etcdctl(*words)
        assert done.returncode == 0, done.stderr
    try:
        refused = Sretool(base, "other")("cluster", "doctor", "--output", "json")
    finally:
        other.etcdctl("--user=root:secret", "auth", "disable")
    assert refused.returncode == 8
    checks = {one["path"]: one for one in json.loads(refused.stdout)["checks"]}
    assert checks["Range"]["state"] == "FAILED"
    assert "role" in checks["Range"]["then"]


def test_status_takes_no_quota_from_the_metrics_of_another_member(base):
    """Before 3.6.6 Status has no quota, and `cluster status` reads it in the metrics."""
    with running_lab(base, LabSpec(name="old", version="3.5")) as old:
        entry = yaml.safe_load(old.cluster_file.read_text())
        swap("metrics")(entry["etcd"]["members"])
        old.cluster_file.write_text(yaml.safe_dump(entry))
        done = Sretool(base, "old")("cluster", "status")
    assert done.returncode == 8
    assert "m1: its quota is unknown: the metrics at" in one_line(done.stdout)
    assert "are those of member" in one_line(done.stdout)
