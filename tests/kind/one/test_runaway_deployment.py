"""runaway-deployment on a real cluster, where an autoscaler wants more pods than the node can take."""

import json
from collections import Counter

from tests.support.kind_cluster import autoscaler, writes_of

SPACE, NAME = "shop", "web"
WANTED, LEFT = 120, 6
GIVEN = (
    "-p",
    f"namespace={SPACE}",
    "-p",
    f"deployment={NAME}",
    "-p",
    f"replicas={LEFT}",
    "-p",
    "accept_outage=true",
)


def phases(kind):
    return Counter(pod["status"]["phase"] for pod in kind.read("pods", "-n", SPACE)["items"])


def scale(kind):
    """Return the replicas that the Deployment asks for, and the autoscaler's limits."""
    deployment = kind.read("deployment", NAME, "-n", SPACE)
    limits = kind.read("hpa", NAME, "-n", SPACE)["spec"]
    return deployment["spec"]["replicas"], limits["minReplicas"], limits["maxReplicas"]


def test_a_runaway_is_found_planned_scaled_down_stays_down_and_is_undone(kind, sretool, namespaces):
    namespaces(SPACE)
    kind.create(kind.deployment(SPACE, replicas=5, cpu="100m"), autoscaler(SPACE, replicas=WANTED))
    kind.wait_until(lambda: phases(kind).total() == WANTED, f"{WANTED} pods")
    kind.wait_until(lambda: phases(kind)["Running"] >= LEFT, f"{LEFT} of them running")
    assert phases(kind)["Pending"] > WANTED / 2

    found = sretool("runbook", "runaway-deployment", "--output", "json")
    assert found.returncode == 4, found.stdout + found.stderr
    (finding,) = [one for one in json.loads(found.stdout)["found"] if one["verdict"] == "runaway"]
    assert f"{SPACE}/{NAME} runs away: {WANTED} replicas" in finding["sentence"]
    assert "the nodes lack cpu" in finding["sentence"]
    assert "does not choose the number of replicas" in json.loads(found.stdout)["ending"]["sentence"]

    before = kind.audited()
    planned = sretool("runbook", "runaway-deployment", *GIVEN, "--plan", "--output", "json")
    assert planned.returncode == 3, planned.stdout + planned.stderr
    assert [one["verb"] for one in json.loads(planned.stdout)["planned"]] == ["cap-hpa", "scale"]
    assert writes_of("sretool", kind.audited(since=before)) == []

    # Twenty seconds: the autoscaler has looked once more, and has not put the replicas back.
    approved = ("--approve", "disruptive", "-p", "second_look=20s", "--output", "json")
    applied = sretool("runbook", "runaway-deployment", *GIVEN, *approved)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert scale(kind) == (LEFT, LEFT, LEFT)
    kind.wait_until(lambda: phases(kind) == {"Running": LEFT}, f"{LEFT} pods, all running")

    undone = sretool("undo", json.loads(applied.stdout)["run"], "--approve", "disruptive")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert scale(kind) == (WANTED, WANTED, WANTED)
