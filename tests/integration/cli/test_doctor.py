"""`cluster doctor` on a real API server: the first broken link is named, and exactly the missing rights are."""

import json
import socket
import stat

import pytest
import yaml

from sretool.lab import LabSpec
from sretool.lab.certificates import Pair, create_authority, issue_client
from sretool.lab.kubernetes_files import AUTHORITY
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="doctor", members=1, kubernetes=True)) as lab:
        yield lab


@pytest.fixture
def examined(lab, base, tmp_path):
    """Return what doctor says of the API server with a kubeconfig that `change` has altered: by where and path."""

    def run(change):
        config = yaml.safe_load((lab.directory / "kubeconfig").read_text())
        change(config["clusters"][0]["cluster"], config["users"][0]["user"])
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        entry = yaml.safe_load(lab.cluster_file.read_text()) | {"cluster": "changed"}
        entry["kubernetes"]["kubeconfig"] = str(tmp_path / "kubeconfig")
        (lab.cluster_file.parent / "changed.yaml").write_text(yaml.safe_dump(entry))
        done = Sretool(base, "changed")("cluster", "doctor", "--output", "json")
        assert done.stderr == ""
        checks = {(one["where"], one["path"]): one for one in json.loads(done.stdout)["checks"]}
        failed = any(one["state"] == "FAILED" for one in checks.values())
        assert done.returncode == (8 if failed else 0)
        return checks

    return run


def by_certificate(pair):
    def change(_, user):
        user |= {"client-certificate": str(pair.cert), "client-key": str(pair.key)}

    return change


def authority(lab):
    tls = lab.directory / "tls"
    return Pair(tls / f"{AUTHORITY}.crt", tls / f"{AUTHORITY}.key")


def states(checks, where="Kubernetes"):
    return {path: one["state"] for (place, path), one in checks.items() if place == where}


def test_an_administrator_has_every_link_and_every_right(examined):
    checks = examined(lambda cluster, user: None)
    assert set(states(checks).values()) == {"ok"}
    assert checks["Kubernetes", "user"]["found"] == "kubernetes-admin"
    assert states(checks, "runbook event-flood") == {"plan, apply": "ok"}


def test_a_user_without_rights_is_told_which_and_the_command_that_grants_them_does(examined, lab, tmp_path):
    somebody = by_certificate(issue_client(authority(lab), tmp_path, name="somebody"))
    before = examined(somebody)
    assert before["Kubernetes", "identity"]["state"] == "MISSING"
    lacking = before["runbook event-flood", "plan"]
    assert lacking["state"] == "FAILED"
    assert "list events" in lacking["found"]
    assert "delete" not in lacking["found"].replace("deletecollection", "")
    assert lacking["then"] == "sretool cluster role event-flood --user somebody | kubectl apply -f -"

    grant(lab, "event-flood", "--user", "somebody")
    planning = examined(somebody)
    assert planning["runbook event-flood", "plan"]["state"] == "ok"
    applying = planning["runbook event-flood", "apply"]
    assert applying["state"] == "MISSING"
    assert "delete/deletecollection events" in applying["found"]
    assert "list" not in applying["found"]
    assert "--apply" in applying["then"]

    grant(lab, "event-flood", "--apply", "--user", "somebody")
    assert examined(somebody)["runbook event-flood", "plan, apply"]["state"] == "ok"


def grant(lab, runbook, *options):
    """Apply what `cluster role` prints, as `kubectl apply -f -` would."""
    printed = Sretool(lab.cluster_file.parents[3], lab.name)("cluster", "role", runbook, *options)
    assert printed.returncode == 0, printed.stderr
    with lab.api() as api:
        for document in yaml.safe_load_all(printed.stdout):
            namespace = document["metadata"].get("namespace")
            scope = f"/namespaces/{namespace}" if namespace else ""
            plural = f"{document['kind'].lower()}s"
            api.create(f"/apis/rbac.authorization.k8s.io/v1{scope}/{plural}", document)


def test_a_key_file_that_is_not_there(examined):
    checks = examined(lambda cluster, user: user.update({"client-key": "/there/is/none"}))
    assert checks["Kubernetes", "credentials"]["state"] == "FAILED"
    assert "/there/is/none" in checks["Kubernetes", "credentials"]["found"]
    assert "event-flood" not in {place for place, _ in checks}


def test_nobody_listens_and_another_authority(examined, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    dead = examined(lambda cluster, user: cluster.update({"server": f"https://127.0.0.1:{port}"}))
    assert dead["Kubernetes", "TCP"]["state"] == "FAILED"
    assert "the etcd half works without it" in dead["Kubernetes", "TCP"]["then"]

    other = create_authority(tmp_path, name="another")
    stranger = examined(lambda cluster, user: cluster.update({"certificate-authority": str(other.cert)}))
    assert states(stranger)["TLS"] == "FAILED"
    assert stranger["Kubernetes", "user"]["state"] == "MISSING"


def test_a_kubeconfig_without_credentials_is_no_path_that_works(examined):
    checks = examined(lambda cluster, user: user.clear())
    assert checks["Kubernetes", "user"]["state"] == "FAILED"
    assert (
        "anonymous" in checks["Kubernetes", "user"]["found"] or "401" in checks["Kubernetes", "user"]["found"]
    )


def test_a_server_that_nobody_verifies_is_no_server_that_is_verified(examined):
    def trust_anybody(cluster, _):
        cluster.pop("certificate-authority", None)
        cluster["insecure-skip-tls-verify"] = True

    checks = examined(trust_anybody)
    assert states(checks)["/readyz"] == "ok"
    assert checks["Kubernetes", "TLS"]["state"] == "WARNING"
    assert "insecure-skip-tls-verify" in checks["Kubernetes", "TLS"]["found"]


def test_an_exec_plugin_that_answers_and_one_that_fails(examined, lab, tmp_path):
    pair = issue_client(authority(lab), tmp_path, name="by-plugin", group="system:masters")
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"clientCertificateData": pair.cert.read_text(), "clientKeyData": pair.key.read_text()},
    }

    def use(script):
        plugin = tmp_path / "plugin"
        plugin.write_text(f"#!/bin/sh\n{script}\n")
        plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)

        def change(_, user):
            user.clear()
            user["exec"] = {"apiVersion": answer["apiVersion"], "command": str(plugin)}

        return change

    (tmp_path / "answer.json").write_text(json.dumps(answer))
    good = examined(use(f"cat {tmp_path / 'answer.json'}"))
    assert "which answered in" in good["Kubernetes", "credentials"]["found"]
    assert good["Kubernetes", "user"]["found"] == "by-plugin"
    bad = examined(use("echo you must log in >&2; exit 3"))
    assert bad["Kubernetes", "credentials"]["state"] == "FAILED"
    assert "ended with 3: you must log in" in bad["Kubernetes", "credentials"]["found"]


def test_a_state_folder_below_a_file_is_told(base, lab, tmp_path):
    (tmp_path / "file").touch()
    done = Sretool(base, lab.name, state=tmp_path / "file")("cluster", "doctor", "--output", "json")
    assert done.returncode == 8, done.stderr
    (check,) = (one for one in json.loads(done.stdout)["checks"] if one["path"] == "state folder")
    assert (check["state"], "Not a directory" in check["found"]) == ("FAILED", True)
