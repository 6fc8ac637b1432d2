"""A lab with Kubernetes: ready in seconds, real controllers and scheduler, its faults and their undo, nothing left."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sretool.cli.lab import lab as lab_command
from sretool.cluster.inventory import parse_cluster
from sretool.errors import NotFoundError, NotPermittedError, RefusedError, UnreachableError, UsageError
from sretool.lab import Lab, LabSpec, down, processes, up
from sretool.lab.certificates import Pair, issue_client
from sretool.lab.directory import read_faults
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from sretool.lab.kubernetes_binaries import COMPONENTS, require_kubernetes
from sretool.lab.nodes import report_running
from sretool.lab.rest import Api
from tests.support.etcd_cluster import hermetic_environment, hermetic_home, running_lab, tell
from tests.support.filled import keys_in_etcd

# Building Kubernetes for the first time takes minutes.
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

NAMESPACES = "/api/v1/namespaces"
WEB = "/apis/apps/v1/namespaces/runaway/deployments/web"


@pytest.fixture(scope="module")
def lab(base) -> Iterator[Lab]:
    with running_lab(base, LabSpec(kubernetes=True, nodes=2)) as lab:
        yield lab


@pytest.fixture(autouse=True)
def whole(request) -> Iterator[None]:
    """Whatever a test left in force is undone, so that the next one finds a healthy lab."""
    yield
    if "lab" in request.fixturenames:
        lab = request.getfixturevalue("lab")
        for one in read_faults(lab.directory):
            undo_fault(lab, one.fault, one.member)


@pytest.fixture
def api(lab) -> Iterator[Api]:
    with lab.api() as api:
        yield api


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    return processes.wait_until(condition, seconds=seconds, every=0.2)


def states(lab: Lab) -> dict[str, str]:
    return {one.name: one.state for one in lab.component_status()}


def test_every_program_is_well_and_told_by_status(lab, base, monkeypatch):
    assert set(states(lab).values()) == {"running"}
    for name, value in hermetic_environment(base).items():
        monkeypatch.setenv(name, value)
    status = CliRunner().invoke(lab_command, ["status"])
    assert f"Kubernetes {lab.record.kubernetes} on {lab.components[0].url}" in status.stdout
    assert all(f"  {name}  running" in status.stdout for name in COMPONENTS)


def test_the_api_server_keeps_its_objects_in_the_labs_etcd_under_registry(lab, api):
    api.create(f"{NAMESPACES}/default/configmaps", {"metadata": {"name": "kept"}, "data": {"a": "b"}})
    assert keys_in_etcd(lab, "/registry/configmaps/default/kept") == 1
    api.delete(f"{NAMESPACES}/default/configmaps/kept")
    assert keys_in_etcd(lab, "/registry/configmaps/default/kept") == 0


def test_the_api_server_serves_on_when_a_member_is_killed(lab, api):
    raise_fault(lab, "kill", "m1")
    try:
        assert eventually(lambda: lists(api), seconds=20)
        api.ensure(f"{NAMESPACES}/default/configmaps", {"metadata": {"name": "without-m1"}})
    finally:
        undo_fault(lab, "kill", "m1")


def lists(api: Api) -> bool:
    with contextlib.suppress(Exception):
        return bool(api.items(NAMESPACES))
    return False


def test_the_cluster_entry_names_the_kubeconfig_and_its_context(lab):
    access = parse_cluster(lab.cluster_file.read_text(), origin=str(lab.cluster_file)).kubernetes
    assert access is not None
    assert (access.kubeconfig, access.context) == (str(lab.kubeconfig), lab.name)
    assert lab.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_the_kubeconfig_works_in_the_kubernetes_client(lab):
    from kubernetes import client, config

    configured = config.new_client_from_config(str(lab.kubeconfig), context=lab.name)
    with contextlib.closing(configured):
        names = {one.metadata.name for one in client.CoreV1Api(configured).list_namespace().items}
    assert {"default", "kube-system"} <= names


def test_rbac_forbids_what_nobody_granted(lab, tmp_path):
    authority = Pair(lab.tls_dir / "kubernetes-ca.crt", lab.tls_dir / "kubernetes-ca.key")
    visitor = issue_client(authority, tmp_path, name="visitor", group="guests")
    server = lab.components[0]
    with (
        Api(server.address, server.port, ca=authority.cert, cert=visitor.cert, key=visitor.key) as api,
        pytest.raises(NotPermittedError, match='User "visitor" cannot list'),
    ):
        api.get(NAMESPACES)


def test_the_audit_log_holds_writes_with_their_body_and_reads_without(lab, api):
    api.ensure(f"{NAMESPACES}/default/configmaps", {"metadata": {"name": "audited"}, "data": {"secret": "x"}})
    api.get(f"{NAMESPACES}/default/configmaps/audited")
    lines = (lab.directory / "log" / "audit.log").read_text().splitlines()
    ours = [one for one in map(json.loads, lines) if one["requestURI"].endswith("/configmaps/audited")]
    write = [one for one in map(json.loads, lines) if (one.get("objectRef") or {}).get("name") == "audited"]
    assert {(one["verb"], one["level"]) for one in ours} == {("get", "Metadata")}
    created = next(one for one in write if one["verb"] == "create")
    assert created["requestObject"]["data"] == {"secret": "x"}


def test_nodes_are_ready_and_take_pods(lab, api):
    assert eventually(lambda: not any(one["spec"].get("taints") for one in api.items("/api/v1/nodes")))
    pod = {
        "metadata": {"name": "bound"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "app", "image": "none"}]},
    }
    api.create(f"{NAMESPACES}/default/pods", pod)
    path = f"{NAMESPACES}/default/pods/bound"
    assert eventually(lambda: api.get(path)["spec"].get("nodeName") in {"node-1", "node-2"})
    assert api.get(path)["status"]["phase"] == "Pending"
    api.delete(path)
    with pytest.raises(NotFoundError):
        api.get(path)


def test_bound_pods_run_and_are_ready_only_when_that_is_reported(lab, api):
    api.create(NAMESPACES, {"metadata": {"name": "running"}})
    labels = {"app": "two"}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "app", "image": "none"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    deployments = "/apis/apps/v1/namespaces/running/deployments"
    api.create(deployments, {"metadata": {"name": "two"}, "spec": spec})
    bound = {"fieldSelector": "spec.nodeName!="}
    assert eventually(lambda: len(api.items(f"{NAMESPACES}/running/pods", **bound)) == 2)
    assert report_running(lab, "running") == 2
    assert eventually(lambda: api.get(f"{deployments}/two")["status"].get("readyReplicas") == 2)
    assert report_running(lab, "running") == 0
    api.delete(f"{NAMESPACES}/running")


def test_a_node_reported_not_ready_is_tainted_until_the_undo(lab, api):
    def taints() -> list[str]:
        return [one["key"] for one in api.get("/api/v1/nodes/node-2")["spec"].get("taints", [])]

    assert raise_fault(lab, "not-ready") == "NotReady: node-2"
    assert eventually(lambda: "node.kubernetes.io/not-ready" in taints())
    undo_fault(lab, "not-ready")
    assert eventually(lambda: taints() == [])


def test_a_flood_is_read_by_the_api_server_and_drained(lab, api):
    options = FaultOptions(
        count=100_000, namespaces=("default", "noisy"), reasons=("FailedScheduling", "BackOff"), minutes=10
    )
    said = raise_fault(lab, "event-flood", options=options)
    assert said.startswith("100000 events in 2 namespaces")

    events = api.get("/api/v1/namespaces/noisy/events", limit=4)
    assert events["metadata"]["remainingItemCount"] == 50_000 - 4
    found = {one["reason"]: one for one in events["items"]}
    assert found["FailedScheduling"]["reportingComponent"] == "default-scheduler"
    assert found["BackOff"]["source"] == {"component": "kubelet"}
    assert found["BackOff"]["count"] == 1
    one = found["BackOff"]
    assert one["involvedObject"]["kind"] == "Pod"
    assert one["metadata"]["managedFields"][0]["fieldsV1"]["f:reason"] == {}
    ages = [one["metadata"]["creationTimestamp"] for one in events["items"]]
    assert ages == sorted(ages)

    # What was written is an event like any other: the API server updates and deletes it.
    path = f"/api/v1/namespaces/noisy/events/{one['metadata']['name']}"
    assert api.patch(path, {"count": 7})["count"] == 7
    api.delete(path)

    assert undo_fault(lab, "event-flood") == "99999 events deleted, 1 namespace removed"
    with pytest.raises(NotFoundError):
        api.get(f"{NAMESPACES}/noisy")
    assert keys_in_etcd(lab, "/registry/events/default/flood-") == 0


def test_a_runaway_fails_to_schedule_and_its_autoscaler_puts_replicas_back(lab, api):
    raise_fault(lab, "runaway")
    assert api.get(WEB)["status"]["replicas"] == 500
    assert "readyReplicas" not in api.get(WEB)["status"]

    def failures() -> int:
        events = api.items("/api/v1/namespaces/runaway/events", fieldSelector="reason=FailedScheduling")
        return len({one["involvedObject"]["name"] for one in events})

    assert eventually(lambda: failures() >= 400, seconds=60)
    api.patch(f"{WEB}/scale", {"spec": {"replicas": 50}})
    assert eventually(lambda: api.get(f"{WEB}/scale")["spec"]["replicas"] == 500)

    with pytest.raises(RefusedError, match="in force on Kubernetes"):
        raise_fault(lab, "runaway")
    assert lab.faults == ("runaway",)
    assert undo_fault(lab, "runaway") == "1 namespace removed"
    assert lab.faults == ()


def test_bare_namespaces_have_no_quota_and_go_again(lab, api):
    raise_fault(lab, "bare-namespaces", options=FaultOptions(count=12))
    names = {one["metadata"]["name"] for one in api.items(NAMESPACES)}
    assert {"bare-0001", "bare-0012"} <= names
    assert api.items(f"{NAMESPACES}/bare-0001/resourcequotas") == []
    assert undo_fault(lab, "bare-namespaces") == "12 namespaces removed"


def test_a_stopped_api_server_leaves_etcd_serving_and_comes_back(lab, api):
    raise_fault(lab, "api-down")
    assert states(lab)["kube-apiserver"] == "down"
    with pytest.raises(UnreachableError), lab.api() as other:
        other.get(NAMESPACES)
    assert lab.etcdctl("get", "/registry/namespaces/default").returncode == 0
    assert undo_fault(lab, "api-down") == "Kubernetes is ready"
    assert set(states(lab).values()) == {"running"}
    assert lists(api)


def test_a_fault_of_kubernetes_names_no_member(lab):
    with pytest.raises(UsageError, match="concerns the whole lab"):
        raise_fault(lab, "api-down", "m1")


def test_killed_programs_are_started_again_by_up(lab, base, api):
    before = {one.name: one.pid for one in lab.component_status()}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: set(states(lab).values()) == {"down"})
    again = up(lab.spec, home=hermetic_home(base), progress=tell)
    assert set(states(again).values()) == {"running"}
    assert not set(before.values()) & {one.pid for one in again.component_status()}
    assert lists(api)


def test_a_second_lab_beside_it_and_down_leaves_nothing_of_either(tmp_path, lab):
    with running_lab(tmp_path, LabSpec(name="second", members=1, kubernetes=True)) as second:
        assert second.components[0].address != lab.components[0].address
        with second.api() as api:
            api.create(NAMESPACES, {"metadata": {"name": "only-here"}})
        with lab.api() as api, pytest.raises(NotFoundError):
            api.get(f"{NAMESPACES}/only-here")
        directory, pids = second.directory, [one.pid for one in second.running()]
        assert len(pids) == 4
        began = time.monotonic()
        assert down("second", hermetic_home(tmp_path))
        assert time.monotonic() - began < 20
        assert processes.find(directory) == []
        assert not directory.exists()
        assert not second.cluster_file.exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert states(lab)["kube-apiserver"] == "running"


def test_a_lab_without_kubernetes_has_no_kubernetes_faults(tmp_path):
    with running_lab(tmp_path, LabSpec(members=1)) as plain:
        assert plain.component_status() == ()
        assert plain.kubeconfig is None
        with pytest.raises(UsageError, match="started without Kubernetes"):
            raise_fault(plain, "event-flood")


def test_nodes_without_kubernetes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="nodes are objects of Kubernetes"):
        up(LabSpec(nodes=2), home=hermetic_home(tmp_path), progress=tell)


def test_programs_named_by_the_environment_come_first(tmp_path, monkeypatch):
    built = require_kubernetes(cache=hermetic_home(tmp_path).cache, lab_dir=tmp_path, progress=tell)
    folder = tmp_path / "assets"
    folder.mkdir()
    for name in COMPONENTS:
        (folder / name).symlink_to((built.folder / name).resolve())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    found = require_kubernetes(cache=tmp_path / "empty", lab_dir=tmp_path, progress=tell)
    assert (found.folder, found.version) == (folder, built.version)


def test_an_incomplete_folder_in_the_environment_is_not_taken(tmp_path, monkeypatch):
    cache = hermetic_home(tmp_path).cache
    built = require_kubernetes(cache=cache, lab_dir=tmp_path, progress=tell)
    (tmp_path / COMPONENTS[0]).symlink_to((built.folder / COMPONENTS[0]).resolve())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert require_kubernetes(cache=cache, lab_dir=tmp_path, progress=tell).folder == built.folder
