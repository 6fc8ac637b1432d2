"""kill -9 at every journal record and inside every write, then `resume`: the same end state, no effect twice."""

import json

import pytest

from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, empty, fill, put_succeeds, statuses
from tests.support.sretool_cli import Sretool

pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.timeout(180),
]

RECORDS = 24  # one recovery writes about this many times; a point behind the end must end the run itself
WRITES = 8  # snapshot, compact, three defragmentations, a move, a disarm a member, the proof


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("cr")
    with running_lab(base, LabSpec(name="cr", quota_bytes=16 << 20)) as lab:
        lab.base = base
        yield lab


RECOVER = ("runbook", "etcd-nospace", "--approve", "irreversible", "-p", "second_look=1s")


def defragmentations(lab):
    from sretool.lab.members import read_metrics

    return {
        member.name: read_metrics(member)["etcd_disk_backend_defrag_duration_seconds_count"]
        for member in lab.members
    }


def has_ended(sretool):
    """Tell whether the run's last whole record is its ending, and a good one."""
    try:
        last = sretool.journal()[-1]
    except (IndexError, json.JSONDecodeError):
        return False
    return last["kind"] == "end" and last["body"]["exit_code"] == 0


# Just before a write is just after the record of its intent; just after it is before that of its outcome.
POINTS = [
    *(f"record:{n}" for n in range(1, RECORDS + 1)),
    *(f"inside:{n}" for n in range(1, WRITES + 1)),
    *(f"after:{n}" for n in range(1, WRITES + 1)),
    *("torn:3", "torn:5", "torn:9"),
]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_is_resumed_to_the_same_end(lab, point, tmp_path):
    sretool = Sretool(lab.base, lab.name, state=tmp_path / "state")
    fill(lab)
    before = defragmentations(lab)
    try:
        killed = sretool(*RECOVER, crash=point)
        if killed.returncode == 0:  # the point lies behind the end of the run
            assert put_succeeds(lab)
            return
        assert killed.returncode == -9, killed.stdout + killed.stderr
        if has_ended(sretool):  # killed after its last record: nothing is open
            assert put_succeeds(lab)
            return
        resumed = sretool("resume", "--approve", "irreversible")
        if "began" in resumed.stderr and resumed.returncode == 4:  # killed before its first record was whole
            resumed = sretool(*RECOVER)
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert alarms(lab) == ""
        assert put_succeeds(lab)
        assert all(status["dbSize"] < 8 << 20 for status in statuses(lab).values())
        after = defragmentations(lab)
        assert {name: count + 1 for name, count in before.items()} == after, "an effect was repeated"
        assert sretool("report").returncode == 0
    finally:
        empty(lab)
