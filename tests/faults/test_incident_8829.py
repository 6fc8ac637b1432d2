"""INCIDENT-8829 rebuilt small on a real control plane: a runaway autoscaler, its events, a full etcd, a slow disk."""

import contextlib
import json
import shutil
import threading

import pytest

from sretool.lab import LabSpec
from sretool.lab.control_plane import CONTROLLER_MANAGER, SCHEDULER
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, fault, fill, statuses
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

REPLICAS, EVENTS, FLOOD = 120, 2500, 2000
HPA = "/apis/autoscaling/v2/namespaces/runaway/horizontalpodautoscalers/web"
DEPLOYMENT = "/apis/apps/v1/namespaces/runaway/deployments/web"
INCIDENT = ("playbook", "incident-8829", "-p", f"flood={FLOOD}", "-p", "window=2s", "-p", "second_look=3s")
APPROVED = (*INCIDENT, "--approve", "irreversible")
NAMED = ("-p", "namespace=runaway", "-p", "deployment=web", "-p", "replicas=20")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("inc")
    spec = LabSpec(name="inc", kubernetes=True, nodes=1, quota_bytes=48 << 20)
    with running_lab(base, spec) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


@contextlib.contextmanager
def kubelet(lab):
    """Start again what ends by itself, as a kubelet does with static pods: without etcd's writes no lease lives."""
    ended = threading.Event()

    def watch():
        while not ended.wait(1.0):
            for name in (CONTROLLER_MANAGER, SCHEDULER):
                if lab.find_running(name) is None:
                    lab.start_components(name)

    thread = threading.Thread(target=watch, name="kubelet")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def live(lab, path):
    with lab.api() as api:
        return api.get(path)


def bounds(lab):
    spec = live(lab, HPA)["spec"]
    return spec["minReplicas"], spec["maxReplicas"], live(lab, DEPLOYMENT)["spec"]["replicas"]


def follower(lab):
    """Return the name of a member that does not lead."""
    found = statuses(lab).items()
    return next(name for name, status in found if status["leader"] != status["header"]["member_id"])


def run_away(lab):
    """Let the autoscaler make its replicas (again)."""
    try:
        live(lab, HPA)
    except Exception:  # noqa: BLE001 - it is not there yet
        fault(lab, "runaway", "--count", str(REPLICAS))
        return
    with lab.api() as api:
        for path, spec in (
            (HPA, {"minReplicas": REPLICAS, "maxReplicas": REPLICAS}),
            (DEPLOYMENT, {"replicas": REPLICAS}),
        ):
            api.patch(path, {"spec": spec})


def deeds(sretool):
    """Return stage, verb and result of every outcome, in order."""
    return [
        (record["scope"].partition("/")[0], record["body"]["verb"], record["body"]["outcome"]["result"])
        for record in sretool.journal()
        if record["kind"] == "outcome"
    ]


def report(sretool):
    shown = sretool("report", sretool.run_ids()[-1], "--output", "json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_without_nospace_the_source_is_stopped_first_and_every_cause_is_named(lab, sretool):
    run_away(lab)
    fault(lab, "event-flood", "--count", str(EVENTS))
    fault(lab, "fragment", "m1", "--size", "30Mi")
    with contextlib.ExitStack() as slow:
        slow.enter_context(writing(lab))
        if shutil.which("strace"):
            member = follower(lab)
            fault(lab, "slow-disk", member, "--milliseconds", "80")
            slow.callback(fault, lab, "slow-disk", member, "--undo")
        planned = sretool(*INCIDENT)
    assert planned.returncode == 3, planned.stdout + planned.stderr
    found = [cause["verdict"] for cause in report(sretool)["causes"]]
    slow_disk = ["disk-slow-minority"] if shutil.which("strace") else []
    assert found == ["runaway", "event-flood", "db-large", *slow_disk]
    assert bounds(lab) == (REPLICAS, REPLICAS, REPLICAS)

    done = sretool(*APPROVED, *NAMED)
    assert done.returncode in (0, 9), done.stdout + done.stderr
    order = list(dict.fromkeys((stage, verb) for stage, verb, result in deeds(sretool) if result == "done"))
    assert order[:4] == [
        ("stop", "cap-hpa"),
        ("stop", "scale"),
        ("drain", "export-events"),
        ("drain", "delete-events"),
    ]
    assert bounds(lab) == (20, 20, 20), "the autoscaler has put replicas back"
    told = report(sretool)
    numbers = {one["name"]: (one["before"], one["after"]) for one in told["numbers"]}
    assert numbers["replicas wanted"] == (REPLICAS, 20)
    assert numbers["events"][0] >= EVENTS > FLOOD > numbers["events"][1]
    assert any("guardrails" in one["what"] for one in told["not_done"])

    undone = sretool("undo", sretool.run_ids()[-1], "--approve", "disruptive")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert bounds(lab) == (REPLICAS, REPLICAS, REPLICAS)
    markdown = sretool("report", sretool.run_ids()[-1]).stdout
    assert "## What was not done, and why" in markdown
    assert "| replicas wanted | 120 | 20 |" in markdown


def test_with_nospace_etcd_comes_first_and_a_killed_playbook_is_resumed_to_the_same_end(lab, sretool):
    run_away(lab)
    fill(lab)
    assert "NOSPACE" in alarms(lab)
    with kubelet(lab):
        killed = sretool(*APPROVED, crash="after:7")
        assert killed.returncode == -9, killed.stdout + killed.stderr
        done = sretool("resume", "--approve", "irreversible")
    assert done.returncode == 0, done.stdout + done.stderr
    verbs = [verb for stage, verb, result in deeds(sretool) if (stage, result) == ("stop", "done")]
    assert verbs.index("compact") < verbs.index("defragment") < verbs.index("disarm") < verbs.index("cap-hpa")
    assert verbs[-2:] == ["cap-hpa", "scale"]
    gates = [record["body"]["stage"] for record in sretool.journal() if record["kind"] == "gate"]
    assert gates[:2] == ["stop", "stop"], "one approval for all of the stage, and one more after the crash"
    assert alarms(lab) == ""
    assert bounds(lab) == (1, 1, 1), "the autoscaler has put replicas back"
