"""kubernetes.event-cleanup on a real API server: floods by the API, exports, preconditions, what stays."""

import json
from pathlib import Path

import pytest

from sretool.clock import Deadline
from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from sretool.model import Result
from sretool.step import Duration
from sretool.steps.kubernetes_event_cleanup import KubernetesEventCleanup, KubernetesEventCleanupParams
from tests.support.etcd_cluster import running_lab
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab, made

pytestmark = pytest.mark.real
STEP = KubernetesEventCleanup()
EACH = 600  # in each of two namespaces, of each of two reasons


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    spec = LabSpec(name="events", members=1, kubernetes=True)
    with running_lab(tmp_path_factory.mktemp("events"), spec) as lab:
        options = FaultOptions(
            count=4 * EACH, namespaces=("shop", "web"), reasons=("FailedScheduling", "BackOff"), minutes=10
        )
        raise_fault(lab, "event-flood", "", options)
        yield lab


@pytest.fixture(scope="module")
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def params(namespaces, reasons, **given):
    values = {"while_written": True}  # the flood of the lab ends when the test begins
    return KubernetesEventCleanupParams(namespaces=namespaces, reasons=reasons, **values | given)


def names(steps, namespace, reason):
    path = f"/api/v1/namespaces/{namespace}/events"
    pages = steps.reader().kubernetes.pages(path, field_selector=f"reason={reason}")
    return [one["metadata"]["name"] for page in pages for one in page]


def test_the_writers_are_named_and_nothing_is_deleted_without_a_selection(steps):
    given = KubernetesEventCleanupParams(flood=2 * EACH)
    facts = steps.look(STEP, given)
    assert facts.events >= 2 * EACH
    assert facts.flood
    assert "web/FailedScheduling by default-scheduler" in facts.writers
    proposal = steps.plan(STEP, given)
    assert [one.verdict for one in proposal.findings] == ["event-flood"]
    assert proposal.waves == ()


def test_a_named_reason_is_exported_and_deleted_in_limited_pages_and_others_stay(steps):
    given = params("shop", "FailedScheduling")
    before = names(steps, "shop", "FailedScheduling")
    others = names(steps, "shop", "BackOff"), names(steps, "web", "FailedScheduling")
    (export,), (first, second) = steps.plan(STEP, given).waves

    assert STEP.observe(steps.reader(), export).result is Result.NOT_DONE
    assert steps.make(STEP, export).measured == {"objects": len(before)}
    path = Path(export.selection["path"])
    exported = [json.loads(line)["metadata"]["name"] for line in path.read_text().splitlines()]
    assert sorted(exported) == sorted(before)
    assert path.stat().st_mode & 0o777 == 0o600

    assert STEP.observe(steps.reader(), first).result is Result.NOT_DONE
    assert steps.make(STEP, first).result is Result.DONE
    assert len(names(steps, "shop", "FailedScheduling")) == len(before) - 500
    assert steps.make(STEP, second).result is Result.DONE
    assert names(steps, "shop", "FailedScheduling") == []
    assert steps.make(STEP, second).result is Result.DONE  # once more deletes nothing
    assert (names(steps, "shop", "BackOff"), names(steps, "web", "FailedScheduling")) == others
    assert steps.plan(STEP, given, (made(export), made(first), made(second))).waves == ()
    assert steps.plan(STEP, given).waves == ()


def test_an_age_floor_deletes_by_name_and_leaves_what_was_written_again_since(steps, lab):
    given = params("web", "BackOff", older_than=Duration.parse("2m"))
    proposal = steps.plan(STEP, given)
    (first, *_) = (one for one in proposal.changes if one.verb == "delete-events")
    spared, *_ = (one[0] for one in first.selection["each"])
    before = names(steps, "web", "BackOff")
    with lab.api() as api:
        api.patch(f"/api/v1/namespaces/web/events/{spared}", {"count": 7})

    outcome = steps.make(STEP, first)
    assert outcome.result is Result.DONE
    left = names(steps, "web", "BackOff")
    assert spared in left
    assert len(left) == len(before) - len(first.selection["each"]) + 1


def test_a_source_that_still_writes_is_refused(steps, lab):
    with lab.api() as api:
        for one in range(110):
            event = {
                "metadata": {"name": f"noisy-{one}"},
                "reason": "Noisy",
                "type": "Normal",
                "involvedObject": {"kind": "Pod", "namespace": "shop", "name": f"loud-{one}"},
                "reportingComponent": "test",
            }
            api.create("/api/v1/namespaces/shop/events", event)
    proposal = steps.plan(STEP, params("shop", "Noisy", while_written=False))
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert "deleting cannot help: test wrote" in held.why


def deletion(steps):
    """Return a planned change that deletes through the API server."""
    planned = steps.plan(STEP, params("web", "FailedScheduling")).changes
    return next(one for one in planned if one.verb == "delete-events")


def test_an_api_server_that_gives_no_answer_may_still_be_deleting(steps):
    change = deletion(steps)
    lab_reader = steps.cluster.reader(Deadline(CLOCK, 0.001))
    CLOCK.pause(0.01)
    assert STEP.observe(lab_reader, change).result is Result.CANNOT_TELL


def test_where_nobody_listens_any_more_it_is_looked_for_in_etcd(lab, steps):
    change = deletion(steps)
    raise_fault(lab, "api-down")
    try:
        outcome = STEP.observe(steps.cluster.reader(Deadline(CLOCK, 30.0)), change)
    finally:
        undo_fault(lab, "api-down")
    assert outcome.result is Result.NOT_DONE
    assert "events are left (seen in etcd: API server" in outcome.evidence
