"""What admission refuses, in whole runs on a real API server: named, nothing forced, and nothing half told."""

import contextlib

import pytest

from sretool.clock import Deadline
from sretool.errors import ConflictError, RejectedError
from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK

pytestmark = pytest.mark.real

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="admission", members=1, kubernetes=True)) as lab:
        with lab.api() as api:
            namespaces(api, "bystander")  # a pattern that matches every namespace is refused
        yield lab


@pytest.fixture
def api(lab):
    with lab.api() as api:
        yield api


@pytest.fixture
def run(base):
    return Sretool(base, "admission")


def words(done):
    return " ".join((done.stdout + done.stderr).split())


def namespaces(api, *names):
    for name in names:
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})


def quotas(api, namespace):
    return api.items(f"/api/v1/namespaces/{namespace}/resourcequotas")


def wait_until_refused(ask):
    """Ask, a dry run, until it is refused: admission learns of its rules after a while."""
    deadline = Deadline(CLOCK, 20)
    while deadline.left():
        try:
            ask()
        except ConflictError:
            raise
        except RejectedError:
            return
        CLOCK.pause(0.1)
    raise AssertionError("it is not refused after 20 s")


def try_quota(api, namespace):
    return lambda: api.create(
        f"/api/v1/namespaces/{namespace}/resourcequotas?dryRun=All",
        {"metadata": {"name": "probe"}, "spec": {"hard": {"pods": "1"}}},
    )


@contextlib.contextmanager
def policy(api, name, *, group, resource, expression, message):
    """Deny what `expression` does not hold for, in the namespace `name`."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": [resource]}
    scope = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]} | scope,
        "validations": [{"expression": expression, "message": message}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    for plural, body in (("policies", spec), ("policybindings", binding)):
        api.create(f"{ADMISSION}/validatingadmission{plural}", {"metadata": {"name": name}, "spec": body})
    try:
        yield
    finally:
        for plural in ("policybindings", "policies"):
            api.delete(f"{ADMISSION}/validatingadmission{plural}/{name}")


@contextlib.contextmanager
def dead_webhook(api, namespace):
    """Send quotas of `namespace` to a webhook whose port nobody listens on."""
    hook = {
        "name": "quotas.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["resourcequotas"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    api.create(
        f"{ADMISSION}/validatingwebhookconfigurations", {"metadata": {"name": "quotas"}, "webhooks": [hook]}
    )
    try:
        yield
    finally:
        api.delete(f"{ADMISSION}/validatingwebhookconfigurations/quotas")


def test_a_webhook_that_is_down_refuses_the_rollout_before_any_write(api, run):
    namespaces(api, "hooked")
    with dead_webhook(api, "hooked"):
        wait_until_refused(try_quota(api, "hooked"))
        done = run("runbook", "quota-rollout", "-p", "namespaces=hooked", "--approve", "reversible")
    assert done.returncode == 4, done.stdout
    assert "because the webhook quotas.example.com does not answer" in words(done)
    assert "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations" in words(done)
    assert quotas(api, "hooked") == []


def test_an_exceeded_quota_refuses_in_its_namespace_by_its_name_and_the_others_go_on(api, run):
    namespaces(api, "full-a", "full-b")
    budget = {"metadata": {"name": "budget"}, "spec": {"hard": {"resourcequotas": "1"}}}
    api.create("/api/v1/namespaces/full-a/resourcequotas", budget)
    wait_until_refused(try_quota(api, "full-a"))
    done = run("runbook", "quota-rollout", "-p", "namespaces=full-*", "--approve", "reversible")
    assert done.returncode == 9, done.stdout
    assert "was refused by the ResourceQuota budget" in words(done)
    assert "kubectl -n full-a describe resourcequota budget" in words(done)
    assert [len(quotas(api, name)) for name in ("full-a", "full-b")] == [1, 1]


def test_a_policy_that_comes_between_plan_and_apply_stops_it_and_nothing_is_overwritten(api, run, tmp_path):
    namespaces(api, "late")
    plan = str(tmp_path / "plan.json")
    saved = run("runbook", "quota-rollout", "-p", "namespaces=late", "--save", plan)
    assert saved.returncode == 3, saved.stdout + saved.stderr
    with policy(
        api, "late", group="", resource="resourcequotas", expression="false", message="not this week"
    ):
        wait_until_refused(try_quota(api, "late"))
        done = run("apply", plan, "--approve", "reversible")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "ValidatingAdmissionPolicy late" in words(done)
    assert "not this week" in words(done)
    assert quotas(api, "late") == []


def test_a_policy_that_denies_the_scaling_itself_is_named_and_the_deployment_is_as_it_was(api, run):
    namespaces(api, "scaled")
    labels = {"app": "web"}
    spec = {
        "replicas": 6,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "none.invalid/a"}]},
        },
    }
    deployments = "/apis/apps/v1/namespaces/scaled/deployments"
    api.create(deployments, {"metadata": {"name": "web"}, "spec": spec})
    denied = {"group": "apps", "resource": "deployments/scale", "message": "ask the shop team"}
    with policy(api, "scaled", expression="object.spec.replicas > 4", **denied):
        patch = {"spec": {"replicas": 3}}
        wait_until_refused(lambda: api.patch(f"{deployments}/web/scale?dryRun=All", patch))
        given = ("namespace=scaled", "deployment=web", "replicas=2", "second_look=1s")
        words_given = [word for one in given for word in ("-p", one)]
        done = run("runbook", "runaway-deployment", *words_given, "--approve", "disruptive")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "by the ValidatingAdmissionPolicy scaled" in words(done)
    assert "ask the shop team" in words(done)
    assert api.get(f"{deployments}/web")["spec"]["replicas"] == 6
