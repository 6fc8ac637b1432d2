"""A playbook that is killed, at a gate, inside a stage or inside a record, is resumed to the same end."""

import pytest

from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, empty, fill, put_succeeds, results
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults, pytest.mark.timeout(180)]

PLAYBOOK = """
playbook: full
summary: etcd refuses writes
stages:
  - id: look
    gate: none
    runbooks:
      - {run: etcd-defrag, as: etcd}
  - id: recover
    when: "'NOSPACE' in stages.look.etcd.alarms.types"
    runbooks:
      - {run: etcd-nospace, as: nospace, with: {second_look: 0s}}
      - {run: etcd-defrag, as: routine}
    until: stages.recover.nospace.status.quota_used < 0.5
    timeout: 20s
  - id: later
    gate: held
    runbooks:
      - {run: etcd-defrag, as: etcd}
numbers:
  quota used: stages.look.etcd.status.quota_used
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("pc")
    with running_lab(base, LabSpec(name="pc", quota_bytes=16 << 20)) as lab:
        lab.base = base
        yield lab


@pytest.mark.parametrize("point", ["record:3", "record:7", "torn:9", "after:5"])
def test_a_killed_playbook_is_resumed_to_the_same_end(lab, point, tmp_path):
    file = tmp_path / "full.yaml"
    file.write_text(PLAYBOOK)
    sretool = Sretool(lab.base, lab.name, state=tmp_path / "state")
    fill(lab)
    try:
        killed = sretool("playbook", str(file), "--approve", "irreversible", crash=point)
        assert killed.returncode == -9, killed.stdout + killed.stderr
        file.unlink()  # the journal has the exact text
        resumed = sretool("resume", "--approve", "irreversible")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert (alarms(lab), put_succeeds(lab)) == ("", True)
        done = [verb for verb, result in results(sretool.journal()) if result == "done"]
        assert {verb: done.count(verb) for verb in ("compact", "defragment", "prove-writes")} == {
            "compact": 1,
            "defragment": 3,
            "prove-writes": 1,
        }
        told = sretool("report", sretool.run_ids()[-1]).stdout
        assert "| later | held | held: it runs only when it is named |" in told
        assert "| quota used | not read" not in told
    finally:
        empty(lab)


def test_a_no_at_the_gate_changes_nothing_and_the_gate_is_asked_again(lab, tmp_path):
    file = tmp_path / "full.yaml"
    file.write_text(PLAYBOOK)
    sretool = Sretool(lab.base, lab.name, state=tmp_path / "state")
    fill(lab)
    try:
        declined = sretool("playbook", str(file), "--approve", "reversible")
        assert declined.returncode == 3, declined.stdout + declined.stderr
        assert "NOSPACE" in alarms(lab)
        resumed = sretool("resume", sretool.run_ids()[-1], "--approve", "irreversible")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        gates = [one["body"]["granted"] for one in sretool.journal() if one["kind"] == "gate"]
        assert gates == [False, True]
        again = sretool("playbook", str(file), "--approve", "irreversible")
        assert again.returncode == 0, again.stdout + again.stderr
        assert results(sretool.journal()) == []
    finally:
        empty(lab)
