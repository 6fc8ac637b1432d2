"""NOSPACE on three stacked control planes: etcd-latency finds it, recovers every member, and Kubernetes is back."""

import json

GIVEN = ("-p", "window=2s", "-p", "second_look=1s", "-p", "reclaim_floor=16Mi", "--output", "json")
MINUTES = 8


def planned(sretool):
    """Return the verbs of a plan; a member that stopped answering in the window says «look again» (exit 8)."""
    for _ in range(5):
        done = sretool("runbook", "etcd-latency", *GIVEN, "--plan")
        assert done.returncode in {3, 8}, done.stdout + done.stderr
        if done.returncode == 3:
            return [one["verb"] for one in json.loads(done.stdout)["planned"]]
    raise AssertionError(done.stdout + done.stderr)


def test_a_full_etcd_is_found_planned_and_recovered(kind, sretool, certificates, namespaces):
    kind.fill_etcd(certificates)
    verbs = planned(sretool)
    assert verbs.count("defragment") == len(kind.nodes), verbs
    assert verbs[-1] == "prove-writes"

    # Scheduler and controller-manager have ended meanwhile; the kubelet may take minutes to start them again.
    applying = sretool.start("runbook", "etcd-latency", *GIVEN, "--approve", "irreversible")
    report, said = applying.communicate(timeout=MINUTES * 60)
    assert applying.returncode == 0, report + said
    status = sretool("cluster", "status", "--output", "json")
    assert status.returncode == 0, status.stdout + status.stderr
    assert max(one["quota_used"] for one in json.loads(status.stdout)["members"]) < 0.5

    undone = sretool("undo", json.loads(report)["run"], "--approve", "irreversible")
    assert undone.returncode == 4, undone.stdout + undone.stderr
    namespaces("after")  # writes are taken again
