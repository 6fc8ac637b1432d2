"""A whole run by the last path: planned, approved at a terminal, made by etcdctl in the pod, verified by its metrics."""

import contextlib
import sys
from pathlib import Path

import pytest

from sretool.clients.etcd import prefix_end
from sretool.cluster.connections import EtcdConnections
from sretool.cluster.inventory import require_cluster
from tests.support.sretool_cli import Sretool
from tests.support.terminal import Person

RUNBOOK = """\
runbook: in-pod
summary: give free pages back
needs: {etcd: required}
steps:
  - {id: status, uses: etcd.endpoint-status}
  - {id: defrag, uses: etcd.defrag, with: {reclaim_floor: 8Mi}}
"""
WASTE = b"/sretool-waste/"


@pytest.fixture
def wasted(sretool):
    """Leave 16 MiB of free pages in the database, by the published port."""
    folder = Path(sretool.environment["XDG_CONFIG_HOME"]) / "sretool" / "clusters"
    with contextlib.closing(EtcdConnections(require_cluster(sretool.cluster, folder).etcd)) as etcd:
        writes = etcd.writes(next(iter(etcd._members)))
        for index in range(20):
            writes.put(WASTE + b"%d" % index, bytes(1_000_000), timeout_seconds=20)
        _, revision = writes.delete_range(WASTE, prefix_end(WASTE), timeout_seconds=20)
        writes.compact(revision, physical=True, timeout_seconds=60)


def test_the_only_member_is_defragmented_when_a_person_types_its_name(kind, tmp_path, wasted):
    sretool = Sretool(tmp_path, "inside")
    kubeconfig = str(Path(kind.kubeconfig).absolute())
    found = sretool("cluster", "discover", "--kubeconfig", kubeconfig, "--name", "inside")
    assert found.returncode == 0, found.stdout + found.stderr
    book = tmp_path / "in-pod.yaml"
    book.write_text(RUNBOOK)
    command = [sys.executable, "-m", "sretool", "runbook", str(book), "--accept", "disk-free"]
    with Person(command, env=sretool.environment, columns=200) as person:
        person.wait_for("Type disk-free")
        person.type("disk-free\r")
        person.wait_for("Type the cluster's name")
        person.type("inside\r")
        assert person.end() == 0, person.seen
    assert "changes were made" in person.seen
    assert sretool("runbook", str(book), "--plan").returncode == 0
