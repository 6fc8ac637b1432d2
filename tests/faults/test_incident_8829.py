"""INCIDENT-8829 rebuilt small on a real control plane: a runaway autoscaler, its events, a full etcd, a slow disk."""

import contextlib
import json
import shutil
import sys
import time

import pytest

from sretool.lab import LabSpec
from sretool.lab.control_plane import CONTROLLER_MANAGER, SCHEDULER
from sretool.lab.processes import wait_until
from tests.support.background_writer import writing
from tests.support.beside import beside
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, empty, fault, fill, statuses
from tests.support.sretool_cli import ROOT, Sretool
from tests.support.terminal import Person

pytestmark = [pytest.mark.real, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]

REPLICAS, EVENTS, FLOOD = 120, 10_000, 5_000
HPA = "/apis/autoscaling/v2/namespaces/runaway/horizontalpodautoscalers/web"
DEPLOYMENT = "/apis/apps/v1/namespaces/runaway/deployments/web"
INCIDENT = ("playbook", "incident-8829", "-p", f"flood={FLOOD}", "-p", "window=2s", "-p", "second_look=3s")
APPROVED = (*INCIDENT, "--approve", "irreversible")
QUESTION = "anything else is No: "
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

    def watch(ended):
        while not ended.wait(1.0):
            for name in (CONTROLLER_MANAGER, SCHEDULER):
                if lab.find_running(name) is None:
                    lab.start_components(name)

    with beside(watch):
        yield


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


def person(sretool, *arguments):
    return Person([sys.executable, "-m", "sretool", *arguments], env=sretool.environment, cwd=ROOT)


def gates(sretool):
    """Return each answer at a gate, in order."""
    bodies = [record["body"] for record in sretool.journal() if record["kind"] == "gate"]
    return [(body["stage"], body["granted"]) for body in bodies]


def events_of(lab, namespace):
    return len(live(lab, f"/api/v1/namespaces/{namespace}/events")["items"])


def calm_down(lab):
    """Leave one replica, and wait until the others are gone."""
    try:
        live(lab, HPA)
    except Exception:  # noqa: BLE001 - there is no runaway
        return
    with lab.api() as api:
        api.patch(HPA, {"spec": {"minReplicas": 1, "maxReplicas": 1}})
        api.patch(DEPLOYMENT, {"spec": {"replicas": 1}})
    ends = time.monotonic() + 60
    while len(live(lab, "/api/v1/namespaces/runaway/pods")["items"]) > 1:
        assert time.monotonic() < ends, "the pods stay"
        time.sleep(0.2)


def was_scaled(sretool):
    """Tell whether the run scaled; it drops that when the autoscaler that it has held did so first."""
    dropped = [record["body"]["key"] for record in sretool.journal() if record["kind"] == "dropped"]
    return not any("/scale/" in key for key in dropped)


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


@contextlib.contextmanager
def slow_disk(lab):
    """Slow the disk of a member that does not lead, while others write; yield the verdict that this deserves."""
    with writing(lab):
        if not shutil.which("strace"):
            yield []
            return
        member = follower(lab)
        fault(lab, "slow-disk", member, "--milliseconds", "80")
        try:
            yield ["disk-slow-minority"]
        finally:
            fault(lab, "slow-disk", member, "--undo")


def test_without_nospace_the_source_is_stopped_first_and_every_cause_is_named(lab, sretool):
    empty(lab)  # of what another test has filled it with
    run_away(lab)
    fault(lab, "event-flood", "--count", str(EVENTS))
    fault(lab, "fragment", "m1", "--size", "30Mi")
    with slow_disk(lab) as verdict:
        planned = sretool(*INCIDENT, seconds=200)
        assert planned.returncode == 3, planned.stdout + planned.stderr
        found = [cause["verdict"] for cause in report(sretool)["causes"]]
        assert found == ["runaway", "event-flood", "db-large", *verdict]
        assert bounds(lab) == (REPLICAS, REPLICAS, REPLICAS)
        told = [one for one in report(sretool)["not_done"] if one["short"].startswith("disk-slow")]
        assert len(told) == len(verdict)
        assert all("this playbook has no remedy for it: etcd-member-replace" in one["why"] for one in told)
        assert all("by hand: replace the member, or its disk" in one["why"] for one in told)

        done = sretool(*APPROVED, *NAMED, seconds=300)
        # What this disk needs is a new one, which nobody has put in.
        assert done.returncode == (9 if verdict else 0), done.stdout + done.stderr
    order = list(dict.fromkeys((stage, verb) for stage, verb, result in deeds(sretool) if result == "done"))
    scaled = [("stop", "scale")] if was_scaled(sretool) else []
    expected = [("stop", "cap-hpa"), *scaled, ("drain", "export-events"), ("drain", "delete-events")]
    assert order[: len(expected)] == expected
    assert bounds(lab) == (20, 20, 20), "the autoscaler has put replicas back"
    told = report(sretool)
    numbers = {one["name"]: (one["before"], one["after"]) for one in told["numbers"]}
    assert numbers["replicas wanted"] == (REPLICAS, 20)
    assert numbers["events"][0] >= EVENTS > FLOOD > numbers["events"][1]
    assert any("guardrails" in one["what"] for one in told["not_done"])

    undone = sretool("undo", sretool.run_ids()[-1], "--approve", "disruptive")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    # What the autoscaler has scaled down it scales up again, in its own time.
    assert wait_until(lambda: bounds(lab) == (REPLICAS,) * 3, seconds=0 if scaled else 60, every=0.5)
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
    assert verbs[verbs.index("cap-hpa") :] == ["cap-hpa", *(["scale"] if was_scaled(sretool) else [])]
    assert gates(sretool)[:2] == [("stop", True)] * 2, (
        "one approval for all of the stage, and one more after the crash"
    )
    assert alarms(lab) == ""
    assert bounds(lab) == (1, 1, 1), "the autoscaler has put replicas back"


def test_each_gate_is_asked_at_a_terminal_and_a_no_leaves_that_stage_to_a_resume(lab, sretool):
    run_away(lab)
    fault(lab, "event-flood", "--count", "600")
    small = ("playbook", "incident-8829", "-p", "flood=500", "-p", "window=1s")
    with person(sretool, *small) as asked:
        asked.wait_for(QUESTION)
        assert "2 changes on inc: disruptive" in asked.seen
        asked.type("prod\r")
        assert asked.end() == 3, asked.seen
    with person(sretool, "resume", *sretool.run_ids()) as asked:
        asked.wait_for(QUESTION)
        asked.type("\x03")
        assert asked.end() == 130, asked.seen
    assert bounds(lab) == (REPLICAS, REPLICAS, REPLICAS)

    with person(sretool, "resume", *sretool.run_ids()) as asked:
        asked.wait_for(QUESTION)
        asked.type("inc\r")
        asked.seen = ""
        asked.wait_for(QUESTION)
        assert "There is no way back from: delete-events FailedScheduling in flood" in asked.seen
        asked.type("\r")
        assert asked.end() == 5, asked.seen
    assert bounds(lab) == (1, 1, 1)
    assert events_of(lab, "flood") >= 600

    with person(sretool, "resume", *sretool.run_ids()) as asked:
        asked.wait_for(QUESTION)
        assert "cap-hpa" not in asked.seen, "what was done is not asked about again"
        asked.type("inc\r")
        assert asked.end() in (0, 9), asked.seen
    assert events_of(lab, "flood") == 0
    assert gates(sretool) == [("stop", False), ("stop", True), ("drain", False), ("drain", True)]


def test_the_held_stage_runs_when_it_is_named_and_only_that_and_is_taken_back(lab, sretool):
    calm_down(lab)
    fault(lab, "bare-namespaces", "--count", "3")
    done = sretool(*INCIDENT, "--stage", "guardrails", "--approve", "reversible")
    assert done.returncode in (0, 9), done.stdout + done.stderr
    assert {(stage, verb, result) for stage, verb, result in deeds(sretool)} == {
        ("guardrails", "apply-quota", "done")
    }
    limited = {one["metadata"]["namespace"] for one in live(lab, "/api/v1/resourcequotas")["items"]}
    assert len(limited) >= 3
    told = {one["id"]: one["sentence"] for one in report(sretool)["stages"]}
    assert {told[one] for one in ("stop", "drain", "recover")} == {"only other stages were asked for"}

    undone = sretool("undo", sretool.run_ids()[-1], "--approve", "reversible")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert live(lab, "/api/v1/resourcequotas")["items"] == []


@pytest.mark.parametrize(
    ("stage", "words"), [("look", "only looks"), ("guardrail", "(did you mean guardrails?)")]
)
def test_a_stage_that_cannot_be_named_is_refused_and_leaves_no_record(lab, sretool, stage, words):
    done = sretool(*INCIDENT, "--stage", stage, "--approve", "reversible")
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not (sretool.state / "sretool" / "runs").exists()
