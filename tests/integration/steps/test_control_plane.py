"""The control plane on a real API server: its health, its leases as a guard, and the Lease that locks the cluster."""

import contextlib
import json
import os
import signal
import socket
from types import SimpleNamespace

import pytest

from sretool.clock import Deadline
from sretool.cluster.state import read_leases
from sretool.engine.lock import SHARED_LEVEL
from sretool.engine.shared_lock import SharedLock
from sretool.knowledge.control_plane_findings import control_plane_findings
from sretool.knowledge.guard_leases import is_stale
from sretool.knowledge.lease_lock import PATH, WHO, Claim, lease_body
from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from sretool.lab.kubernetes_files import audit_log_path
from sretool.step import Duration
from sretool.steps.kubernetes_control_plane import KubernetesControlPlane, KubernetesControlPlaneParams
from tests.support.etcd_cluster import running_lab, send
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab

pytestmark = [pytest.mark.real, pytest.mark.slow]
STEP = KubernetesControlPlane()
SHORT = KubernetesControlPlaneParams(window=Duration(0.5))
CONTROLLERS = {"kube-controller-manager", "kube-scheduler"}


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="plane", kubernetes=True)) as lab:
        yield lab


@pytest.fixture(scope="module")
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


def wait_for(what, seconds=60.0):
    """Return the first answer of `what` that is true."""
    deadline = Deadline(CLOCK, seconds)
    while deadline.left():
        with contextlib.suppress(Exception):  # what is waited for may not be there yet
            if answer := what():
                return answer
        CLOCK.pause(0.2)
    raise AssertionError(f"not so after {seconds:g} s")


def wait_renewed(lab, steps):
    """Wait until the control plane renews every lease: the next test begins with one that is well.

    Who could not renew in time ends, as it should; the kubelet would start it again.
    """

    def is_renewed():
        lab.start_components()
        return not any(is_stale(lease) for lease in read_leases(steps.reader().etcd))

    wait_for(is_renewed)


def verdicts(facts):
    return {one.verdict: one for one in control_plane_findings(facts.plane) if one.is_cause}


def told(done):
    """Return all that a finished sretool printed, as one line."""
    return " ".join(f"{done.stdout} {done.stderr}".split())


def mutating(lab, agent):
    """Return the requests of `agent` that store something."""
    asked = (json.loads(line) for line in audit_log_path(lab.directory).read_text().splitlines())
    return [
        (one["verb"], one["requestURI"])
        for one in asked
        if one.get("userAgent", "").startswith(agent)
        and one["verb"] not in ("get", "list", "watch")
        and "dryRun=All" not in one["requestURI"]
    ]


def test_a_healthy_control_plane_is_well_and_says_by_which_figures(steps):
    facts = steps.look(STEP, SHORT)
    assert (facts.servers, facts.ready, facts.stale_leases) == (1, 1, ())
    assert facts.get_seconds < 1
    assert 300 < facts.certificate_days < 366
    (server,) = facts.plane.servers
    assert (
        any(use.name == "system-leader-election" for use in server.pressure.clients)
        or server.pressure.clients
    )
    assert {"leader-election", "workload-low"} <= {level.name for level in server.pressure.levels}
    assert server.pressure.watches
    (finding,) = steps.plan(STEP, SHORT).findings
    assert finding.verdict == "control-plane-well"
    assert "1 of 1 API servers ready" in finding.sentence
    assert any("held by" in row.value for row in finding.evidence)


def test_leases_are_read_in_etcd_with_age_and_holder_and_move_with_every_renewal(steps):
    first = {lease.name: lease for lease in read_leases(steps.reader().etcd)}
    assert set(first) >= CONTROLLERS
    assert any(name.startswith("apiserver-") for name in first)
    assert all(socket.gethostname() in first[name].holder for name in CONTROLLERS)
    assert not any(is_stale(lease) for lease in first.values())

    def both_renewed():
        now = {lease.name: lease for lease in read_leases(steps.reader().etcd)}
        return all(now[name].mod_revision > first[name].mod_revision for name in CONTROLLERS)

    assert wait_for(both_renewed)


def test_without_a_kubernetes_section_nothing_is_asked_and_etcd_latency_says_so(base, lab):
    entry = lab.cluster_file.read_text()
    without = entry[: entry.index("kubernetes:")].replace("cluster: plane", "cluster: half")
    (lab.cluster_file.parent / "half.yaml").write_text(without)
    sretool = Sretool(base, "half")
    done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    assert done.returncode == 0, told(done)
    assert "which workloads run away, was not looked at: cluster half has no `kubernetes` section" in told(
        done
    )


def test_etcd_latency_names_the_flood_and_the_runaway_and_writes_nothing(base, lab):
    raise_fault(lab, "event-flood", "", FaultOptions(count=1200, namespaces=("shop",), reasons=("BackOff",)))
    raise_fault(lab, "runaway", "", FaultOptions(count=80, namespaces=("web",)))
    before = len(mutating(lab, "sretool"))
    sretool = Sretool(base, "plane")
    done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s", "-p", "events_max=1000")
    assert done.returncode == 9, told(done)
    assert "BackOff in shop, by" in told(done)
    assert "the Deployment web/web runs away: 80 replicas are desired" in told(done)
    assert "sretool runbook runaway-deployment" in told(done)
    assert "sretool runbook event-flood" in told(done)
    assert len(mutating(lab, "sretool")) == before


def test_one_run_holds_the_lease_waits_for_the_control_plane_and_another_machine_is_refused(base, lab, steps):
    raise_fault(lab, "fragment", "m1", FaultOptions(size_bytes=48 << 20))
    here, there = (Sretool(base, "plane", state=base / name) for name in ("here", "there"))
    words = ("runbook", "etcd-defrag", "--approve", "disruptive", "-p", "reclaim_floor=16Mi")
    first = here.start(*words)
    lease = wait_for(lambda: steps.reader().kubernetes.find(PATH))
    run_id, host = here.run_ids()[-1], socket.gethostname()
    assert f"run {run_id}: pid {first.pid} on {host}" in lease["metadata"]["annotations"][WHO]
    assert lease["spec"]["leaseDurationSeconds"] >= 30
    second = there(*words)
    out, err = first.communicate(timeout=100)
    assert second.returncode == 4, told(second)
    assert f"run {run_id}: pid {first.pid} on {host}" in told(second)
    assert "kubectl -n kube-system delete lease sretool" in told(second)
    assert first.returncode == 0, out + err
    (approval,) = (record["body"] for record in here.journal() if record["kind"] == "approval")
    assert approval["lock"].startswith("every machine (Lease kube-system/sretool)")
    assert "leases: not renewed since the last change:" in " ".join(err.split())
    assert steps.reader().kubernetes.find(PATH) is None


def lock_of(steps):
    """Return the shared lock of a run; of the run it needs no more than this."""
    return SharedLock(SimpleNamespace(cluster=steps.cluster, id="ours", emit=print))


def test_the_question_says_which_lock_there_will_be_and_stores_nothing(lab, steps):
    before = len(mutating(lab, "sretool"))
    assert lock_of(steps).level(nospace=False) == SHARED_LEVEL
    assert "no Lease: etcd takes no writes (NOSPACE)" in lock_of(steps).level(nospace=True)
    assert steps.reader().kubernetes.find(PATH) is None
    assert len(mutating(lab, "sretool")) == before


def claim(run_id):
    return Claim(run_id=run_id, user="root", host="elsewhere", pid=1)


def test_a_lease_that_somebody_takes_is_lost_for_good_and_is_not_deleted(steps):
    lease = steps.cluster.lease
    assert lease.hold(claim("ours"), 3) is None
    assert lease.problem() == ("", False)
    live = steps.reader().kubernetes.get(PATH)
    now = CLOCK.now()
    body = lease_body(claim("theirs"), seconds=3600, now=now, since=now, over=lease.find())
    steps.writer().kubernetes.put(
        PATH, body | {"metadata": body["metadata"] | {"uid": live["metadata"]["uid"]}}
    )
    assert wait_for(lambda: lease.problem()[1])
    assert "run theirs: pid 1 on elsewhere" in lease.problem()[0]
    lease.release()
    assert lease.find().holder == claim("theirs").holder
    other = lease.hold(claim("ours"), 3)
    assert other.who == claim("theirs").who
    steps.writer().kubernetes.delete(PATH)


def test_a_lease_that_was_deleted_is_lost_and_one_that_ended_is_taken(steps):
    lease = steps.cluster.lease
    assert lease.hold(claim("ours"), 3) is None
    steps.writer().kubernetes.delete(PATH)
    assert wait_for(lambda: lease.problem()[1])
    lease.release()
    now = CLOCK.now()
    body = lease_body(claim("killed"), seconds=1, now=now, since=now, over=None)
    body["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    steps.writer().kubernetes.post(PATH.rpartition("/")[0], body)
    assert lease.hold(claim("ours"), 30) is None
    assert lease.find().holder == claim("ours").holder
    lease.release()
    assert lease.find() is None


def test_a_frozen_controller_manager_is_found_by_its_stale_lease(base, lab, steps):
    running = lab.find_running("kube-controller-manager")
    send(running.pid, signal.SIGSTOP)
    try:
        facts = wait_for(lambda: (seen := steps.look(STEP, SHORT)).stale_leases and seen)
        assert facts.stale_leases == ("kube-controller-manager",)
        assert set(verdicts(facts)) == {"lease-stale"}
        done = Sretool(base, "plane")("runbook", "control-plane-health", "--plan", "-p", "window=1s")
        assert done.returncode == 9, told(done)
        assert "kube-controller-manager does not renew its lease" in told(done)
    finally:
        os.kill(running.pid, signal.SIGCONT)
        wait_renewed(lab, steps)


def test_with_the_api_down_the_leases_are_still_read_and_it_is_said_what_was_not(base, lab, steps):
    raise_fault(lab, "api-down")
    try:
        facts = steps.look(STEP, SHORT)
        assert (facts.servers, facts.ready) == (1, 0)
        assert {name for name, one in verdicts(facts).items() if not one.follows_from} == {"api-down"}
        assert {lease.name for lease in facts.plane.leases} >= CONTROLLERS
        assert "no Lease: API server" in lock_of(steps).level(nospace=False)
        sretool = Sretool(base, "plane")
        health = sretool("runbook", "control-plane-health", "--plan", "-p", "window=1s")
        assert health.returncode == 9, told(health)
        assert "nothing listens at the API server" in told(health)
        latency = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
        assert latency.returncode == 9, told(latency)
        assert "was not looked at" in told(latency)
        assert "sretool runbook control-plane-health" in told(latency)
    finally:
        undo_fault(lab, "api-down")
        wait_renewed(lab, steps)
