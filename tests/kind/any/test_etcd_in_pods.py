"""etcd by the last path: etcdctl in its pods by exec, metrics by port-forward, from nothing but the kubeconfig."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest

from sretool.cluster.connections import EtcdConnections
from sretool.cluster.inventory import require_cluster
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.errors import NotFoundError, RefusedError, RejectedError, SretoolError, Touched, UnreachableError
from sretool.model import AlarmType, Silence
from tests.support.kind_cluster import writes_of
from tests.support.sretool_cli import Sretool

CALL = 20.0
DEFRAGMENTED = "etcd_disk_backend_defrag_duration_seconds_count"


@pytest.fixture(scope="module")
def in_pods(kind, tmp_path_factory):
    """sretool with the entry that `cluster discover` writes where it finds no certificates."""
    sretool = Sretool(tmp_path_factory.mktemp("pods"), "pods")
    kubeconfig = str(Path(kind.kubeconfig).absolute())
    done = sretool("cluster", "discover", "--kubeconfig", kubeconfig, "--name", "pods")
    assert done.returncode == 0, done.stdout + done.stderr
    return sretool


@contextlib.contextmanager
def opened(sretool, **changed_pod):
    """Open the members of an entry as a run does, the first one's pod changed."""
    entry = require_cluster(
        sretool.cluster, Path(sretool.environment["XDG_CONFIG_HOME"]) / "sretool" / "clusters"
    )
    first, *rest = entry.etcd.members
    if changed_pod:
        first = msgspec.structs.replace(first, pod=msgspec.structs.replace(first.pod, **changed_pod))
    access = msgspec.structs.replace(entry.etcd, members=(first, *rest))
    api = KubernetesConnection(entry.kubernetes)
    with contextlib.closing(api), contextlib.closing(EtcdConnections(access, api)) as etcd:
        yield etcd, first.name


def test_the_glance_is_that_of_the_published_ports(kind, sretool, in_pods):
    seen = []
    for one in (sretool, in_pods):
        done = one("cluster", "status", "--output", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        seen.append([(m["name"], m["status"]["quota_bytes"]) for m in json.loads(done.stdout)["members"]])
    assert seen[0] == seen[1]


def test_the_runbook_judges_disks_says_what_it_could_not_time_and_writes_nothing(kind, in_pods):
    before = kind.audited()
    done = in_pods(
        "runbook", "etcd-latency", "--plan", "-p", "window=2s", "-p", "second_look=1s", "--output", "json"
    )
    assert done.returncode in {0, 8}, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert len(report["identity"]["etcd_member_ids"]) == len(kind.nodes)
    assert report["planned"] == []
    assert [one for one in report["found"] if "could not be timed: only disks are judged" in one["sentence"]]
    assert not [
        one
        for one in report["found"]
        if "metrics" in one["sentence"] and one["severity"] not in {"ok", "note"}
    ]
    assert writes_of("sretool", kind.audited(since=before)) == []


def test_every_read_answers_as_by_the_published_port(kind, sretool, in_pods):
    with opened(sretool) as (direct, name), opened(in_pods) as (inside, _):
        for etcd in (direct, inside):
            etcd.reads(name).alarms(timeout_seconds=CALL)
        by_port, by_pod = direct.reads(name), inside.reads(name)
        statuses = [one.status(timeout_seconds=CALL) for one in (by_port, by_pod)]
        assert len({(one.cluster_id, one.member_id, one.version) for one in statuses}) == 1
        for linearizable in (True, False):
            lists = [
                one.member_list(linearizable=linearizable, timeout_seconds=CALL) for one in (by_port, by_pod)
            ]
            assert lists[0] == lists[1]
        assert by_pod.alarms(timeout_seconds=CALL) == ()
        revision = statuses[1].revision
        start, pages = b"/registry/", []
        for one in (by_port, by_pod):
            first = one.key_names(start, b"/registry0", limit=7, revision=revision, timeout_seconds=CALL)
            behind = first[0][-1] + b"\0"
            pages.append(
                (
                    first,
                    one.key_names(behind, b"/registry0", limit=7, revision=revision, timeout_seconds=CALL),
                )
            )
        assert pages[0] == pages[1]
        assert inside.scrape(name, timeout_seconds=CALL).value("etcd_server_has_leader") == 1


def test_a_member_is_defragmented_once_and_its_metrics_say_so(in_pods):
    with opened(in_pods) as (etcd, name):
        before = etcd.scrape(name, timeout_seconds=CALL).value(DEFRAGMENTED)
        etcd.writes(name).defragment(timeout_seconds=60)
        assert etcd.scrape(name, timeout_seconds=CALL).value(DEFRAGMENTED) == before + 1


def test_disarming_is_refused_with_the_commands_to_type(in_pods):
    with opened(in_pods) as (etcd, name), pytest.raises(RefusedError, match="disarms every alarm") as caught:
        etcd.writes(name).disarm(1, AlarmType.NOSPACE, timeout_seconds=CALL)
    assert "kubectl -n kube-system exec etcd-" in caught.value.then
    assert caught.value.touched is Touched.NOTHING


def test_a_reader_starts_no_writing_command(in_pods):
    with opened(in_pods) as (etcd, name), pytest.raises(SretoolError, match="a reader was asked to run"):
        gate = etcd._pods[name]._kubernetes.read_gate
        gate.run(etcd._pods[name]._box, ("etcdctl", "defrag"), timeout_seconds=CALL)


@pytest.mark.parametrize(
    ("changed", "expected", "said"),
    [
        ({"name": "etcd-nowhere"}, NotFoundError, 'pods "etcd-nowhere" not found'),
        ({"container": "nowhere"}, RejectedError, "container nowhere is not valid"),
        ({"endpoint": "https://127.0.0.1:1"}, UnreachableError, "connection refused"),
        ({"cert": "/nowhere.crt"}, RejectedError, "/nowhere.crt: no such file"),
    ],
)
def test_what_is_wrong_with_the_way_there_is_said(in_pods, changed, expected, said):
    with opened(in_pods, **changed) as (etcd, name):
        with pytest.raises(expected, match=said) as caught:
            etcd.reads(name).status(timeout_seconds=CALL / 2)
        assert caught.value.touched is Touched.NOTHING


def test_why_a_member_is_silent_is_told_from_inside(in_pods):
    with opened(in_pods) as (etcd, name):
        assert etcd.find_silence(name, CALL)[0] is Silence.SLOW
    with opened(in_pods, name="etcd-nowhere") as (etcd, name):
        assert etcd.find_silence(name, CALL)[0] is Silence.UNREACHABLE
