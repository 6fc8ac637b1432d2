"""A slow disk under the leader, through the whole runbook: leadership moves, nothing is defragmented as a cure."""

import json

import pytest

from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.filled import results, statuses
from tests.support.needs import needs_root, needs_strace
from tests.support.promptly import seen
from tests.support.sretool_cli import Sretool

pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.root,
    needs_root,
    needs_strace,
]


def leader_of(lab):
    return next(name for name, one in statuses(lab).items() if one["leader"] == one["header"]["member_id"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("sl")
    with running_lab(base, LabSpec(name="sl")) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def slow_leader(lab):
    leader = leader_of(lab)
    raise_fault(lab, "slow-disk", leader, FaultOptions(milliseconds=150))
    with writing(lab):
        yield leader
    undo_fault(lab, "slow-disk", leader, FaultOptions())


def test_leadership_leaves_the_slow_disk_and_the_cause_is_handed_on(lab, slow_leader, tmp_path):
    sretool = Sretool(lab.base, lab.name, state=tmp_path / "state")
    look = ("runbook", "etcd-latency", "--plan", "-p", "window=3s", "--output", "json")
    looked = seen(lambda: sretool(*look), as_expected=lambda done: done.returncode == 3)
    report = json.loads(looked.stdout)
    assert looked.returncode == 3, looked.stdout + looked.stderr
    causes = {(one["verdict"], one["subject"]) for one in report["found"] if one["severity"] == "critical"}
    assert causes == {("disk-slow-leader", slow_leader)}, looked.stdout
    assert [change["verb"] for change in report["planned"]] == ["move-leader"]

    # It is refused, rightly, while the machine's own disk is too slow under the other two.
    words = ("--approve", "disruptive", "-p", "window=3s", "-p", "second_look=1s")
    done = seen(
        lambda: sretool("runbook", "etcd-latency", *words),
        as_expected=lambda done: "no voter can take leadership" not in " ".join(done.stdout.split()),
    )
    assert ("move-leader", "done") in results(sretool.journal()), done.stdout + done.stderr
    assert leader_of(lab) != slow_leader
    assert done.returncode == 9, done.stdout + done.stderr
    assert "disk-slow-minority" in done.stdout
    assert "etcd-member-replace" in done.stdout
