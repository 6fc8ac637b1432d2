"""kubernetes.event-cleanup through both of its doors on a real control plane, with another client beside it."""

import contextlib
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from sretool.clients.etcd import Delete, Endpoint, EtcdReads, EtcdWrites, Put, TlsFiles, connect, prefix_end
from sretool.cluster.stored_events import find_place
from sretool.errors import RemoteError, SretoolError
from sretool.knowledge.pace import p99
from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from sretool.lab.kubernetes_files import kubeconfig_path
from sretool.model import Result, Unknown
from sretool.steps.kubernetes_event_cleanup import KubernetesEventCleanup, KubernetesEventCleanupParams
from tests.support.beside import beside
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import ROOT, TIME_LIMIT_SECONDS, Sretool
from tests.support.steps_on_a_lab import StepsOnALab

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
STEP = KubernetesEventCleanup()
SPACES = tuple(f"app-{one}" for one in range(8))
BY_API, BY_ETCD = 2_400, 100_000
RSS_LIMIT_MB = 400  # a third of this is used; 100,000 events at once would be more
SLOWEST_SECONDS = 10.0  # tells a client that hangs from one on a busy machine
EVENTS = b"/registry/events/"


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="doors", members=1, kubernetes=True)) as lab:
        yield lab


@pytest.fixture(scope="module")
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


@pytest.fixture(scope="module")
def etcd(lab):
    member = lab.members[0]
    tls = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))
    with connect(Endpoint(member.name, member.client_url), tls) as connection:
        yield EtcdReads(connection), EtcdWrites(connection)


@pytest.fixture(scope="module")
def blind(lab, base):
    """Return the lab as a cluster whose API server does not listen where its kubeconfig says."""
    text = kubeconfig_path(lab.directory).read_text()
    nowhere = base / "nowhere.kubeconfig"
    nowhere.write_text(text.replace(":6443", ":1"))
    assert nowhere.read_text() != text
    entry = lab.cluster_file.read_text().replace("cluster: doors", "cluster: blind")
    file = lab.cluster_file.with_name("blind.yaml")
    file.write_text(entry.replace(str(kubeconfig_path(lab.directory)), str(nowhere)))
    return file


@pytest.fixture(scope="module")
def blind_steps(blind):
    with StepsOnALab(SimpleNamespace(cluster_file=blind)) as steps:
        yield steps


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def api_down(lab):
    raise_fault(lab, "api-down")
    try:
        yield
    finally:
        undo_fault(lab, "api-down")


@contextlib.contextmanager
def client_beside(ask):
    """Ask again and again on a thread, as another client; yield the seconds of the answers and the failures."""
    took, failed = [], []

    def use(ended):
        while not ended.wait(0.02):
            began = time.monotonic()
            try:
                ask()
            except SretoolError as error:
                failed.append(str(error))
            took.append(time.monotonic() - began)

    with beside(use):
        yield took, failed


def flood(lab, count, *namespaces, reasons=("FailedScheduling",)):
    raise_fault(
        lab, "event-flood", "", FaultOptions(count=count, namespaces=namespaces, reasons=reasons, minutes=10)
    )


def names(etcd, namespace):
    prefix = EVENTS + f"{namespace}/".encode()
    return etcd[0].key_names(prefix, prefix_end(prefix), limit=0, timeout_seconds=30)[0]


def cleanup(sretool, namespaces):
    """Run the shipped runbook; return exit code, peak memory in MB and its events."""
    arguments = ["-m", "sretool", "runbook", "event-flood", "--approve", "irreversible", "--output", "jsonl"]
    given = {"namespaces": ",".join(namespaces), "reasons": "FailedScheduling", "while_written": "true"}
    arguments += [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    told, report = sretool.state / "told.jsonl", sretool.state / "report"
    # A process counts the memory of the one that starts it as its own: the stopwatch is small.
    stopwatch = [sys.executable, "-I", "-S", str(ROOT / "bench" / "stopwatch.py"), str(report)]
    with told.open("w") as out:
        subprocess.run(
            [*stopwatch, sys.executable, *arguments],
            stdout=out,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=TIME_LIMIT_SECONDS,
            cwd=ROOT,
            env=sretool.environment,
        )
    _, peak_kb, exit_code = report.read_text().split()
    return int(exit_code), int(peak_kb) / 1024, [json.loads(one) for one in told.read_text().splitlines()]


def exported(sretool):
    files = (sretool.state / "sretool" / "events").glob("*/*.jsonl")
    return sum(len(path.read_text().splitlines()) for path in files)


def reported(told):
    """Return what the last deletion's outcome says of other clients."""
    last = [one for one in told if one["event"] == "changeended" and "delete" in one["change"]["verb"]][-1]
    return last["outcome"]["measured"]


def tell(what, took, peak_mb):
    sys.stderr.write(
        f"{what}: another client's read {p99(took) * 1000:.0f} ms at p99, {max(took) * 1000:.0f} ms at worst; "
        f"our peak {peak_mb:.0f} MB\n"
    )


def test_through_the_api_namespaces_are_cleared_and_other_clients_keep_working(
    lab, base, steps, etcd, tmp_path
):
    flood(lab, BY_API, *SPACES)
    sretool = Sretool(base, "doors", state=tmp_path)
    api = steps.reader(120).kubernetes
    with client_beside(lambda: api.get("/api/v1/namespaces/kube-system")) as (took, failed):
        exit_code, peak_mb, told = cleanup(sretool, SPACES)
    tell(f"{BY_API} through the API server", took, peak_mb)
    assert (exit_code, failed) == (0, [])
    assert [name for space in SPACES for name in names(etcd, space)] == []
    assert exported(sretool) >= BY_API
    assert reported(told)["others_p99_seconds"] > 0
    assert max(took) < SLOWEST_SECONDS
    assert peak_mb < RSS_LIMIT_MB


def test_in_etcd_a_hundred_thousand_go_while_the_api_server_is_down(lab, base, etcd, tmp_path):
    flood(lab, BY_ETCD, "big", reasons=("FailedScheduling",))
    flood(lab, 300, "other", reasons=("BackOff", "FailedScheduling"))
    kept = names(etcd, "other")
    sretool = Sretool(base, "doors", state=tmp_path)
    with api_down(lab):
        reads = etcd[0]
        with client_beside(
            lambda: reads.range_page(b"compact_rev_key", limit=1, timeout_seconds=20)
        ) as beside:
            exit_code, peak_mb, told = cleanup(sretool, ["big"])
        took, failed = beside
    tell(f"{BY_ETCD} in etcd", took, peak_mb)
    assert (exit_code, failed) == (0, [])
    assert (names(etcd, "big"), names(etcd, "other")) == ([], kept)
    assert exported(sretool) == BY_ETCD
    assert reported(told)["others_p99_seconds"] > 0
    assert max(took) < SLOWEST_SECONDS
    assert peak_mb < RSS_LIMIT_MB


def test_killed_in_the_middle_it_is_resumed_by_looking(lab, base, blind, etcd, tmp_path):
    flood(lab, 3000, "killed")
    sretool = Sretool(base, blind.stem, state=tmp_path)
    arguments = ["-p", "namespaces=killed", "-p", "reasons=FailedScheduling", "-p", "while_written=true"]
    killed = sretool("runbook", "event-flood", "--approve", "irreversible", *arguments, crash="after:3")
    left = len(names(etcd, "killed"))
    resumed = sretool("resume", "--approve", "irreversible")
    assert killed.returncode == -9
    assert 0 < left < 3000
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert names(etcd, "killed") == []
    assert exported(sretool) >= 3000


def test_what_was_written_again_since_the_look_stays(lab, blind_steps, etcd, state):
    steps = blind_steps
    flood(lab, 400, "again", reasons=("FailedScheduling", "BackOff"))
    params = KubernetesEventCleanupParams(namespaces="again", reasons="BackOff", while_written=True)
    reads, writes = etcd
    ((change,),) = steps.plan(STEP, params).waves
    before = names(etcd, "again")
    spared = next(key for key in before if b"FailedScheduling" not in value_of(reads, key))
    writes.put(spared, value_of(reads, spared), timeout_seconds=10)
    assert STEP.observe(steps.reader(), change).result is Result.PARTLY  # one of them is another one now
    assert steps.make(STEP, change).result is Result.DONE
    assert steps.make(STEP, change).result is Result.DONE  # once more deletes nothing
    left = names(etcd, "again")
    assert len(left) == 201
    assert spared in left


def test_a_second_look_sees_what_was_written_again_deleted_and_made_since_the_first(blind_steps, etcd, lab):
    flood(lab, 900, "twice", reasons=("FailedScheduling", "BackOff", "Unhealthy"))
    reads, writes = etcd
    params = KubernetesEventCleanupParams(namespaces="twice", reasons="BackOff")
    first = blind_steps.look(STEP, params).view
    assert blind_steps.look(STEP, params).view.selected == first.selected
    keys = names(etcd, "twice")
    backing = [key for key in keys if b"BackOff" in value_of(reads, key)]
    other = next(key for key in keys if b"Unhealthy" in value_of(reads, key))
    writes.delete_range(backing[0], timeout_seconds=10)
    writes.put(backing[1] + b"-made", value_of(reads, backing[1]), timeout_seconds=10)  # as many as before
    writes.put(other, value_of(reads, backing[1]), timeout_seconds=10)  # another reason now
    second = blind_steps.look(STEP, params).view
    assert (first.total, second.total) == (900, 900)
    assert (first.selected[0].objects, second.selected[0].objects) == (300, 301)
    assert second.revision > first.revision
    assert {one.reason: one.count for one in second.groups} == {
        "FailedScheduling": 300,
        "BackOff": 301,
        "Unhealthy": 299,
    }


def value_of(reads, key):
    return reads.range_page(key, limit=1, timeout_seconds=10).keys[0].value


def test_events_that_are_encrypted_are_left_to_the_api_server(blind_steps, etcd):
    params = KubernetesEventCleanupParams(namespaces="kube-system", reasons="BackOff")
    key = EVENTS + b"kube-system/secret"
    etcd[1].put(key, b"k8s:enc:aescbc:v1:key1:xyz", timeout_seconds=10)
    try:
        with pytest.raises(RemoteError, match="it is encrypted"):
            STEP.look(blind_steps.reader(), params)
    finally:
        etcd[1].txn([], [Delete(key=key)], timeout_seconds=10)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("events are kept in another etcd", ["--etcd-servers-overrides=/events#https://10.9.9.9:2379"]),
        ("has --etcd-prefix=/other, but", ["--etcd-prefix=/other"]),
        ("the flags of the API servers' static pods", ["--etcd-prefix=/registry"]),
    ],
)
def test_the_flags_of_static_pods_are_read_where_etcd_has_them(lab, steps, etcd, words, flags):
    container = {"name": "kube-apiserver", "image": "none", "command": ["kube-apiserver", *flags]}
    metadata = {"name": "kube-apiserver-n1", "namespace": "kube-system"}
    pod = {"metadata": metadata, "spec": {"containers": [container], "hostNetwork": True}}
    etcd[1].txn([], [Put(key=EVENTS + b"any/one", value=b"")], timeout_seconds=10)
    with lab.api() as api:
        api.create("/api/v1/namespaces/kube-system/pods", pod)
        try:
            place = find_place(steps.reader().etcd, cluster_uid="")
        finally:
            api.delete("/api/v1/namespaces/kube-system/pods/kube-apiserver-n1", gracePeriodSeconds=0)
            etcd[1].txn([], [Delete(key=EVENTS + b"any/one")], timeout_seconds=10)
    assert words in (place.reason if isinstance(place, Unknown) else place.known_from)


def test_an_etcd_of_another_cluster_is_no_place(steps, lab):
    flood(lab, 10, "any")
    place = find_place(steps.reader().etcd, cluster_uid="6f9b7c1e-0000-4000-8000-000000000000")
    assert isinstance(place, Unknown)
    assert "the UIDs of kube-system differ" in place.reason
