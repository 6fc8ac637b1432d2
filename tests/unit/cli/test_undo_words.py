"""An undo says what it is about to do: whether anything can be taken back is seen later."""

import pytest

from sretool.cli.exits import exit_code_of
from sretool.cluster.inventory import clusters_folder, require_cluster
from sretool.engine.opening import Terms, opened_run
from sretool.engine.playbook_opening import opened_playbook
from sretool.runbook.named import read_playbook, read_runbook
from sretool.steps.catalogue import load_catalogue
from tests.support.moving_clock import MovingClock

CLUSTER = """
cluster: bare
etcd:
  members: [{name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}]
"""
PLAYBOOK = """
playbook: own
summary: what somebody wrote
stages:
  - {id: look, gate: none, runbooks: [{run: etcd-defrag}]}
"""


@pytest.fixture
def entry():
    clusters_folder().mkdir(parents=True)
    (clusters_folder() / "bare.yaml").write_text(CLUSTER)
    return require_cluster("bare")


@pytest.fixture
def terms():
    return Terms(catalogue=load_catalogue(), clock=MovingClock(), emit=lambda _event: None, unattended=True)


def undone(run_id, capsys):
    assert exit_code_of(["undo", run_id]) == 0
    done = capsys.readouterr()
    assert "changed nothing: there is nothing to undo" in " ".join(done.out.split())
    return " ".join(done.err.split())


def test_of_a_runbook(entry, terms, capsys):
    book = read_runbook("etcd-defrag", terms.catalogue)
    with opened_run(book, {}, entry, terms, may_write=True) as operation:
        run_id = operation.run_id
    assert undone(run_id, capsys) == f"undoing run {run_id}"


def test_of_a_playbook(entry, terms, capsys, tmp_path):
    (tmp_path / "own.yaml").write_text(PLAYBOOK)
    book = read_playbook(str(tmp_path / "own.yaml"), terms.catalogue)
    with opened_playbook(book, {}, (), entry, terms, may_write=True) as run:
        run_id = run.id
    assert undone(run_id, capsys) == f"undoing run {run_id}, the playbook own"
