"""kubernetes.scale-down, the decisions: what is planned from what was read, and what `observe` makes of it."""

import msgspec
import pytest

from sretool.knowledge.replica_owners import Source
from sretool.knowledge.replica_writes import JSON_PATCH, guarded_patch_of, judge_write, patch_of, path_of
from sretool.knowledge.rollouts import Rollout, find_rollout
from sretool.knowledge.scale_down import scale_proposal
from sretool.knowledge.workloads import Scaler, ScaleView, Workload
from sretool.model import Result, Risk
from sretool.steps.kubernetes_scale_down import KubernetesScaleDownParams

USES = "kubernetes.scale-down"


def scaler(**changed):
    values = {
        "kind": "HPA",
        "name": "web",
        "uid": "u-hpa",
        "resource_version": "7",
        "minimum": 50,
        "maximum": 500,
    }
    return Scaler(**values | changed)


def workload(**changed):
    values = {
        "namespace": "shop",
        "name": "web",
        "uid": "u-web",
        "resource_version": "9",
        "desired": 500,
        "ready": 50,
        "pending": 450,
        "lacking": ("cpu",),
        "scalers": (scaler(),),
    }
    return Workload(**values | changed)


def planned(*, replicas=50, accept_outage=False, named=True, missing="", **changed):
    view = ScaleView(workloads=(workload(**changed),), is_named=named, missing=missing)
    return scale_proposal(view, replicas=replicas, accept_outage=accept_outage, uses=USES)


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        (True, {}),
        (True, {"desired": 101, "ready": 50, "pending": 51}),
        (False, {"desired": 100, "ready": 50, "pending": 50}),  # not more than 50 beyond ready
        (False, {"desired": 400, "ready": 300, "pending": 100}),  # not more than 30 % of desired
        (False, {"pending": 0}),  # they are only starting
        (False, {"desired": 50}),
    ],
)
def test_a_runaway_wants_far_more_than_is_ready_and_no_node_takes_the_pods(expected, changed):
    assert workload(**changed).is_runaway is expected
    assert [one.verdict for one in planned(**changed).findings] == ["runaway"] * expected


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        (["cap-hpa", "scale"], {}),
        (["scale"], {"scalers": ()}),
        (["scale"], {"scalers": (scaler(maximum=50),)}),  # held there already
        (["cap-hpa", "cap-hpa", "scale"], {"scalers": (scaler(), scaler(name="second"))}),
        (["pause-scaledobject", "scale"], {"scalers": (scaler(kind="ScaledObject"),)}),
        (["scale"], {"scalers": (scaler(kind="ScaledObject", paused="50"),)}),
        ([], {"desired": 50}),
        ([], {"desired": 40}),  # never up
        (["cap-hpa"], {"desired": 50, "scalers": (scaler(desired=500),)}),  # it is about to be put back
    ],
)
def test_what_scales_it_up_again_is_held_before_it_is_scaled_one_change_at_a_time(expected, changed):
    proposal = planned(**changed)
    assert [change.verb for (change,) in proposal.waves] == expected
    assert {change.risk for change in proposal.changes} <= {Risk.DISRUPTIVE}
    assert all(change.can_be_undone for change in proposal.changes)


def test_the_bounds_of_the_autoscaler_are_kept_for_undo_and_its_minimum_never_above_its_maximum():
    cap, scale = planned(replicas=30, accept_outage=True).changes
    assert (cap.before, cap.after) == (
        {"minReplicas": 50, "maxReplicas": 500},
        {"minReplicas": 30, "maxReplicas": 30},
    )
    assert cap.commands == (
        'kubectl -n shop patch hpa web --type=merge -p \'{"spec":{"minReplicas":30,"maxReplicas":30}}\'',
    )
    back = scale.reversed()
    assert (back.after, back.before) == ({"replicas": 500}, {"replicas": 30})
    assert back.commands == ("kubectl -n shop scale deployment web --current-replicas=30 --replicas=500",)


ARGO = Source(name="Argo CD application shop", suspend="argocd app set shop --sync-policy none")


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("kube-system is a system namespace", {"namespace": "kube-system"}),
        ("kube-node-lease is a system namespace", {"namespace": "kube-node-lease"}),
        ("it belongs to Shop/main", {"owners": ("Shop/main",)}),
        ("it belongs to Shop/main", {"scalers": (scaler(owners=("Shop/main",)),)}),
        ("Argo CD application shop would put it back: commit replicas: 50", {"kept_by": ARGO}),
        (
            "Argo CD application shop would put it back: commit maxReplicas: 50",
            {"scalers": (scaler(kept_by=ARGO),)},
        ),
        ("24 is less than half of the 50 replicas that are ready", {"replicas": 24}),
    ],
)
def test_a_refusal_names_the_rule_and_plans_nothing(words, given):
    proposal = planned(**given)
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert words in held.why
    assert [one.verdict for one in proposal.findings] == ["runaway"]


@pytest.mark.parametrize("given", [{"replicas": 25}, {"replicas": 1, "accept_outage": True}])
def test_half_of_what_is_ready_and_an_accepted_outage_are_planned(given):
    assert planned(**given).held == ()
    assert planned(**given).changes[-1].bounds["ready_lost"] == 50 - given["replicas"]


def test_what_is_not_due_is_not_refused():
    assert planned(namespace="kube-system", desired=50).held == ()


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        (50, {"placed": 50}),
        (70, {"placed": 70}),  # twenty of them are starting
        (50, {"placed": 0}),  # the status of the pods came later than that of the Deployment
        (1, {"ready": 0, "pending": 100, "placed": 0}),  # a quota keeps the other 400 from being created
        (500, {"ready": 500, "pending": 0, "placed": 620}),  # of a rollout
    ],
)
def test_the_nodes_have_taken_the_pods_that_have_a_node_not_those_that_do_not_exist(expected, changed):
    assert workload(**changed).fitting == expected


def test_runaways_that_were_not_read_closely_are_told_by_name():
    view = ScaleView(workloads=(), is_named=False, besides=("a/x", "a/y"))
    proposal = scale_proposal(view, replicas=0, accept_outage=False, uses=USES)
    (finding,) = proposal.findings
    assert (view.has_runaway, finding.verdict, finding.is_cause) == (True, "runaway", True)
    assert "2 more Deployments run away" in finding.sentence and "a/x; a/y" in finding.sentence


@pytest.mark.parametrize(
    ("lost", "rollout"),
    [
        (40, None),
        (42, Rollout(surge="25%", unavailable="25%")),  # of 10
        (43, Rollout(surge=0, unavailable=3)),
        (41, Rollout(surge=0, unavailable="5%")),  # rounded down to none: then it is one
        (40, Rollout(surge=1, unavailable=0)),
        (50, Rollout(surge=0, unavailable=30)),
    ],
)
def test_the_ready_replicas_that_a_rollout_may_take_are_in_the_bounds(lost, rollout):
    scale = planned(replicas=10, accept_outage=True, rollout=rollout).changes[-1]
    assert scale.bounds["ready_lost"] == lost


def test_without_a_name_every_runaway_is_shown_with_the_command_that_names_it():
    proposal = planned(named=False, replicas=0)
    assert proposal.waves == ()
    assert proposal.held[0].commands == (
        "sretool runbook runaway-deployment -p namespace=shop -p deployment=web -p replicas=N",
    )


def test_what_could_not_be_read_holds_the_change_back_without_refusing_it():
    proposal = scale_proposal(
        ScaleView(workloads=(), is_named=True, missing="the HPAs of shop cannot be read: 403"),
        replicas=50,
        accept_outage=False,
        uses=USES,
    )
    assert (proposal.waves, [one.refused for one in proposal.held]) == ((), [False])


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("needs its namespace", {"deployment": "web", "replicas": 3}),
        ("needs replicas, at least 1", {"deployment": "web", "namespace": "shop"}),
        ("needs the deployment", {"replicas": 3}),
    ],
)
def test_half_a_target_is_an_error_before_any_request(words, given):
    with pytest.raises(ValueError, match=words):
        KubernetesScaleDownParams(**given)


@pytest.mark.parametrize(("field", "value"), [("namespace", "Shop"), ("deployment", "a/b"), ("replicas", -1)])
def test_a_malformed_name_or_number_is_an_error(field, value):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, KubernetesScaleDownParams)


def live(replicas, *, there=None, generation=4, seen=4, uid="u-web"):
    return {
        "metadata": {"uid": uid, "generation": generation},
        "spec": {"replicas": replicas},
        "status": {
            "replicas": replicas if there is None else there,
            "readyReplicas": 50,
            "observedGeneration": seen,
        },
    }


@pytest.mark.parametrize(
    ("result", "words", "found"),
    [
        (Result.NOT_DONE, "as it was", live(500)),
        (Result.STILL_GOING, "500 replicas -> 320, 270 of them not ready", live(50, there=320)),
        (Result.STILL_GOING, "", live(50, there=50, seen=3)),  # the status is older than the change
        (Result.DONE, "500 replicas -> 50, 0 of them not ready", live(50)),
        (Result.NOT_DONE, "somebody else changed it", live(120)),
        (Result.NOT_DONE, "another object", live(50, uid="u-new")),
        (Result.NOT_DONE, "is gone", None),
    ],
)
def test_scaling_down_is_done_when_the_surplus_pods_are_gone(result, words, found):
    outcome = judge_write(planned().changes[-1], found)
    assert outcome.result is result
    assert words in outcome.evidence


def rolling(replicas, *, there, updated, strategy="RollingUpdate", surge="25%"):
    found = live(replicas, there=there)
    found["spec"]["strategy"] = {"type": strategy, "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}}
    found["status"]["updatedReplicas"] = updated
    return found


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (Result.DONE, rolling(8, there=10, updated=4)),
        (Result.STILL_GOING, rolling(8, there=11, updated=4)),
        (Result.STILL_GOING, rolling(8, there=10, updated=10)),  # no old pods are left: it is over
        (Result.STILL_GOING, rolling(8, there=10, updated=4, surge=1)),
        (Result.DONE, rolling(8, there=9, updated=4, surge="1%")),  # rounded up
        (Result.STILL_GOING, rolling(8, there=10, updated=4, strategy="Recreate")),
    ],
)
def test_the_pods_that_a_rollout_may_keep_beyond_the_number_are_no_surplus(result, found):
    outcome = judge_write(planned(replicas=8, accept_outage=True).changes[-1], found)
    assert outcome.result is result
    assert ("which may keep" in outcome.evidence) is (find_rollout(found) is not None)


def test_scaling_back_up_is_done_when_the_number_is_set():
    back = planned().changes[-1].reversed()
    assert judge_write(back, live(500, there=50)).result is Result.DONE
    assert judge_write(back, live(50)).result is Result.NOT_DONE


def test_the_first_patch_names_the_resource_version_and_the_second_the_values_it_replaces():
    cap, scale = planned().changes
    assert path_of(scale) == "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    assert path_of(scale, whole=True) == "/apis/apps/v1/namespaces/shop/deployments/web"
    assert patch_of(cap) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"minReplicas": 50, "maxReplicas": 50},
    }
    assert guarded_patch_of(scale) == [
        {"op": "test", "path": "/metadata/uid", "value": "u-web"},
        {"op": "test", "path": "/spec/replicas", "value": 500},
        {"op": "add", "path": "/spec/replicas", "value": 50},
    ]
    assert JSON_PATCH == "application/json-patch+json"


def test_a_pause_that_was_not_there_before_is_removed_by_undo():
    pause, _ = planned(scalers=(scaler(kind="ScaledObject"),)).changes
    path = "/metadata/annotations/autoscaling.keda.sh~1paused-replicas"
    assert guarded_patch_of(pause.reversed())[1:] == [
        {"op": "test", "path": path, "value": "50"},
        {"op": "remove", "path": path},
    ]
    assert pause.commands_back == (
        "kubectl -n shop annotate scaledobject web --overwrite autoscaling.keda.sh/paused-replicas-",
    )
