"""kubernetes.scale-down on a real API server with its controllers: runaways, owners, conflicts, undo."""

import contextlib
import signal
import threading

import msgspec
import pytest

from sretool.clock import Deadline
from sretool.cluster.workloads import find_runaways
from sretool.errors import RejectedError, RemoteError, UsageError
from sretool.knowledge.replica_writes import PAUSED
from sretool.lab import LabSpec, processes
from sretool.lab.control_plane import CONTROLLER_MANAGER
from sretool.lab.faults import FaultOptions, raise_fault
from sretool.model import Result
from sretool.steps.kubernetes_scale_down import KubernetesScaleDown, KubernetesScaleDownParams
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab

pytestmark = pytest.mark.real
STEP = KubernetesScaleDown()
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
HPAS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
FEW = 120


@pytest.fixture(scope="module")
def lab(base):
    spec = LabSpec(name="scale", members=1, kubernetes=True)
    with running_lab(base, spec) as lab:
        raise_fault(lab, "runaway", "", FaultOptions(count=FEW, namespaces=("shop",)))
        yield lab


@pytest.fixture(scope="module")
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


@pytest.fixture(scope="module")
def api(lab):
    with lab.api() as api:
        yield api


def params(deployment, replicas=10, *, namespace="shop", **given):
    return KubernetesScaleDownParams(namespace=namespace, deployment=deployment, replicas=replicas, **given)


def deploy(api, name, replicas=3, *, namespace="shop", paused=False, **meta):
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "none.invalid/a"}]},
    }
    return api.create(
        DEPLOYMENTS.format(namespace),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, **meta},
            "spec": {
                "replicas": replicas,
                "paused": paused,
                "selector": {"matchLabels": labels},
                "template": template,
            },
        },
    )


def spec_of(steps, name, *, plural=DEPLOYMENTS, namespace="shop"):
    return steps.reader().kubernetes.get(f"{plural.format(namespace)}/{name}")["spec"]


def wait_until_served(steps, path, seconds=15.0):
    deadline = Deadline(CLOCK, seconds)
    while deadline.left():
        with contextlib.suppress(RemoteError):  # 429 while the API server prepares a new kind
            if steps.reader().kubernetes.find(path):
                return
        CLOCK.pause(0.1)
    raise AssertionError(f"{path} is not served after {seconds:g} s")


def carried(steps, given):
    """Make every wave as the engine does, looking again before each; return the changes made."""
    made = []
    while waves := STEP.plan(given, steps.look(STEP, given), ()).waves:
        (change,) = waves[0]
        outcome = steps.make(STEP, change)
        assert outcome.result is Result.DONE, outcome.evidence
        made.append(change)
        assert len(made) < 5
    return made


def test_a_runaway_is_found_without_a_name_held_at_its_hpa_scaled_down_and_undone(steps):
    found = steps.look(STEP)
    assert (found.runaway, found.replicas, found.hpa) == (True, FEW, "web")
    proposal = steps.plan(STEP)
    (finding,) = proposal.findings
    assert finding.verdict == "runaway"
    assert f"{FEW} replicas are desired, 0 are ready and {FEW} pending" in finding.sentence
    assert f"HPA web allows {FEW} to {FEW}" in finding.sentence
    assert [(one.refused, "-p deployment=web" in one.commands[0]) for one in proposal.held] == [(True, True)]

    given = params("web")
    (cap,), (scale,) = steps.plan(STEP, given).waves
    assert (cap.verb, scale.verb) == ("cap-hpa", "scale")
    assert [STEP.observe(steps.reader(), one).result for one in (cap, scale)] == [Result.NOT_DONE] * 2
    made = carried(steps, given)
    assert made[0].verb == "cap-hpa"
    assert spec_of(steps, "web")["replicas"] == 10
    assert spec_of(steps, "web", plural=HPAS)["maxReplicas"] == 10
    after = steps.look(STEP, given)
    assert (after.runaway, after.pending, after.replicas) == (False, 10, 10)

    for change in reversed((cap, scale)):
        assert STEP.observe(steps.reader(), change).result is Result.DONE
        assert steps.make(STEP, change.reversed()).result is Result.DONE
    assert spec_of(steps, "web", plural=HPAS) | {"minReplicas": FEW, "maxReplicas": FEW} == spec_of(
        steps, "web", plural=HPAS
    )
    assert spec_of(steps, "web")["replicas"] == FEW


def test_the_runbook_scales_down_and_undo_puts_everything_back(base, steps, api):
    deploy(api, "whole", 8)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "whole"}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "whole"},
        "spec": {"scaleTargetRef": target, "minReplicas": 8, "maxReplicas": 80},
    }
    api.create(HPAS.format("shop"), hpa)
    sretool = Sretool(base, "scale")
    given = ["-p", "namespace=shop", "-p", "deployment=whole", "-p", "replicas=4", "-p", "second_look=1s"]
    looked = sretool("runbook", "runaway-deployment", *given)
    assert looked.returncode == 3, looked.stderr
    assert spec_of(steps, "whole")["replicas"] == 8

    made = sretool("runbook", "runaway-deployment", *given, "--approve", "disruptive")
    assert made.returncode == 0, made.stdout + made.stderr
    assert spec_of(steps, "whole")["replicas"] == 4
    bounds = spec_of(steps, "whole", plural=HPAS)
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (4, 4)

    run = max(path.name for path in (sretool.state / "sretool" / "runs").iterdir())
    undone = sretool("undo", run, "--approve", "disruptive")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert "back to replicas 8" in " ".join(undone.stdout.split())
    bounds = spec_of(steps, "whole", plural=HPAS)
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (8, 80)
    assert spec_of(steps, "whole")["replicas"] == 8


def test_a_scale_that_was_sent_twice_is_refused_and_seen_as_done(steps, api):
    deploy(api, "twice", 5)
    ((change,),) = steps.plan(STEP, params("twice", 2)).waves
    assert steps.make(STEP, change).result is Result.DONE
    with pytest.raises(RejectedError):
        STEP.apply(steps.writer(), change)
    assert steps.settled(STEP, change).result is Result.DONE


def test_replicas_that_somebody_else_changed_after_the_look_are_not_overwritten(steps, api):
    deploy(api, "moved", 9)
    ((change,),) = steps.plan(STEP, params("moved", 2)).waves
    api.patch(f"{DEPLOYMENTS.format('shop')}/moved", {"spec": {"replicas": 7}})
    with pytest.raises(RejectedError):
        STEP.apply(steps.writer(), change)
    outcome = STEP.observe(steps.reader(), change)
    assert (outcome.result, outcome.measured) == (Result.NOT_DONE, {"replicas": 7})


def test_a_moving_status_or_label_does_not_keep_the_scale_from_being_made(steps, api):
    deploy(api, "restless", 4)
    ((change,),) = steps.plan(STEP, params("restless", 1)).waves
    api.patch(f"{DEPLOYMENTS.format('shop')}/restless", {"metadata": {"labels": {"seen": "yes"}}})
    assert steps.make(STEP, change).result is Result.DONE


def test_undo_leaves_alone_what_somebody_changed_since(steps, api):
    deploy(api, "edited", 6)
    ((change,),) = steps.plan(STEP, params("edited", 3)).waves
    steps.make(STEP, change)
    api.patch(f"{DEPLOYMENTS.format('shop')}/edited", {"spec": {"replicas": 4}})
    assert STEP.observe(steps.reader(), change).result is Result.NOT_DONE
    with pytest.raises(RejectedError):
        STEP.apply(steps.writer(), change.reversed())
    assert spec_of(steps, "edited")["replicas"] == 4


@pytest.mark.parametrize(
    ("name", "meta", "words", "command"),
    [
        (
            "flux",
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "gitops",
                }
            },
            "Flux kustomization gitops/apps would put it back: commit replicas: 1",
            "flux suspend kustomization apps -n gitops",
        ),
        (
            "argo",
            {"annotations": {"argocd.argoproj.io/tracking-id": "store:apps/Deployment:shop/argo"}},
            "Argo CD application store would put it back",
            "argocd app set store --sync-policy none",
        ),
        (
            "operated",
            {
                "ownerReferences": [
                    {
                        "apiVersion": "db.example/v1",
                        "kind": "Shop",
                        "name": "main",
                        "uid": "1",
                        "controller": True,
                    }
                ]
            },
            "it belongs to Shop/main",
            "kubectl -n gitops edit shop main",
        ),
    ],
)
def test_what_a_controller_would_put_back_is_refused_with_what_to_do_instead(
    steps, api, name, meta, words, command
):
    api.ensure(
        "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gitops"}}
    )
    deploy(api, name, 3, namespace="gitops", **meta)
    given = params(name, 1, namespace="gitops")
    facts = steps.look(STEP, given)  # planned at once: the garbage collector removes what a stranger owns
    proposal = STEP.plan(given, facts, ())
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert words in held.why
    assert command in held.commands


@pytest.fixture
def away(steps, api):
    """Return a way to deploy in a namespace of its own, which is emptied afterwards: others look everywhere."""
    spaces = set()

    def make(name, replicas, *, namespace, quota=0, paused=False):
        spaces.add(namespace)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        api.ensure("/api/v1/namespaces", body)
        if quota:
            hard = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(quota)}}}
            api.create(f"/api/v1/namespaces/{namespace}/resourcequotas", hard)
        deploy(api, name, replicas, namespace=namespace, paused=paused)

    yield make
    for namespace in spaces:
        api.delete(DEPLOYMENTS.format(namespace))


def wait_until_status(steps, name, namespace, is_so, seconds=40.0):
    deadline = Deadline(CLOCK, seconds)
    path = f"{DEPLOYMENTS.format(namespace)}/{name}"
    while not is_so(status := steps.reader().kubernetes.get(path).get("status", {})):
        assert deadline.left(), status
        CLOCK.pause(0.2)


def test_a_runaway_is_found_behind_many_that_only_look_like_one_and_every_other_is_told(steps, away):
    for number in range(10):
        away(f"a{number}", 600, namespace="many", paused=True)  # it gets no pods
    for name, replicas in (("web", 55), ("worse", 60)):
        away(name, replicas, namespace="many")
        wait_until_status(steps, name, "many", lambda one, all_=replicas: one.get("replicas") == all_)
    found = steps.look(STEP, KubernetesScaleDownParams(namespace="many"))
    assert [one.title for one in found.view.workloads] == ["many/worse", "many/web"]
    assert (found.runaway, found.view.besides) == (True, ())
    found = find_runaways(steps.reader().kubernetes, namespace="many", most=1)
    assert ([one.title for one in found.workloads], found.besides) == (["many/worse"], ("many/web",))


def test_what_a_quota_keeps_from_being_created_has_not_been_taken_by_nodes(steps, away):
    away("web", 80, namespace="capped", quota=20)
    wait_until_status(steps, "web", "capped", lambda one: one.get("replicas") == 20)
    found = steps.look(STEP, KubernetesScaleDownParams(namespace="capped"))
    assert (found.runaway, found.replicas, found.pending, found.target) == (True, 80, 20, 1)


def test_a_runaway_in_the_middle_of_a_rollout_is_scaled_down_to_the_number_and_its_surge(steps, away, api):
    away("web", 40, namespace="rolling")
    wait_until_status(steps, "web", "rolling", lambda one: one.get("replicas") == 40)
    containers = [{"name": "app", "image": "none.invalid/b"}]
    path = f"{DEPLOYMENTS.format('rolling')}/web"
    api.patch(path, {"spec": {"template": {"spec": {"containers": containers}}}})
    wait_until_status(
        steps, "web", "rolling", lambda one: 0 < one.get("updatedReplicas", 0) < one["replicas"]
    )
    (change,) = carried(steps, params("web", 8, namespace="rolling"))
    outcome = STEP.observe(steps.reader(), change)
    assert outcome.result is Result.DONE
    assert "(a rollout is under way, which may keep 10)" in outcome.evidence
    assert steps.plan(STEP, params("web", 8, namespace="rolling")).waves == ()


def test_a_deployment_that_does_not_exist_is_an_error_of_the_person(steps):
    with pytest.raises(UsageError, match="there is no Deployment shop/nobody"):
        steps.look(STEP, params("nobody"))


def test_a_scaled_object_of_keda_is_paused_first_and_resumed_by_undo(steps, api):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced",
            "names": {"plural": "scaledobjects", "kind": "ScaledObject"},
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    scaled = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"
    wait_until_served(steps, scaled)
    deploy(api, "queue", 5)
    body = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "queue"},
        "spec": {"scaleTargetRef": {"name": "queue"}, "maxReplicaCount": 500},
    }
    api.create(scaled, body)

    pause, scale = carried(steps, params("queue", 2))
    assert (pause.verb, scale.verb) == ("pause-scaledobject", "scale")
    live = steps.reader().kubernetes.get(f"{scaled}/queue")
    assert live["metadata"]["annotations"] == {PAUSED: "2"}
    back = msgspec.json.decode(msgspec.json.encode(pause.reversed()), type=type(pause))
    assert steps.make(STEP, back).result is Result.DONE
    assert PAUSED not in steps.reader().kubernetes.get(f"{scaled}/queue")["metadata"].get("annotations", {})


def test_a_controller_manager_that_comes_back_later_is_waited_for(lab, base, steps, api):
    """As after NOSPACE: it has ended, and its lease stays; the kubelet starts it again after a pause."""
    deploy(api, "left-alone", 4)
    deadline = Deadline(CLOCK, 20)
    while steps.look(STEP, params("left-alone")).pending < 4:
        assert deadline.left()
        CLOCK.pause(0.1)
    assert processes.send(lab.find_running(CONTROLLER_MANAGER), signal.SIGKILL)
    kubelet = threading.Timer(22.0, lab.start_components, (CONTROLLER_MANAGER,))
    kubelet.start()
    given = ("namespace=shop", "deployment=left-alone", "replicas=1", "second_look=1s")
    words = [word for one in given for word in ("-p", one)]
    try:
        done = Sretool(base, lab.name)("runbook", "runaway-deployment", *words, "--approve", "disruptive")
    finally:
        kubelet.join()
        assert lab.become_well(seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the controller-manager has not renewed its lease for" in " ".join(done.stderr.split())
    assert steps.look(STEP, params("left-alone", 1)).pending == 1
