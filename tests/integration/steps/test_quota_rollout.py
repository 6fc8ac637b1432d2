"""kubernetes.quota-rollout on a real API server."""

import itertools
import json
import signal

import pytest

from sretool.errors import ConflictError, NotFoundError, RejectedError
from sretool.lab import LabSpec
from sretool.lab.kubernetes_files import audit_log_path
from sretool.model import Result, Risk, Severity
from sretool.steps.kubernetes_quota_rollout import KubernetesQuotaRollout, KubernetesQuotaRolloutParams
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab

pytestmark = pytest.mark.real
STEP = KubernetesQuotaRollout()
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("quotas")
    with running_lab(base, LabSpec(name="quotas", members=1, kubernetes=True)) as lab:
        lab.base = base
        yield lab


@pytest.fixture(scope="module")
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


class Team:
    """Namespaces of one test, by a prefix of their own, and one beside them that is never chosen."""

    def __init__(self, steps, count):
        self.steps = steps
        self.prefix = f"t{next(_NUMBERS)}"
        self.names = [f"{self.prefix}-{one}" for one in range(count)]
        for name in (*self.names, f"beside-{self.prefix}"):
            write = steps.writer().kubernetes
            write.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"team": self.prefix}}})

    def params(self, **changed):
        given = {"namespaces": f"{self.prefix}-*", "hard": "pods=10,requests.cpu=2000m"}
        return KubernetesQuotaRolloutParams(**(given | {"default_limits": "cpu=500m"} | changed))

    def plan(self, **changed):
        return self.steps.plan(STEP, self.params(**changed))

    def roll_out(self, **changed):
        """Make every change that is due; return them in their order."""
        made = []
        while waves := self.plan(**changed).waves:
            for change in waves[0]:
                outcome = self.steps.make(STEP, change)
                assert outcome.result is Result.DONE, outcome.evidence
                made.append(change)
        return made

    def quota(self, name, quota="sretool"):
        return self.steps.reader().kubernetes.find(f"/api/v1/namespaces/{name}/resourcequotas/{quota}")

    def limits(self, name):
        return self.steps.reader().kubernetes.find(f"/api/v1/namespaces/{name}/limitranges/sretool")

    def somebody_sets(self, name, hard, labels=None):
        """Set limits as somebody else, who takes over the fields that are ours."""
        body = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "sretool", "namespace": name, "labels": labels or {}},
            "spec": {"hard": hard},
        }
        path = f"/api/v1/namespaces/{name}/resourcequotas/sretool"
        self.steps.writer().kubernetes.apply(path, body, field_manager="somebody", force=True)

    def create_pod(self, name, cpu=None):
        resources = {"requests": {"cpu": cpu}} if cpu else {}
        self.steps.writer().kubernetes.post(
            f"/api/v1/namespaces/{name}/pods",
            {
                "metadata": {"generateName": "web-"},
                "spec": {"containers": [{"name": "web", "image": "web", "resources": resources}]},
            },
        )


@pytest.fixture
def team(steps):
    return lambda count=1: Team(steps, count)


def spec_of(live):
    return None if live is None else live["spec"]


def test_canary_then_the_rest_each_with_both_objects_and_a_second_run_has_nothing_to_do(team):
    three = team(3)
    assert [len(wave) for wave in three.plan().waves] == [1, 1, 1]
    made = three.roll_out()
    assert [change.object for change in made] == three.names
    for name in three.names:
        assert spec_of(three.quota(name)) == {"hard": {"pods": "10", "requests.cpu": "2"}}
        assert spec_of(three.limits(name)) == {
            "limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "500m"}}]
        }
    assert three.quota(f"beside-{three.prefix}") is None
    again = three.plan(hard="pods=10,requests.cpu=2")  # the same amounts in other words
    assert (again.waves, again.held) == ((), ())


def test_planning_stores_nothing(team):
    one = team()
    (name,) = one.names
    assert one.plan().changes
    assert one.quota(name) is None and one.limits(name) is None


def test_observe_tells_the_truth_before_and_after_and_applying_twice_is_harmless(team, steps):
    one = team()
    (change,) = one.plan().changes
    assert change.risk is Risk.REVERSIBLE
    assert STEP.observe(steps.reader(), change).result is Result.NOT_DONE
    assert steps.make(STEP, change).result is Result.DONE
    version = one.limits(one.names[0])["metadata"]["resourceVersion"]
    assert steps.make(STEP, change).result is Result.DONE
    assert one.limits(one.names[0])["metadata"]["resourceVersion"] == version


def test_half_an_apply_is_partly_done_and_due_again(team, steps):
    one = team()
    (change,) = one.plan().changes
    steps.make(STEP, change)
    steps.writer().kubernetes.delete(f"/api/v1/namespaces/{one.names[0]}/resourcequotas/sretool")
    assert STEP.observe(steps.reader(), change).result is Result.PARTLY
    (left,) = one.plan().changes
    assert left.before == {"LimitRange": change.after["LimitRange"], "ResourceQuota": None}
    assert len(left.commands) == 1


def test_undo_of_new_objects_leaves_none(team, steps):
    one = team()
    (change,) = one.roll_out()
    back = change.reversed()
    assert STEP.observe(steps.reader(), back).result is Result.NOT_DONE
    assert steps.make(STEP, back).result is Result.DONE
    assert one.quota(one.names[0]) is None and one.limits(one.names[0]) is None
    assert steps.make(STEP, back).result is Result.DONE, "undoing twice is harmless"


def test_undo_of_a_changed_template_brings_the_former_one_back(team, steps):
    one = team()
    (name,) = one.names
    one.roll_out(hard="pods=5,configmaps=30")
    former = spec_of(one.quota(name)), spec_of(one.limits(name))
    (change,) = one.roll_out(hard="pods=10", default_limits="cpu=1")
    assert spec_of(one.quota(name)) == {"hard": {"pods": "10"}}, "what the template no longer has is gone"
    assert steps.make(STEP, change.reversed()).result is Result.DONE
    assert (spec_of(one.quota(name)), spec_of(one.limits(name))) == former


def test_undo_of_our_fields_in_somebody_elses_object_leaves_theirs(team, steps):
    one = team()
    (name,) = one.names
    one.somebody_sets(name, {"configmaps": "30", "pods": "10"}, labels={"theirs": "yes"})
    (change,) = one.roll_out(hard="pods=10,services=5")
    assert spec_of(one.quota(name))["hard"] == {"configmaps": "30", "pods": "10", "services": "5"}
    assert steps.make(STEP, change.reversed()).result is Result.DONE
    assert spec_of(one.quota(name))["hard"] == {"configmaps": "30", "pods": "10"}
    assert one.quota(name)["metadata"]["labels"] == {"theirs": "yes"}


def test_a_later_edit_of_our_fields_is_not_what_we_made_any_more(team, steps):
    one = team()
    (change,) = one.roll_out()
    one.somebody_sets(one.names[0], {"pods": "99"})
    assert STEP.observe(steps.reader(), change).result is Result.PARTLY


def test_what_others_added_to_a_new_object_keeps_it_from_being_deleted(team, steps):
    one = team()
    (change,) = one.roll_out()
    one.somebody_sets(one.names[0], {"services": "3"})
    outcome = STEP.observe(steps.reader(), change)
    assert outcome.result is Result.PARTLY and "somebody added to" in outcome.evidence
    with pytest.raises(ConflictError, match="somebody added to it"):
        STEP.apply(steps.writer(), change.reversed())
    assert spec_of(one.quota(one.names[0]))["hard"]["services"] == "3"


def test_a_field_of_another_manager_is_refused_with_its_name_and_never_taken(team):
    two = team(2)
    two.somebody_sets(two.names[0], {"pods": "50"})
    proposal = two.plan()
    assert [one.object for one in proposal.changes] == [two.names[1]]
    (held,) = proposal.held
    assert held.refused
    assert 'conflict with "somebody"' in held.why and ".spec.hard.pods" in held.why
    two.roll_out()
    assert spec_of(two.quota(two.names[0])) == {"hard": {"pods": "50"}}


def test_an_object_replaced_between_look_and_apply_is_not_touched(team, steps):
    one = team()
    (name,) = one.names
    one.roll_out()
    (change,) = one.plan(hard="pods=20").changes
    steps.writer().kubernetes.delete(f"/api/v1/namespaces/{name}/resourcequotas/sretool")
    one.somebody_sets(name, {"services": "1"})
    with pytest.raises(RejectedError, match="uid"):
        STEP.apply(steps.writer(), change)
    assert spec_of(one.quota(name)) == {"hard": {"services": "1"}}


def test_a_limit_below_what_runs_is_refused_and_the_use_is_what_the_server_counts(team, steps):
    one = team()
    (name,) = one.names
    for cpu in ("500m", "250m", None):
        one.create_pod(name, cpu)
    (held,) = one.plan(hard="pods=2,requests.cpu=4").held
    assert held.refused and "pods is 2, used are 3" in held.why
    proposal = one.plan(hard="pods=3,requests.cpu=1,configmaps=5", default_limits="")
    sentences = [one.sentence for one in proposal.findings]
    assert any("the next pod like today's largest is rejected (pods, requests.cpu" in s for s in sentences)
    assert any("pods that do not name requests.cpu are rejected" in s for s in sentences)
    (change,) = proposal.changes
    use = "pods 3 of 3, requests.cpu 750m of 1"
    assert use in change.reason
    steps.make(STEP, change)
    ends = CLOCK.monotonic() + 20
    while not (used := one.quota(name).get("status", {}).get("used")) and CLOCK.monotonic() < ends:
        CLOCK.pause(0.1)
    assert (used["pods"], used["requests.cpu"]) == ("3", "750m")
    counted = next(row for row in proposal.findings[0].evidence if row.what.endswith("configmaps"))
    assert counted.value == used["configmaps"]


def test_what_is_finer_than_a_thousandth_is_rounded_up_as_the_server_does(team):
    fine = {
        "hard": "cpu=0.1m,requests.cpu=1.0000000001,requests.memory=1.0001Ki",
        "default_limits": "cpu=1.5m",
    }
    one = team()
    one.roll_out(**fine)
    assert spec_of(one.quota(one.names[0]))["hard"] == {
        "cpu": "1m",
        "requests.cpu": "1001m",
        "requests.memory": "1024103m",
    }
    assert spec_of(one.limits(one.names[0]))["limits"][0]["default"] == {"cpu": "2m"}
    assert one.plan(**fine).waves == ()


def warnings(team, **changed):
    return [one.sentence for one in team.plan(**changed).findings if one.severity is Severity.WARNING]


def test_a_default_limit_below_what_a_pod_requests_is_said_and_then_rejects_its_replacement(team):
    one = team()
    (name,) = one.names
    one.create_pod(name, "400m")
    assert warnings(one, hard="pods=10") == []
    one.create_pod(name, "1")
    (said,) = warnings(one, hard="pods=10")
    assert "the replacements of pods that request more, and name no limit, are rejected" in said
    one.roll_out(hard="pods=10")
    with pytest.raises(RejectedError, match="must be less than or equal to cpu limit"):
        one.create_pod(name, "1")


@pytest.mark.parametrize(("resource", "is_rejected"), [("memory", True), ("cpu", False)])
def test_a_limit_range_of_another_name_helps_only_with_what_it_gives(team, resource, is_rejected):
    one = team()
    (name,) = one.names
    item = {"type": "Container", "max": {resource: "500m"}}  # a maximum is a default too
    body = {"metadata": {"name": "theirs"}, "spec": {"limits": [item]}}
    one.create_pod(name)
    one.steps.writer().kubernetes.post(f"/api/v1/namespaces/{name}/limitranges", body)
    given = {"hard": "requests.cpu=4", "default_limits": ""}
    assert ["do not name requests.cpu are rejected" in said for said in warnings(one, **given)] == (
        [True] if is_rejected else []
    )
    one.roll_out(**given)
    ends = CLOCK.monotonic() + 20  # until it is counted every pod is rejected
    while not one.quota(name).get("status", {}).get("used") and CLOCK.monotonic() < ends:
        CLOCK.pause(0.1)
    if is_rejected:
        with pytest.raises(RejectedError, match=r"must specify requests\.cpu"):
            one.create_pod(name)
    else:
        one.create_pod(name)


def test_a_selection_of_nothing_or_of_everything_is_refused(team):
    one = team()
    assert "matches none" in one.plan(namespaces="nobody-*").held[0].why
    (held,) = one.plan(namespaces="", labels="team").held
    assert held.refused and "matches every one" in held.why
    with pytest.raises(NotFoundError):
        one.steps.reader().kubernetes.get(f"/api/v1/namespaces/{one.names[0]}/resourcequotas/sretool")


# -- as a person runs it ---------------------------------------------------------------------------------------


@pytest.fixture
def run(lab, tmp_path):
    sretool = Sretool(lab.base, lab.name, state=tmp_path / "state")

    def run(team, *more, crash="", **params):
        given = {"namespaces": f"{team.prefix}-*", "hard": "pods=10"} | params
        words = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
        return sretool("runbook", "quota-rollout", *words, *more, crash=crash)

    run.sretool = sretool
    return run


def test_planned_approved_done_nothing_left_and_undone(team, run):
    three = team(3)
    planned = run(three)
    assert (planned.returncode, three.quota(three.names[0])) == (3, None), planned.stderr
    done = run(three, "--approve", "reversible")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [spec_of(three.quota(name)) for name in three.names] == [{"hard": {"pods": "10"}}] * 3
    assert run(three).returncode == 0
    run_id = run.sretool.run_ids()[1]
    three.somebody_sets(three.names[1], {"pods": "99"})
    undone = run.sretool("undo", run_id, "--approve", "reversible")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert [spec_of(three.quota(name)) for name in three.names] == [None, {"hard": {"pods": "99"}}, None]
    assert "is no longer as the run left it" in undone.stdout + undone.stderr


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"hard": "pods=ten"}, 2, "is not a quantity"),
        ({"namespaces": "*"}, 2, "matches every namespace"),
        ({"namespaces": ""}, 2, "needs `namespaces` or `labels`"),
        ({"labels": "a=b c"}, 2, "is no label selector"),
        ({"quota_name": "No!"}, 2, "quota_name"),
        ({"namespaces": "nobody-*"}, 4, "matches none"),
        ({"namespaces": "kube-system"}, 4, "system namespace"),
    ],
)
def test_what_cannot_be_meant_ends_before_any_write(team, run, given, code, says):
    one = team()
    ended = run(one, "--approve", "reversible", **given)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert says in ended.stdout + ended.stderr
    assert one.quota(one.names[0]) is None


def test_looking_and_planning_send_the_server_no_write_but_dry_runs(lab, team, run):
    two = team(2)
    log = audit_log_path(lab.directory)
    before = log.stat().st_size
    assert run(two).returncode == 3
    CLOCK.pause(0.5)  # the log is written behind the answers
    writes = [
        (record["verb"], record["requestURI"])
        for record in map(json.loads, log.read_bytes()[before:].splitlines())
        if record["userAgent"].startswith("sretool") and record["verb"] not in ("get", "list")
    ]
    assert len(writes) == 4, "two objects in each of two namespaces"
    assert all(verb == "patch" and "dryRun=All" in uri for verb, uri in writes), writes


def test_a_saved_plan_is_refused_when_somebody_changed_an_object_since(team, run, tmp_path):
    two = team(2)
    plan = tmp_path / "plan.json"
    assert run(two, "--save", str(plan)).returncode == 3
    two.somebody_sets(two.names[0], {"services": "5"})
    ended = run.sretool("apply", str(plan), "--approve", "reversible")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert two.names[0] in ended.stdout + ended.stderr
    assert spec_of(two.quota(two.names[0])) == {"hard": {"services": "5"}}
    assert two.quota(two.names[1]) is None


@pytest.mark.parametrize("point", ["before:1", "after:1", "inside:3", "after:4", "record:5", "torn:6"])
def test_killed_anywhere_and_resumed_every_namespace_has_both_objects(team, run, point):
    two = team(2)
    assert run(two, "--approve", "reversible", crash=point).returncode == -signal.SIGKILL
    resumed = run.sretool("resume", run.sretool.run_ids()[-1], "--approve", "reversible")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert all(two.quota(name) and two.limits(name) for name in two.names)
    assert run(two).returncode == 0


def test_killed_in_the_midst_of_many_side_by_side_and_resumed(team, run):
    many = team(24)
    assert run(many, "--approve", "reversible", crash="inside:20").returncode == -signal.SIGKILL
    resumed = run.sretool("resume", run.sretool.run_ids()[-1], "--approve", "reversible")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert all(many.quota(name) and many.limits(name) for name in many.names)
    outcomes = [record["body"] for record in run.sretool.journal() if record["kind"] == "outcome"]
    assert {body["key"].rpartition("/")[2] for body in outcomes} == set(many.names)
    assert run(many).returncode == 0


def test_many_are_seen_one_by_one_as_they_are_together(team, steps):
    many = team(9)
    changes = many.plan().changes
    for change in changes[1:]:
        STEP.apply(steps.writer(), change)
    many.somebody_sets(many.names[3], {"pods": "99"})
    together = STEP.observe_each(steps.reader(), changes)
    assert together == [STEP.observe(steps.reader(), change) for change in changes]
    results = [outcome.result for outcome in together]
    assert results == [Result.NOT_DONE, *[Result.DONE] * 2, Result.PARTLY, *[Result.DONE] * 5]


def test_what_a_crash_left_half_made_and_a_resume_finished_is_undone_whole(team, run):
    one = team()
    run(one, "--approve", "reversible", crash="after:1")
    assert one.limits(one.names[0]) and not one.quota(one.names[0])
    run_id = run.sretool.run_ids()[-1]
    assert run.sretool("resume", run_id, "--approve", "reversible").returncode == 0
    assert one.quota(one.names[0])
    undone = run.sretool("undo", run_id, "--approve", "reversible")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert one.limits(one.names[0]) is None and one.quota(one.names[0]) is None


def deny_quotas_in(steps, namespace):
    """Install an admission policy that denies resource quotas in `namespace`, and wait until it does."""
    write = steps.writer().kubernetes
    root = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["resourcequotas"]}
    write.post(
        f"{root}/validatingadmissionpolicies",
        {
            "metadata": {"name": f"no-quotas-{namespace}"},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": f"request.namespace != '{namespace}'", "message": "not here"}],
            },
        },
    )
    write.post(
        f"{root}/validatingadmissionpolicybindings",
        {
            "metadata": {"name": f"no-quotas-{namespace}"},
            "spec": {"policyName": f"no-quotas-{namespace}", "validationActions": ["Deny"]},
        },
    )


def test_what_an_admission_policy_denies_is_refused_by_its_name_before_any_write(team, steps):
    two = team(2)
    deny_quotas_in(steps, two.names[1])
    ends = CLOCK.monotonic() + 20
    while not (held := two.plan().held) and CLOCK.monotonic() < ends:
        CLOCK.pause(0.2)
    assert [one.what for one in held] == [f"apply-quota {two.names[1]}"]
    assert held[0].refused
    assert f"no-quotas-{two.names[1]}" in held[0].why and "not here" in held[0].why
    assert [change.object for change in two.roll_out()] == [two.names[0]]
