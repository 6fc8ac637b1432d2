"""The Kubernetes client, its reader and its writer on a real API server: what only such a server can show."""

import base64
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads, ListedPage
from sretool.clients.kubernetes.request import Request
from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster, require_cluster
from sretool.cluster.connections import EtcdConnections
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.errors import (
    CompactedError,
    ConflictError,
    NoAnswerError,
    NoSpaceError,
    NotFoundError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    TlsError,
    Touched,
    UnreachableError,
)
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.lab import Lab, LabSpec
from sretool.lab.certificates import create_authority, issue_client, issue_server
from sretool.lab.loopback import API_PORT, kubernetes_address
from sretool.model import Unknown
from tests.support.etcd_cluster import running_lab, send, wait_stopped
from tests.support.http_stub import Asked, Reply, serve, write_kubeconfig

pytestmark = pytest.mark.real

READY = 2.0  # seconds; a healthy API server answers in milliseconds
MERGE = "application/merge-patch+json"
MAPS = collection_path("v1", "configmaps", namespace="default")
QUOTA = object_path("v1", "resourcequotas", "budget", namespace="default")
POLICIES = "/apis/admissionregistration.k8s.io/v1"


class Api(msgspec.Struct):
    lab: Lab
    cluster: Cluster
    clock: SystemClock

    @property
    def read(self) -> KubernetesReader:
        return self.cluster.reader(Deadline(self.clock, 60)).kubernetes

    @property
    def write(self) -> KubernetesWriter:
        return self.cluster.writer(Deadline(self.clock, 60)).kubernetes


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    spec = LabSpec(name="kube-client", members=1, kubernetes=True)
    with running_lab(tmp_path_factory.mktemp("lab"), spec) as running:
        yield running


@pytest.fixture
def api(lab: Lab) -> Iterator[Api]:
    clock = SystemClock()
    with Cluster(require_cluster(lab.name, lab.cluster_file.parent), clock) as cluster:
        yield Api(lab, cluster, clock)


def quota(pods: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "budget"},
        "spec": {"hard": {"pods": pods}},
    }


@pytest.fixture
def maps(api: Api) -> Iterator[str]:
    """Return the path of the collection that holds the five objects c0 … c4."""
    for index in range(5):
        api.write.post(MAPS, {"metadata": {"name": f"c{index}", "labels": {"of": "test"}}})
    yield MAPS
    api.write.delete_collection(MAPS, limit=500, label_selector="of=test")


def names(api: Api) -> list[str]:
    found = api.read.objects(MAPS, label_selector="of=test")
    assert not isinstance(found, Unknown)
    return [one["metadata"]["name"] for one in found]


def test_the_server_tells_version_readiness_rights_and_which_cluster_it_is(api: Api) -> None:
    api.read.ready(timeout_seconds=READY)
    assert str(api.read.server_version()).startswith("v1.")
    assert api.read.can_i("delete", resource="events") is True
    read = api.cluster.reader(Deadline(api.clock, 60))
    assert read.has_kubernetes
    assert read.kubernetes.kube_system_uid() == api.cluster.identity(read).kubernetes_uid != ""


def test_what_is_no_json_comes_as_text(api: Api) -> None:
    assert "apiserver_request_total" in api.read.text("/metrics")
    assert "[+]ping ok" in api.read.text("/readyz", verbose="")


def test_a_kind_that_the_server_does_not_know_is_none(api: Api) -> None:
    path = object_path("keda.sh/v1alpha1", "scaledobjects", "web", namespace="default")
    assert api.read.find(path) is None
    assert api.read.find(object_path("v1", "configmaps", "none", namespace="default")) is None
    assert isinstance(api.read.objects(collection_path("keda.sh/v1alpha1", "scaledobjects")), Unknown)


def test_lists_come_whole_and_in_pages(api: Api, maps: str) -> None:
    assert ["c0", "c1", "c2", "c3", "c4"] == names(api)
    assert [2, 2, 1] == [len(page) for page in api.read.pages(maps, limit=2, label_selector="of=test")]
    known = api.read.namespaces()
    assert not isinstance(known, Unknown)
    assert {"default", "kube-system"} <= {one["metadata"]["name"] for one in known}
    for few in (api.read.deployments(), api.read.hpas(), api.read.resource_quotas(), api.read.limit_ranges()):
        assert not isinstance(few, Unknown)


def test_a_look_remembers_and_the_next_look_asks_again(api: Api, maps: str) -> None:
    look = api.read
    before = look.objects(maps, label_selector="of=test")
    api.write.delete(f"{maps}/c0")
    assert before == look.objects(maps, label_selector="of=test")
    assert ["c1", "c2", "c3", "c4"] == names(api)


def test_a_list_goes_on_after_its_revision_was_compacted(api: Api) -> None:
    """Of events, which the server itself does not keep: each page comes from etcd."""
    events = collection_path("v1", "events", namespace="default")
    about = {"kind": "Pod", "namespace": "default", "name": "p"}
    for index in range(5):
        meta = {"name": f"e{index}", "labels": {"of": "test"}}
        api.write.post(events, {"metadata": meta, "involvedObject": about, "reason": "Old"})
    pages = api.read.pages(events, limit=2, label_selector="of=test")
    seen = [one["metadata"]["name"] for one in next(pages)]
    api.write.patch(f"{events}/e4", {"reason": "New"}, content_type=MERGE)
    revision = next(iter(api.cluster.reader(Deadline(api.clock, 60)).etcd.revisions().values()))
    assert isinstance(revision, int)
    api.cluster.writer(Deadline(api.clock, 60)).etcd.compact(revision, through="m1", timeout_seconds=10)
    rest = [one for page in pages for one in page]
    assert ["e0", "e1", "e2", "e3", "e4"] == seen + [one["metadata"]["name"] for one in rest]
    assert "New" == rest[-1]["reason"]  # so the rest came from a newer revision, after a 410


def test_a_listed_page_is_deleted_as_it_was_listed_and_what_came_since_stays(api: Api) -> None:
    events = collection_path("v1", "events", namespace="default")

    def event(name: str) -> None:
        about = {"kind": "Pod", "namespace": "default", "name": "p"}
        api.write.post(events, {"metadata": {"name": name}, "involvedObject": about, "reason": "Listed"})

    def left() -> list[str]:
        pages = api.read.pages(events, field_selector="reason=Listed")
        return [one["metadata"]["name"] for page in pages for one in page]

    def delete(page: ListedPage) -> int:
        return api.write.delete_collection(
            events, limit=page.limit, field_selector="reason=Listed", place=page.place
        )

    for index in range(7):
        event(f"listed-{index}")
    pages = list(api.write.listed_pages(events, limit=2, most=5, field_selector="reason=Listed"))
    assert [2, 2, 1] == [page.objects for page in pages]
    event("listed-0-new")
    assert [1, 2, 2] == [delete(page) for page in reversed(pages)]
    assert ["listed-0-new", "listed-5", "listed-6"] == left()
    assert 2 == delete(pages[0])  # once more deletes nothing
    revision = next(iter(api.cluster.reader(Deadline(api.clock, 60)).etcd.revisions().values()))
    assert isinstance(revision, int)
    api.cluster.writer(Deadline(api.clock, 60)).etcd.compact(revision, through="m1", timeout_seconds=10)
    for page in pages:
        with pytest.raises(CompactedError):
            delete(page)
    assert ["listed-0-new", "listed-5", "listed-6"] == left()


def test_a_dry_run_stores_nothing_whatever_the_verb(api: Api, maps: str) -> None:
    versions = [one["metadata"]["resourceVersion"] for one in api.read.get(maps)["items"]]
    assert "c9" == api.read.dry_run("POST", maps, {"metadata": {"name": "c9"}})["metadata"]["name"]
    patched = api.read.dry_run("PATCH", f"{maps}/c0", {"data": {"a": "b"}}, content_type=MERGE)
    assert {"a": "b"} == patched["data"]
    api.read.dry_run("PUT", f"{maps}/c0", {"metadata": {"name": "c0"}})
    api.read.dry_run("DELETE", f"{maps}/c0")
    api.read.dry_run("DELETE", f"{maps}/c0", {"apiVersion": "v1", "kind": "DeleteOptions"})
    api.read.dry_run("DELETE", maps)
    applied = api.read.dry_run_apply(QUOTA, quota("3"), field_manager="sretool")
    assert {"pods": "3"} == applied["spec"]["hard"]
    assert versions == [one["metadata"]["resourceVersion"] for one in api.read.get(maps)["items"]]
    assert api.read.find(QUOTA) is None


def test_why_a_reader_may_not_send_a_deletion_whose_body_forgets_the_dry_run(api: Api, maps: str) -> None:
    """The server takes the options from the body, when there is one, and does not look at the query."""
    assert api.lab.kubeconfig
    connection = Connection(str(api.lab.kubeconfig))
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    request = Request(method="DELETE", path=f"{maps}/c0", query={"dryRun": "All"}, body=options)
    connection.send(request, timeout_seconds=5, writes=True)
    connection.close()
    assert ["c1", "c2", "c3", "c4"] == names(api)


def test_a_field_of_somebody_else_is_a_conflict_that_names_them(api: Api) -> None:
    api.write.apply(QUOTA, quota("3"), field_manager="somebody")
    try:
        with pytest.raises(ConflictError, match=r'conflict with "somebody": \.spec\.hard\.pods'):
            api.read.dry_run_apply(QUOTA, quota("4"), field_manager="sretool")
        with pytest.raises(ConflictError, match=r'conflict with "somebody"'):
            api.write.apply(QUOTA, quota("4"), field_manager="sretool")
        forced = api.write.apply(QUOTA, quota("4"), field_manager="sretool", force=True)
        assert {"pods": "4"} == forced["spec"]["hard"]
    finally:
        api.write.delete(QUOTA)


def test_what_has_changed_since_is_neither_overwritten_nor_deleted(api: Api, maps: str) -> None:
    before = api.read.get(f"{maps}/c0")["metadata"]
    uid, version = before["uid"], before["resourceVersion"]
    api.write.patch(f"{maps}/c0", {"data": {"by": "them"}}, content_type=MERGE)
    stale = {"metadata": {"name": "c0", "resourceVersion": version}, "data": {"by": "us"}}
    with pytest.raises(ConflictError):
        api.write.put(f"{maps}/c0", stale)
    with pytest.raises(ConflictError):
        api.write.patch(f"{maps}/c0", stale, content_type=MERGE)
    with pytest.raises(ConflictError):
        api.write.delete(f"{maps}/c0", uid=uid, resource_version=version)
    with pytest.raises(ConflictError):
        api.write.delete(f"{maps}/c0", uid="11111111-1111-1111-1111-111111111111")
    with pytest.raises(ConflictError, match="already exists"):
        api.write.post(maps, stale | {"metadata": {"name": "c0"}})
    assert {"by": "them"} == api.read.get(f"{maps}/c0")["data"]
    api.write.delete(f"{maps}/c0", uid=uid)
    with pytest.raises(NotFoundError):
        api.write.delete(f"{maps}/c0", uid=uid)


def test_a_collection_is_deleted_in_limited_pages(api: Api, maps: str) -> None:
    deleted = [api.write.delete_collection(maps, limit=2, label_selector="of=test") for _ in range(4)]
    assert [2, 2, 1, 0] == deleted
    assert [] == names(api)


def test_a_collection_deletion_that_is_refused_half_way_says_that_some_are_gone(api: Api, maps: str) -> None:
    refused = {"expression": "oldObject.metadata.name != 'c3'", "message": "not tonight"}
    with policy(api, "DELETE", refused):
        assert refused_within(lambda: api.read.dry_run("DELETE", f"{maps}/c3"), "not tonight")
        with pytest.raises(NoAnswerError, match="some may have been deleted before") as caught:
            api.write.delete_collection(maps, limit=500, label_selector="of=test")
        assert Touched.UNKNOWN == caught.value.touched
        left = names(api)
        assert "c3" in left
        assert len(left) < 5
    assert settles(lambda: api.read.dry_run("DELETE", f"{maps}/c3"))


@pytest.mark.parametrize(
    ("hard", "said"),
    [({"pods": "many"}, "quantities must match"), ({"pods": "-1"}, "must be greater than or equal to 0")],
)
def test_what_the_server_finds_wrong_is_a_refusal_with_its_words(
    api: Api, hard: dict[str, str], said: str
) -> None:
    with pytest.raises(RejectedError, match=said):
        api.read.dry_run_apply(QUOTA, quota("1") | {"spec": {"hard": hard}}, field_manager="sretool")
    with pytest.raises(RejectedError, match="field not declared"):
        api.read.dry_run_apply(QUOTA, quota("1") | {"spec": {"hrad": hard}}, field_manager="sretool")
    with pytest.raises(RejectedError, match="invalid selector"):
        list(api.read.pages(MAPS, field_selector="no selector"))


def test_an_exhausted_quota_is_a_refusal_that_names_it_and_no_matter_of_rights(api: Api) -> None:
    api.write.apply(QUOTA, quota("1") | {"spec": {"hard": {"count/configmaps": "0"}}}, field_manager="me")
    try:
        assert refused_to_create(api, "for-quota", "exceeded quota: budget")
    finally:
        api.write.delete(QUOTA)


def test_a_policy_that_denies_is_named(api: Api) -> None:
    refused = {"expression": "object.metadata.name != 'for-policy'", "message": "not tonight"}
    with policy(api, "CREATE", refused):
        assert refused_to_create(api, "for-policy", "ValidatingAdmissionPolicy 'maps' .*not tonight")


def test_a_webhook_that_denies_is_named(api: Api, tmp_path: Path) -> None:
    authority = create_authority(tmp_path)
    pair = issue_server(authority, tmp_path, name="webhook", addresses=["127.0.0.1"])
    ca = base64.b64encode(authority.cert.read_bytes()).decode()
    with serve(deny, pair=pair) as (_, url), hooked(api, url, ca, "for-webhook"):
        assert refused_to_create(
            api, "for-webhook", 'admission webhook "maps.example.com" denied the request: not tonight'
        )


def test_a_webhook_that_does_not_answer_is_named_and_nothing_was_stored(api: Api) -> None:
    with hooked(api, "https://127.0.0.1:1/", "", "for-broken"):
        assert refused_to_create(api, "for-broken", 'failed calling webhook "maps.example.com"')


def deny(asked: Asked) -> Reply:
    response = {
        "uid": asked.json["request"]["uid"],
        "allowed": False,
        "status": {"message": "not tonight"},
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Reply(body=review)


def refused_to_create(api: Api, name: str, said: str) -> bool:
    return refused_within(lambda: api.read.dry_run("POST", MAPS, {"metadata": {"name": name}}), said)


def refused_within(ask: Callable[[], object], said: str) -> bool:
    """Ask, a dry run, until it is refused: admission learns of its rules after a while."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            ask()
        except NotPermittedError:
            raise
        except RejectedError:
            with pytest.raises(RejectedError, match=said):
                raise
            return True
        time.sleep(0.2)
    return False


def settles(ask: Callable[[], object]) -> bool:
    """Ask, a dry run, until it is no longer refused."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with contextlib.suppress(RejectedError):
            ask()
            return True
        time.sleep(0.2)
    return False


@contextmanager
def policy(api: Api, operation: str, validation: dict[str, str]) -> Iterator[None]:
    """Let the server deny `operation` on config maps of which `validation` does not hold."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": ["configmaps"]}
    version = "admissionregistration.k8s.io/v1"
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    binding = {"policyName": "maps", "validationActions": ["Deny"]}
    both = {
        "ValidatingAdmissionPolicy": ("policies", spec),
        "ValidatingAdmissionPolicyBinding": ("policybindings", binding),
    }
    for kind, (plural, content) in both.items():
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": "maps"}, "spec": content}
        api.write.post(collection_path(version, f"validatingadmission{plural}"), body)
    try:
        yield
    finally:
        for plural, _ in both.values():
            api.write.delete(object_path(version, f"validatingadmission{plural}", "maps"))


@contextmanager
def hooked(api: Api, url: str, ca: str, name: str) -> Iterator[None]:
    hook = {
        "name": "maps.example.com",
        "clientConfig": {"url": url, "caBundle": ca},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
        "matchConditions": [{"name": "late", "expression": f"request.name == '{name}'"}],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "maps"},
        "webhooks": [hook],
    }
    api.write.post(f"{POLICIES}/validatingwebhookconfigurations", configuration)
    try:
        yield
    finally:
        api.write.delete(f"{POLICIES}/validatingwebhookconfigurations/maps")


# -- whom it does not let in, and when it is not there ---------------------------------------------------


def test_a_missing_right_is_named_and_foreseen(api: Api, tmp_path: Path) -> None:
    account = object_path("v1", "serviceaccounts", "default", namespace="default")
    api.read.find(account) or api.write.post(
        collection_path("v1", "serviceaccounts", namespace="default"), {"metadata": {"name": "default"}}
    )
    token = api.write.post(f"{account}/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
    reads = reads_of(api, tmp_path, {"token": token})
    assert not reads.can_i("list", resource="pods", timeout_seconds=5)
    with pytest.raises(NotPermittedError, match='cannot list resource "pods"'):
        list(reads.pages("/api/v1/pods", timeout_seconds=5))
    with pytest.raises(NotPermittedError, match='cannot get path "/metrics"'):
        reads.text("/metrics", timeout_seconds=5)
    with pytest.raises(NotPermittedError, match="401 Unauthorized"):
        reads_of(api, tmp_path, {"token": "wrong"}).get("/api/v1/pods", timeout_seconds=5)


def test_a_server_of_another_authority_is_a_matter_of_certificates(api: Api, tmp_path: Path) -> None:
    other = create_authority(tmp_path)
    with pytest.raises(TlsError, match="CERTIFICATE_VERIFY_FAILED"):
        reads_of(api, tmp_path, {}, ca=other.cert).get("/version", timeout_seconds=5)
    stranger = issue_client(other, tmp_path, name="stranger")
    user = {"client-certificate": str(stranger.cert), "client-key": str(stranger.key)}
    with pytest.raises(NotPermittedError, match="401"):
        reads_of(api, tmp_path, user).get("/api/v1/pods", timeout_seconds=5)


def test_a_frozen_server_costs_its_deadline_and_leaves_etcd_readable(api: Api) -> None:
    server = api.lab.find_running("kube-apiserver")
    assert server is not None
    assert server.pid > 0
    known = api.cluster.identity(api.cluster.reader(Deadline(api.clock, 60)))
    send(server.pid, signal.SIGSTOP)
    try:
        wait_stopped(server.pid)
        read = api.cluster.reader(Deadline(api.clock, 60))
        began = time.monotonic()
        with pytest.raises(NoAnswerError):
            read.kubernetes.ready(timeout_seconds=READY)
        assert time.monotonic() - began < 8
        began = time.monotonic()
        assert msgspec.structs.replace(known, kubernetes_uid="") == api.cluster.identity(read)
        assert time.monotonic() - began < 8
    finally:
        send(server.pid, signal.SIGCONT)
    api.read.ready(timeout_seconds=READY)


def test_etcd_without_space_refuses_writes_and_is_named(tmp_path: Path) -> None:
    spec = LabSpec(name="kube-full", members=1, kubernetes=True, quota_bytes=16 << 20)
    clock = SystemClock()
    with running_lab(tmp_path, spec) as full:
        entry = require_cluster(full.name, full.cluster_file.parent)
        with contextlib.closing(EtcdConnections(entry.etcd)) as etcd, pytest.raises(NoSpaceError):
            for index in range(40):
                etcd.writes("m1").put(b"/full/%d" % index, bytes(1_000_000), timeout_seconds=10)
        with Cluster(entry, clock) as cluster:
            write = cluster.writer(Deadline(clock, 60)).kubernetes
            with pytest.raises(NoSpaceError, match="database space exceeded") as caught:
                write.post(MAPS, {"metadata": {"name": "one"}})
            assert Touched.NOTHING == caught.value.touched
            read = cluster.reader(Deadline(clock, 60)).kubernetes
            assert read.find(f"{MAPS}/one") is None


def test_a_cluster_without_a_kubeconfig_says_so_and_works(api: Api) -> None:
    entry = require_cluster(api.lab.name, api.lab.cluster_file.parent)
    with Cluster(msgspec.structs.replace(entry, kubernetes=None), api.clock) as cluster:
        read = cluster.reader(Deadline(api.clock, 60))
        assert not read.has_kubernetes
        assert "" == cluster.identity(read).kubernetes_uid
        with pytest.raises(UnreachableError, match="cluster kube-client has no `kubernetes` section"):
            read.kubernetes.ready(timeout_seconds=READY)
        with pytest.raises(RemoteError, match="has no `kubernetes` section"):
            cluster.writer(Deadline(api.clock, 60)).kubernetes.delete(f"{MAPS}/c0")


def test_a_server_that_went_is_unreachable_and_found_again_when_it_is_back(api: Api) -> None:
    api.read.ready(timeout_seconds=READY)  # leaves an open connection behind
    server = api.lab.find_running("kube-apiserver")
    assert server is not None
    assert server.pid > 0
    send(server.pid, signal.SIGKILL)
    try:
        ends = time.monotonic() + 10
        while is_listening(api):
            assert time.monotonic() < ends  # its port is open until its last thread has ended
            time.sleep(0.05)
        with pytest.raises(UnreachableError, match="refused") as caught:
            api.write.post(MAPS, {"metadata": {"name": "one"}})
        assert Touched.NOTHING == caught.value.touched
        with pytest.raises(UnreachableError):
            api.read.ready(timeout_seconds=READY)
        assert "" == api.cluster.identity(api.cluster.reader(Deadline(api.clock, 60))).kubernetes_uid
    finally:
        api.lab.start_components("kube-apiserver")
    ends = time.monotonic() + 30
    while not is_ready(api):
        assert time.monotonic() < ends
        time.sleep(0.2)


def is_listening(api: Api) -> bool:
    address = (kubernetes_address(api.lab.record.block), API_PORT)
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def is_ready(api: Api) -> bool:
    """Tell whether every part of the API server has started again."""
    try:
        api.read.ready(timeout_seconds=READY)
        return api.read.text("/readyz").strip() == "ok"
    except RemoteError:
        return False


def reads_of(api: Api, folder: Path, user: dict[str, str], *, ca: Path | None = None) -> KubernetesReads:
    """Return a client of the same server as somebody else."""
    path = write_kubeconfig(
        folder / "kubeconfig",
        api.lab.components[0].url,
        user=user,
        **{"certificate-authority": str(ca or api_authority(api))},
    )
    return KubernetesReads(Connection(path))


def api_authority(api: Api) -> Path:
    assert api.lab.kubeconfig
    lines = api.lab.kubeconfig.read_text(encoding="utf-8").splitlines()
    found = next(line for line in lines if "certificate-authority:" in line)
    return Path(found.partition("certificate-authority:")[2].strip(" ,}'\"").partition(",")[0])
