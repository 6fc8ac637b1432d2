"""NOSPACE on a Kubernetes etcd that is full of events: recovered and trimmed by etcd-latency, in the one safe order."""

import json
import time

import pytest

from sretool.clock import Deadline
from sretool.cluster.state import read_leases
from sretool.knowledge.guard_leases import is_stale
from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab

pytestmark = [pytest.mark.real, pytest.mark.slow]
NAMED = ("-p", "trim_namespaces=shop", "-p", "trim_reasons=BackOff", "-p", "events_max=500")


@pytest.fixture
def lab(tmp_path):
    with running_lab(tmp_path, LabSpec(name="full", kubernetes=True, quota_bytes=24 << 20)) as lab:
        raise_fault(
            lab, "event-flood", "", FaultOptions(count=800, namespaces=("shop",), reasons=("BackOff",))
        )
        raise_fault(lab, "fill", "m1", FaultOptions())
        time.sleep(6)  # what was written in the last five seconds is still being written
        yield lab


def test_compacted_trimmed_compacted_again_defragmented_and_disarmed_without_waiting_for_leases(
    lab, tmp_path
):
    sretool = Sretool(tmp_path, "full")
    words = ("runbook", "etcd-latency", "-p", "window=1s", "-p", "second_look=1s", *NAMED)
    done = sretool(*words, "--approve", "irreversible")
    assert done.returncode == 0, done.stdout + done.stderr
    records = sretool.journal()
    kinds = [record["body"]["verb"] for record in records if record["kind"] == "outcome"]
    order = [verb for verb in dict.fromkeys(kinds) if verb != "move-leader"]
    assert order == [
        "save-snapshot", "compact", "export-events", "delete-events", "defragment", "disarm", "prove-writes",
    ]  # fmt: skip
    assert kinds.count("compact") == 2
    assert (
        kinds.index("delete-events")
        < len(kinds) - 1 - kinds[::-1].index("compact")
        < kinds.index("defragment")
    )
    (approval,) = (record["body"] for record in records if record["kind"] == "approval")
    assert "no Lease: etcd takes no writes (NOSPACE)" in approval["lock"]
    (plan,) = (record["body"]["plan"] for record in records if record["kind"] == "plan")
    assert plan["notes"] == ["the lease guard is suspended: under NOSPACE no lease can be renewed"]
    assert "not renewed" not in done.stderr
    exported = list((sretool.state / "sretool" / "events" / "full").glob("shop-BackOff-*.jsonl"))
    assert sum(len(path.read_text().splitlines()) for path in exported) == 800
    assert all(json.loads(line)["reason"] == "BackOff" for line in exported[0].read_text().splitlines())
    assert again_alive(lab)


def again_alive(lab, seconds=60.0):
    """Tell whether an API server renews its lease again: writes are taken."""
    deadline = Deadline(CLOCK, seconds)
    with StepsOnALab(lab) as steps:
        while deadline.left():
            leases = read_leases(steps.reader().etcd)
            if any(one.name.startswith("apiserver-") and not is_stale(one) for one in leases):
                return True
            CLOCK.pause(0.5)
    return False
