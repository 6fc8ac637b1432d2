"""A runbook that cannot do without a way to the cluster is refused before anything is sent or kept."""

import pytest

from tests.support.sretool_cli import Sretool

CLUSTER = """
cluster: bare
etcd:
  members: [{name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}]
"""
OWN = """
runbook: own
summary: what somebody wrote
needs: {hosts: required}
steps: [{id: alarms, uses: etcd.alarm-list}]
"""


@pytest.mark.parametrize(
    ("runbook", "words"),
    [
        ("quota-rollout", "quota-rollout needs the API server, and the file of cluster bare names none"),
        ("own.yaml", "own needs the hosts"),
    ],
)
def test_a_way_that_is_required_and_not_there_is_said_at_once(tmp_path, runbook, words):
    clusters = tmp_path / "config" / "sretool" / "clusters"
    clusters.mkdir(parents=True)
    (clusters / "bare.yaml").write_text(CLUSTER)
    (tmp_path / "own.yaml").write_text(OWN)
    own = str(tmp_path / runbook) if runbook.endswith(".yaml") else runbook
    ran = Sretool(tmp_path, "bare")("runbook", own, "--plan")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert words in " ".join(ran.stderr.split())
    assert not (tmp_path / "state" / "sretool" / "runs").exists()
