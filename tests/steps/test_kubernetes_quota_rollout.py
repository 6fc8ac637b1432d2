"""What kubernetes.quota-rollout plans, refuses and warns of."""

import itertools

import msgspec
import pytest

from sretool.engine.plan import uncovered
from sretool.knowledge.field_ownership import applied_fields, other_spec_owners
from sretool.knowledge.quota_rollout import body_of
from sretool.knowledge.quota_view import Place, RolloutView
from sretool.knowledge.quotas import Use
from sretool.model import Effect, Risk, Severity
from sretool.steps.kubernetes_quota_rollout import (
    KubernetesQuotaRollout,
    KubernetesQuotaRolloutFacts,
    KubernetesQuotaRolloutParams,
)

NANO = 10**9
STEP = KubernetesQuotaRollout()
PARAMS = KubernetesQuotaRolloutParams(
    namespaces="team-*", hard="pods=10,requests.cpu=4", default_limits="cpu=1"
)
SPECS = PARAMS.template().specs
WANTED = {kind: {"spec": spec} for kind, spec in SPECS.items()}
NAMES = {"LimitRange": "sretool", "ResourceQuota": "sretool"}


def due(name="team-a", pods=3, cpu=1, **changed):
    use = Use(
        used={"pods": pods * NANO, "requests.cpu": cpu * NANO},
        largest={"pods": (NANO, "web-1"), "requests.cpu": (NANO // 2, "web-1")},
    )
    place = Place(name=name, now=dict.fromkeys(WANTED), wanted=WANTED, use=use)
    return msgspec.structs.replace(place, **changed)


def settled(name):
    return Place(name=name, now=WANTED, wanted=WANTED)


def plan(*places, params=PARAMS, refusal=""):
    view = RolloutView(
        template=params.template(), names=NAMES, places=places, refusal=refusal, without_quota=len(places)
    )
    facts = KubernetesQuotaRolloutFacts(chosen=len(places), differing=0, without_quota=len(places), view=view)
    return STEP.plan(params, facts, ())


def test_nothing_differs_nothing_is_due():
    proposal = plan(settled("team-a"), settled("team-b"))
    assert (proposal.waves, proposal.findings, proposal.held) == ((), (), ())


@pytest.mark.parametrize(
    ("chosen", "done", "sizes"),
    [
        (1, 0, [1]),
        (3, 0, [1, 1, 1]),
        (20, 0, [1, 2, 17]),
        (1000, 0, [1, 100, 500, 399]),
        (1000, 1, [100, 500, 399]),
        (1000, 60, [41, 500, 399]),
        (1000, 990, [10]),
    ],
)
def test_one_namespace_then_a_tenth_then_the_rest_in_pages(chosen, done, sizes):
    places = [settled(f"team-{one:04d}") for one in range(done)]
    places += [due(f"team-{one:04d}") for one in range(done, chosen)]
    waves = plan(*places).waves
    assert [len(wave) for wave in waves] == sizes
    assert len({change.key for wave in waves for change in wave}) == chosen - done


def test_one_reversible_change_a_namespace_says_what_is_used_and_how_to_do_it_by_hand():
    (change,) = plan(due()).changes
    assert change.key == "kubernetes.quota-rollout/apply-quota/team-a"
    assert (change.risk, change.effects) == (Risk.REVERSIBLE, (Effect.SETS_QUOTA,))
    assert "new LimitRange sretool and new ResourceQuota sretool" in change.reason
    assert "pods 3 of 10" in change.reason
    assert list(change.after) == ["LimitRange", "ResourceQuota"]
    assert len(change.commands) == 2
    assert "--server-side --field-manager=sretool" in change.commands[0]
    assert "--force" not in "".join(change.commands)
    assert msgspec.json.decode(msgspec.json.encode(change), type=type(change)) == change


def test_reversed_it_brings_back_what_was_there():
    before = {"spec": {"hard": {"pods": "5"}}}
    place = due(
        now={"ResourceQuota": before},
        wanted={"ResourceQuota": WANTED["ResourceQuota"]},
        found={"ResourceQuota": "{}"},
        uids={"ResourceQuota": "u1"},
    )
    (change,) = plan(place).changes
    back = change.reversed()
    assert back.after == {"ResourceQuota": before}
    assert body_of(back.selection, "ResourceQuota", back.after["ResourceQuota"]) == {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "sretool", "namespace": "team-a", "uid": "u1"},
        "spec": {"hard": {"pods": "5"}},
    }


@pytest.mark.parametrize(("pods", "cpu"), [(11, 1), (3, 5)])
def test_a_limit_below_what_is_used_is_refused_there_and_only_there(pods, cpu):
    proposal = plan(due("team-a", pods=pods, cpu=cpu), due("team-b"))
    assert [one.object for one in proposal.changes] == ["team-b"]
    (held,) = proposal.held
    assert held.refused and held.what == "apply-quota team-a" and "used are" in held.why
    allowed = msgspec.structs.replace(PARAMS, allow_over=True)
    assert len(plan(due("team-a", pods=pods, cpu=cpu), due("team-b"), params=allowed).changes) == 2


def test_what_the_server_refuses_in_the_dry_run_is_refused_with_its_words():
    proposal = plan(due(refusal="conflict with «kubectl»: .spec.hard.pods"), due("team-b"))
    assert [one.object for one in proposal.changes] == ["team-b"]
    assert (proposal.held[0].refused, proposal.held[0].why) == (
        True,
        "conflict with «kubectl»: .spec.hard.pods",
    )


def test_a_selection_that_may_not_be_used_plans_nothing():
    proposal = plan(refusal="the selection matches none of 3 namespaces")
    assert proposal.waves == () and proposal.held[0].refused


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (due(pods=10), "the next pod like today's largest is rejected (pods"),
        (due(cpu=4), "the next pod like today's largest is rejected (requests.cpu"),
        (due(others=("old",)), "has defaults for containers from LimitRange old too"),
        (Place(name="team-a", is_uncounted=True), "in team-a use is not counted yet"),
    ],
)
def test_what_would_be_rejected_next_is_said_before(place, says):
    warnings = [one for one in plan(place).findings if one.severity is Severity.WARNING]
    assert [says in one.sentence for one in warnings] == [True]
    assert not any(one.is_cause for one in warnings)


def test_pods_that_name_no_resources_are_said_where_no_default_helps():
    use = Use(used={"pods": 0, "requests.cpu": 0}, unnamed={"requests.cpu": 3})
    bare = KubernetesQuotaRolloutParams(namespaces="team-*", hard=PARAMS.hard)
    sentences = [one.sentence for one in plan(due(use=use), params=bare).findings]
    assert any("pods that do not name requests.cpu are rejected" in one for one in sentences)
    assert not any("do not name" in one.sentence for one in plan(due(use=use)).findings)


@pytest.mark.parametrize(
    ("expected", "defaults"),
    [(0, {"requests.cpu"}), (1, {"requests.memory"}), (1, {"limits.cpu"})],
)
def test_another_limit_range_helps_only_where_it_gives_what_the_quota_demands(expected, defaults):
    use = Use(used={"pods": 0, "requests.cpu": 0}, unnamed={"requests.cpu": 3})
    bare = KubernetesQuotaRolloutParams(namespaces="team-*", hard=PARAMS.hard)
    place = due(use=use, others=("x",), defaults=frozenset(defaults))
    found = [one for one in plan(place, params=bare).findings if "do not name" in one.sentence]
    assert len(found) == expected


def test_pods_that_request_more_than_the_default_limit_are_said_before_they_cannot_come_back():
    use = Use(used={"pods": NANO, "requests.cpu": 2 * NANO}, above={"cpu": (2 * NANO, "web-1")})
    (found,) = (one for one in plan(due(use=use)).findings if one.severity is Severity.WARNING)
    assert "with this default limit of cpu the replacements of pods that request more" in found.sentence
    (evidence,) = found.evidence
    assert ("web-1" in evidence.what, evidence.value, evidence.threshold) == (
        True,
        "2",
        "the default limit 1",
    )


def test_of_a_thousand_warnings_twenty_are_listed_and_the_rest_counted():
    findings = plan(*(due(f"team-{one:04d}", pods=10) for one in range(1000))).findings
    assert len(findings) == 22
    assert "980 more namespaces" in findings[-1].sentence


def test_an_object_that_somebody_changed_since_the_approval_is_not_covered():
    approved = plan(due(), due("team-b")).changes
    assert uncovered(plan(due(), due("team-b")).changes, approved) == ()
    assert uncovered(plan(due("team-b")).changes, approved) == (), "what is no longer due is dropped"
    theirs = due(
        now={kind: {} for kind in WANTED},
        found={"ResourceQuota": '{"hard":{"pods":"2"}}'},
        uids={"ResourceQuota": "u"},
    )
    assert "team-a: ResourceQuota is now" in uncovered(plan(theirs).changes, approved)[0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"hard": "pods=many"}, "is not a quantity"),
        ({"namespaces": "Team"}, "is no name of a namespace"),
        ({"namespaces": "*"}, "matches every namespace"),
        ({"labels": "a=b c"}, "is no label selector"),
        ({"default_limits": "cpu=1", "default_requests": "cpu=2"}, "above the limit"),
    ],
)
def test_malformed_parameters_are_errors_before_anything_is_asked(given, why):
    with pytest.raises(ValueError, match=why):
        KubernetesQuotaRolloutParams(**given)


LIVE = {
    "metadata": {
        "labels": {"team": "a", "theirs": "b"},
        "managedFields": [
            {
                "manager": "sretool",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:team": {}}},
                    "f:spec": {"f:hard": {"f:pods": {}}, "f:scopes": {}, "f:gone": {}},
                },
            },
            {
                "manager": "sretool",
                "operation": "Apply",
                "subresource": "status",
                "fieldsV1": {"f:status": {}},
            },
            {
                "manager": "kubectl",
                "operation": "Update",
                "fieldsV1": {"f:spec": {"f:hard": {"f:secrets": {}}}},
            },
            {"manager": "labeller", "operation": "Update", "fieldsV1": {"f:metadata": {}}},
            {"manager": "kcm", "operation": "Update", "subresource": "status", "fieldsV1": {"f:spec": {}}},
        ],
    },
    "spec": {"hard": {"pods": "5", "secrets": "9"}, "scopes": ["BestEffort"]},
    "status": {"used": {}},
}


def test_ours_of_an_object_is_what_our_field_manager_applied():
    assert applied_fields(LIVE, "sretool") == {
        "metadata": {"labels": {"team": "a"}},
        "spec": {"hard": {"pods": "5"}, "scopes": ["BestEffort"]},
    }
    assert applied_fields(LIVE, "nobody") == {}
    assert applied_fields({"metadata": {}}, "sretool") == {}


def test_only_owners_of_the_spec_count_as_others():
    assert other_spec_owners(LIVE, "sretool") == ("kubectl",)


def test_equal_facts_give_an_equal_plan():
    places = [due(f"team-{one}") for one in range(5)]
    assert all(a == b for a, b in itertools.pairwise(plan(*places) for _ in range(3)))
