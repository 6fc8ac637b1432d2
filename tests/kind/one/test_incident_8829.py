"""The playbook incident-8829 on a real cluster: a runaway, its events, and what is deliberately left undone."""

import datetime
import json

from tests.support.kind_cluster import autoscaler

SPACE, WANTED, FLOOD = "incident", 120, 400
GIVEN = ("-p", f"flood={FLOOD}", "-p", "window=2s", "-p", "second_look=20s", "--output", "json")


def old_event(number):
    """Return an event as the scheduler wrote it ten minutes ago, about a pod of the runaway."""
    written = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)
    at = written.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"old-{number}", "namespace": SPACE},
        "involvedObject": {
            "kind": "Pod",
            "name": f"web-{number % 9}",
            "namespace": SPACE,
            "apiVersion": "v1",
        },
        "reason": "FailedScheduling",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
        "type": "Warning",
        "source": {"component": "default-scheduler"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def scale(kind):
    deployment = kind.read("deployment", "web", "-n", SPACE)
    limits = kind.read("hpa", "web", "-n", SPACE)["spec"]
    return deployment["spec"]["replicas"], limits["minReplicas"], limits["maxReplicas"]


def failed_schedulings(kind):
    return [one for one in kind.read("events", "-n", SPACE)["items"] if one["reason"] == "FailedScheduling"]


def test_the_incident_is_planned_recovered_and_reported(kind, sretool, namespaces):
    namespaces(SPACE)
    kind.create(*(old_event(number) for number in range(FLOOD + 1)))
    kind.create(kind.deployment(SPACE, replicas=5, cpu="100m"), autoscaler(SPACE, replicas=WANTED))
    kind.wait_until(lambda: scale(kind)[0] == WANTED, f"{WANTED} replicas")
    kind.wait_until(lambda: len(failed_schedulings(kind)) > FLOOD + WANTED / 2, "the scheduler's own events")

    planned = sretool("playbook", "incident-8829", *GIVEN, "--plan")
    assert planned.returncode == 3, planned.stdout + planned.stderr
    assert scale(kind) == (WANTED, WANTED, WANTED)

    applied = sretool("playbook", "incident-8829", *GIVEN, "--approve", "irreversible")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    replicas, least, most = scale(kind)
    assert replicas == least == most < WANTED
    assert failed_schedulings(kind) == []
    assert kind.read("resourcequotas", "-A")["items"] == [], "the guardrails are held"

    undone = sretool("undo", json.loads(applied.stdout)["run"], "--approve", "irreversible")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert "is irreversible" in " ".join(undone.stderr.split()), "the events are gone for good"
    assert scale(kind) == (WANTED, WANTED, WANTED)
