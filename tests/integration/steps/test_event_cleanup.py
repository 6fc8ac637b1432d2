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


@pytest.fixture
def step():
    """One of a run: it remembers what it has deleted."""
    return KubernetesEventCleanup()


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


def test_the_writers_are_named_and_nothing_is_deleted_without_a_selection(steps, step):
    given = KubernetesEventCleanupParams(flood=2 * EACH)
    facts = steps.look(step, given)
    assert facts.events >= 2 * EACH
    assert facts.flood
    assert "web/FailedScheduling by default-scheduler" in facts.writers
    proposal = steps.plan(step, given)
    assert [one.verdict for one in proposal.findings] == ["event-flood"]
    assert proposal.waves == ()


def test_a_named_reason_is_exported_and_deleted_in_limited_pages_and_others_stay(steps, step):
    given = params("shop", "FailedScheduling")
    before = names(steps, "shop", "FailedScheduling")
    others = names(steps, "shop", "BackOff"), names(steps, "web", "FailedScheduling")
    (export,), (first, second) = steps.plan(step, given).waves

    assert step.observe(steps.reader(), export).result is Result.NOT_DONE
    assert steps.make(step, export).measured == {"objects": len(before)}
    path = Path(export.selection["path"])
    exported = [json.loads(line)["metadata"]["name"] for line in path.read_text().splitlines()]
    assert sorted(exported) == sorted(before)
    assert path.stat().st_mode & 0o777 == 0o600

    assert step.observe(steps.reader(), first).result is Result.NOT_DONE
    assert steps.make(step, first).result is Result.DONE
    assert len(names(steps, "shop", "FailedScheduling")) == len(before) - 500
    assert steps.make(step, second).result is Result.DONE
    assert names(steps, "shop", "FailedScheduling") == []
    assert steps.make(step, second).result is Result.DONE  # once more deletes nothing
    assert (names(steps, "shop", "BackOff"), names(steps, "web", "FailedScheduling")) == others
    assert steps.plan(step, given, (made(export), made(first), made(second))).waves == ()
    assert steps.plan(step, given).waves == ()


def test_an_age_floor_deletes_by_name_and_leaves_what_was_written_again_since(steps, lab, step):
    given = params("web", "BackOff", older_than=Duration.parse("2m"))
    proposal = steps.plan(step, given)
    (first, *_) = (one for one in proposal.changes if one.verb == "delete-events")
    spared, *_ = (one[0] for one in first.selection["each"])
    before = names(steps, "web", "BackOff")
    with lab.api() as api:
        api.patch(f"/api/v1/namespaces/web/events/{spared}", {"count": 7})

    outcome = steps.make(step, first)
    assert outcome.result is Result.DONE
    left = names(steps, "web", "BackOff")
    assert spared in left
    assert len(left) == len(before) - len(first.selection["each"]) + 1


def test_a_source_that_still_writes_is_refused(steps, lab, step):
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
    proposal = steps.plan(step, params("shop", "Noisy", while_written=False))
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert "deleting cannot help: test wrote" in held.why


def flood(lab, namespace, count, reason="BackOff"):
    options = FaultOptions(count=count, namespaces=(namespace,), reasons=(reason,), minutes=10)
    raise_fault(lab, "event-flood", "", options)


def planned(steps, namespace, **given):
    """Return a planned change that deletes BackOff in a namespace through the API server."""
    changes = steps.plan(KubernetesEventCleanup(), params(namespace, "BackOff", **given)).changes
    return next(one for one in changes if one.verb == "delete-events")


def make(lab, namespace, name):
    event = {
        "metadata": {"name": name},
        "reason": "BackOff",
        "type": "Warning",
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web"},
    }
    with lab.api() as api:
        api.create(f"/api/v1/namespaces/{namespace}/events", event)


def test_what_was_told_again_is_left_and_what_was_made_anew_is_not(steps, lab, step):
    flood(lab, "anew", 120)
    change = planned(steps, "anew")
    told_again, made_anew, *_ = names(steps, "anew", "BackOff")
    with lab.api() as api:
        api.patch(f"/api/v1/namespaces/anew/events/{told_again}", {"count": 7})
        api.delete(f"/api/v1/namespaces/anew/events/{made_anew}")
    make(lab, "anew", made_anew)
    outcome = step.observe(steps.reader(), change)
    assert (outcome.result, outcome.measured) == (Result.PARTLY, {"left": 119})
    assert "119 of 120 events are left; 1 of this reason were written since" in outcome.evidence


def test_new_ones_go_within_the_limit_only_and_then_the_deletion_is_done(steps, lab, step):
    flood(lab, "few", 130)
    ((_export,), (change,)) = steps.plan(step, params("few", "BackOff", max_objects=120)).waves
    for one in range(3):
        make(lab, "few", f"a-{one}")  # listed before those that were planned
    outcome = steps.make(step, change)
    assert outcome.result is Result.DONE
    assert outcome.measured["gone"] == 120
    assert "the most that may go with it; 3 of this batch are left" in outcome.evidence
    assert len(names(steps, "few", "BackOff")) == 13
    (held,) = steps.plan(step, params("few", "BackOff", max_objects=120)).held
    assert "this one has deleted 120" in held.why


def test_the_worst_is_one_that_parameters_may_name(steps, lab, step):
    flood(lab, "odd", 4 * EACH, reason="")
    flood(lab, "odd", 3 * EACH, reason="Two words")
    facts = steps.look(step, KubernetesEventCleanupParams())
    assert [one.partition(" by ")[0] for one in facts.writers[:2]] == ["odd/(none)", "odd/Two words"]
    given = KubernetesEventCleanupParams(namespaces=facts.worst_namespace, reasons=facts.worst_reason)
    assert given.reasons in ("FailedScheduling", "BackOff")


def deletion(steps):
    """Return a planned change that deletes through the API server."""
    planned = steps.plan(KubernetesEventCleanup(), params("web", "FailedScheduling")).changes
    return next(one for one in planned if one.verb == "delete-events")


def test_an_api_server_that_gives_no_answer_may_still_be_deleting(steps, step):
    change = deletion(steps)
    lab_reader = steps.cluster.reader(Deadline(CLOCK, 0.001))
    CLOCK.pause(0.01)
    assert step.observe(lab_reader, change).result is Result.CANNOT_TELL


def test_where_nobody_listens_any_more_it_is_looked_for_in_etcd(lab, steps, step):
    change = deletion(steps)
    raise_fault(lab, "api-down")
    try:
        outcome = step.observe(steps.cluster.reader(Deadline(CLOCK, 30.0)), change)
    finally:
        undo_fault(lab, "api-down")
    assert outcome.result is Result.NOT_DONE
    assert "events are left (seen in etcd: API server" in outcome.evidence
