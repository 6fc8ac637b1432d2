"""quota-rollout on a real cluster: planned, applied, verified by what is then refused, undone."""

import json

from tests.support.kind_cluster import writes_of

GIVEN = (
    "-p",
    "namespaces=team-*",
    "-p",
    "hard=pods=2,requests.cpu=1",
    "-p",
    "default_requests=cpu=100m,memory=16Mi",
)
CHOSEN = ("team-a", "team-b")


def ready_pods(kind, namespace):
    pods = kind.read("pods", "-n", namespace)["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def rejections(kind, namespace):
    events = kind.read("events", "-n", namespace)["items"]
    return [event["message"] for event in events if event["reason"] == "FailedCreate"]


def test_a_rollout_is_planned_applied_enforced_and_undone(kind, sretool, namespaces):
    namespaces(*CHOSEN, "beside")
    before = kind.audited()
    planned = sretool("runbook", "quota-rollout", *GIVEN, "--plan", "--output", "json")
    assert planned.returncode == 3, planned.stdout + planned.stderr
    assert [one["object"] for one in json.loads(planned.stdout)["planned"]] == list(CHOSEN)
    assert writes_of("sretool", kind.audited(since=before)) == []

    applied = sretool("runbook", "quota-rollout", *GIVEN, "--approve", "reversible", "--output", "json")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert writes_of("sretool", kind.audited(since=before)), (
        "the audit log does not know sretool's writes by its name"
    )
    quotas = kind.read("resourcequotas", "-A")["items"]
    assert [one["metadata"]["namespace"] for one in quotas] == list(CHOSEN)

    for namespace in CHOSEN:
        kind.create(kind.deployment(namespace, replicas=3, cpu=""))
    for namespace in CHOSEN:
        kind.wait_until(
            lambda where=namespace: len(ready_pods(kind, where)) == 2, f"two pods of three in {namespace}"
        )
        limited = kind.read("pods", "-n", namespace)["items"][0]["spec"]["containers"][0]["resources"]
        assert limited["requests"] == {"cpu": "100m", "memory": "16Mi"}, "the LimitRange's defaults"
        kind.wait_until(lambda where=namespace: rejections(kind, where), f"a rejected pod in {namespace}")
        assert "exceeded quota: sretool" in rejections(kind, namespace)[0]

    again = sretool("runbook", "quota-rollout", *GIVEN, "--approve", "reversible")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "no change is due" in again.stdout

    undone = sretool("undo", json.loads(applied.stdout)["run"], "--approve", "reversible")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert kind.read("resourcequotas,limitranges", "-A")["items"] == []
