"""`cluster discover` on a real kind cluster: from nothing but its kubeconfig, and with certificates copied here."""

import json
from pathlib import Path

import pytest
import yaml

from tests.support.kind_cluster import writes_of
from tests.support.sretool_cli import Sretool


@pytest.fixture
def discover(kind, tmp_path):
    """Return a sretool without any cluster file, its `cluster discover`, and where the file goes."""
    sretool = Sretool(tmp_path, "found")
    file = tmp_path / "config" / "sretool" / "clusters" / "found.yaml"
    given = ("cluster", "discover", "--kubeconfig", str(Path(kind.kubeconfig).absolute()), "--name", "found")
    return sretool, lambda *more: sretool(*given, *more), file


def test_members_pods_and_the_key_prefix_are_found_from_the_kubeconfig_alone(kind, discover):
    _, run, file = discover
    done = run("--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    entry = yaml.safe_load(file.read_text())
    members = entry["etcd"]["members"]
    assert [one["name"] for one in members] == kind.nodes
    assert [one["client"] for one in members] == [f"https://{kind.address(node)}:2379" for node in kind.nodes]
    assert [one["pod"]["name"] for one in members] == [f"etcd-{node}" for node in kind.nodes]
    assert {one["metrics"] for one in members} == {"http://127.0.0.1:2381"}
    assert entry["kubernetes"]["etcd_prefix"] == "/registry"
    lacking = [one for one in json.loads(done.stdout)["checks"] if one["state"] == "MISSING"]
    assert all(one["then"] for one in lacking)
    assert any("apiserver-etcd-client.key: not on this machine" in one["found"] for one in lacking)


def test_what_was_found_is_reached_through_the_pods_and_doctor_has_nothing_to_say(kind, discover):
    sretool, run, _ = discover
    run()
    status = sretool("cluster", "status", "--output", "json")
    assert status.returncode == 0, status.stdout + status.stderr
    assert [one["state"] for one in json.loads(status.stdout)["members"]] == ["ok"] * len(kind.nodes)
    doctor = sretool("cluster", "doctor", "--output", "json")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    checks = json.loads(doctor.stdout)["checks"]
    assert [one["state"] for one in checks if one["path"] in ("pod exec", "port-forward")] == [
        "ok",
        "ok",
    ] * len(kind.nodes)


def test_the_role_that_is_printed_is_enough_to_look_and_plan_through_the_pods(
    kind, discover, namespaces, tmp_path
):
    sretool, run, file = discover
    namespaces("rights")
    user = "system:serviceaccount:rights:planner"
    kind.kubectl("-n", "rights", "create", "serviceaccount", "planner")
    printed = sretool("cluster", "role", "etcd-latency", "--user", user).stdout
    for_pods = printed.replace(
        "  # - {", "  - {"
    )  # as it says: uncommented where etcd is reached through its pods
    kind.kubectl("apply", "-f", "-", given=for_pods)
    try:
        run()
        as_planner(kind, file, tmp_path / "planner.kubeconfig")
        done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=2s")
    finally:
        kind.kubectl("delete", "-f", "-", given=for_pods)
    assert done.returncode in (0, 3, 8, 9), done.stdout + done.stderr  # 8: an idle disk tells nothing in 2 s
    asked = [one for one in kind.audited() if one["user"].get("username") == user]
    assert [one["requestURI"] for one in asked if one["responseStatus"].get("code") == 403] == []
    assert any(one["objectRef"].get("subresource") == "exec" for one in asked if "objectRef" in one)
    agents = {one["userAgent"] for one in asked}
    assert [found for agent in agents for found in writes_of(agent, asked)] == []


def as_planner(kind, file, kubeconfig):
    """Give the cluster file a kubeconfig of the service account's own."""
    config = yaml.safe_load(Path(kind.kubeconfig).read_text())
    token = kind.kubectl("-n", "rights", "create", "token", "planner", "--duration=10m").strip()
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    kubeconfig.write_text(yaml.safe_dump(config))
    entry = yaml.safe_load(file.read_text())
    entry["kubernetes"]["kubeconfig"] = str(kubeconfig)
    file.write_text(yaml.safe_dump(entry))


def test_certificates_copied_here_and_named_in_the_file_are_kept_and_open_the_direct_way(
    kind, discover, tmp_path
):
    sretool, run, file = discover
    run()
    entry = yaml.safe_load(file.read_text())
    files = kind.copy_etcd_certificates(tmp_path / "pki")
    entry["etcd"] |= dict(zip(("ca", "cert", "key"), map(str, files), strict=True))
    file.write_text(yaml.safe_dump(entry))
    refused = run()
    assert refused.returncode == 4
    assert "pod" in refused.stderr
    assert run("--force").returncode == 0
    assert "pod" not in file.read_text()
    status = sretool("cluster", "status", "--output", "json")
    assert status.returncode == 0, status.stdout + status.stderr
    assert run().returncode == 0
