"""event-flood on a real cluster: the writer is named, its events are exported and deleted, others are left."""

import datetime
import json

from tests.support.kind_cluster import writes_of

SPACE, REASON, COUNT, OTHERS = "noisy", "BackOff", 400, 30
GIVEN = ("-p", "flood=300")
CHOSEN = (*GIVEN, "-p", f"namespaces={SPACE}", "-p", f"reasons={REASON}")


def event(number, reason):
    """Return an event of ten minutes ago."""
    written = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)
    at = written.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{reason.lower()}-{number}", "namespace": SPACE},
        "involvedObject": {
            "kind": "Pod",
            "name": f"web-{number % 5}",
            "namespace": SPACE,
            "apiVersion": "v1",
        },
        "reason": reason,
        "message": "Back-off restarting failed container",
        "type": "Warning",
        "source": {"component": "kubelet"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def reasons(kind):
    return sorted({one["reason"] for one in kind.read("events", "-n", SPACE)["items"]})


def test_a_flood_is_found_planned_exported_deleted_and_not_undone(kind, sretool, namespaces):
    namespaces(SPACE)
    kind.create(*(event(number, REASON) for number in range(COUNT)))
    kind.create(*(event(number, "Unhealthy") for number in range(OTHERS)))

    found = sretool("runbook", "event-flood", *GIVEN, "--output", "json")
    sentences = [one["sentence"] for one in json.loads(found.stdout)["found"]]
    assert any(SPACE in one and REASON in one for one in sentences), found.stdout

    before = kind.audited()

    def is_planned():
        """While the source was still writing some seconds ago, nothing is planned: deleting cannot help."""
        planned = sretool("runbook", "event-flood", *CHOSEN, "--plan", "--output", "json")
        assert planned.returncode in (3, 4), planned.stdout + planned.stderr
        assert planned.returncode == 3 or "deleting cannot help" in planned.stdout
        return planned.returncode == 3

    kind.wait_until(is_planned, "a plan once nobody writes events")
    assert writes_of("sretool", kind.audited(since=before)) == []

    applied = sretool("runbook", "event-flood", *CHOSEN, "--approve", "irreversible", "--output", "json")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert reasons(kind) == ["Unhealthy"]
    assert len(kind.read("events", "-n", SPACE)["items"]) == OTHERS

    run = json.loads(applied.stdout)["run"]
    exports = [
        file.read_text().splitlines() for file in (sretool.state / "sretool" / "events").rglob("*.jsonl")
    ]
    written = [json.loads(line)["metadata"] for lines in exports for line in lines]
    assert len([one for one in written if one["namespace"] == SPACE]) == COUNT
    undone = sretool("undo", run, "--approve", "irreversible")
    assert undone.returncode == 4, undone.stdout + undone.stderr
    assert "is irreversible" in undone.stdout
