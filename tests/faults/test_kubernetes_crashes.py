"""kill -9 while Kubernetes objects are changed, then `resume`: the same end state, nobody else's object touched."""

import itertools

import pytest

from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults, pytest.mark.timeout(180)]

# Just before a write is just after the record of its intent.
RECORDS = (3, 4, 6)  # from the approval on; a point behind the end must end the run itself
WRITES = (1, 2)
POINTS = [
    *(f"record:{number}" for number in RECORDS),
    *(f"{place}:{number}" for place in ("inside", "after") for number in WRITES),
    "torn:5",
]
APPS = "/apis/apps/v1/namespaces/crash/deployments"
HPAS = "/apis/autoscaling/v2/namespaces/crash/horizontalpodautoscalers"
EVENTS = "/api/v1/namespaces/{}/events"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("kubernetes-crashes")
    with running_lab(base, LabSpec(name="kc", members=1, kubernetes=True)) as lab:
        lab.base = base
        yield lab


@pytest.fixture(scope="module")
def api(lab):
    with lab.api() as api:
        api.create("/api/v1/namespaces", {"metadata": {"name": "crash"}})
        yield api


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


def killed_and_resumed(sretool, point, words, level):
    """Run with SIGKILL at `point`, resume, and require that the run has ended well."""
    killed = sretool("runbook", *words, "--approve", level, crash=point)
    if killed.returncode == 0:  # the point lies behind the end of the run
        return
    assert killed.returncode == -9, killed.stdout + killed.stderr
    resumed = sretool("resume", "--approve", level)
    if resumed.returncode == 2 and "no unfinished run" in resumed.stderr:  # killed after its last record
        return
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr


def deploy(api, name, replicas):
    labels = {"app": name}
    pod = {"containers": [{"name": "app", "image": "none.invalid/a"}]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": pod}
    api.create(APPS, {"metadata": {"name": name}, "spec": spec})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    bounds = {"scaleTargetRef": target, "minReplicas": replicas, "maxReplicas": 2 * replicas}
    api.create(HPAS, {"metadata": {"name": name}, "spec": bounds})


@pytest.mark.parametrize("point", POINTS)
def test_a_scale_down_holds_the_autoscaler_and_scales_once(lab, api, sretool, point):
    name = f"web{next(_NUMBERS)}"
    deploy(api, name, 8)
    words = ("runaway-deployment", "-p", "namespace=crash", "-p", f"deployment={name}", "-p", "replicas=4")
    try:
        killed_and_resumed(sretool, point, (*words, "-p", "second_look=0s"), "disruptive")
        bounds = api.get(f"{HPAS}/{name}")["spec"]
        assert (bounds["minReplicas"], bounds["maxReplicas"]) == (4, 4)
        live = api.get(f"{APPS}/{name}")
        assert live["spec"]["replicas"] == 4
        assert live["metadata"]["generation"] == 2, "it was scaled more than once"
    finally:
        api.delete(f"{HPAS}/{name}")
        api.delete(f"{APPS}/{name}")


@pytest.mark.parametrize("point", POINTS)
def test_an_event_cleanup_deletes_what_was_chosen_and_nothing_else(lab, api, sretool, point):
    space = f"flood{next(_NUMBERS)}"
    options = FaultOptions(count=300, namespaces=(space,), reasons=("FailedScheduling", "BackOff"))
    raise_fault(lab, "event-flood", "", options)
    words = ("event-flood", "-p", f"namespaces={space}", "-p", "reasons=FailedScheduling", "-p", "flood=200")
    try:
        kept = {one["metadata"]["name"] for one in events(api, space) if one["reason"] == "BackOff"}
        assert 0 < len(kept) < 300
        killed_and_resumed(sretool, point, words, "irreversible")
        assert {one["metadata"]["name"] for one in events(api, space)} == kept
    finally:
        undo_fault(lab, "event-flood", "")


def events(api, space):
    return api.items(EVENTS.format(space))
