"""Templates of quotas, and what pods count for."""

import msgspec
import pytest

from sretool.knowledge.quotas import Pod, PodSpec, Tally, parse_template, pod_needs

NANO = 10**9


def template(hard="", limits="", requests=""):
    return parse_template(hard=hard, default_limits=limits, default_requests=requests)


def test_a_template_becomes_the_specs_that_the_server_stores():
    specs = template(
        "pods=50, requests.cpu=2000m,requests.memory=1.5Gi", "cpu=1,memory=512Mi", "cpu=100m"
    ).specs
    assert specs == {
        "LimitRange": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"cpu": "1", "memory": "512Mi"},
                    "defaultRequest": {"cpu": "100m", "memory": "512Mi"},
                }
            ]
        },
        "ResourceQuota": {"hard": {"pods": "50", "requests.cpu": "2", "requests.memory": "1536Mi"}},
    }
    assert list(specs) == ["LimitRange", "ResourceQuota"], "the defaults stand before the quota demands them"
    assert list(template("pods=1").specs) == ["ResourceQuota"]
    assert list(template("", "", "cpu=1").specs) == ["LimitRange"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"hard": "pods"}, "is no pair"),
        ({"hard": "=5"}, "is no pair"),
        ({"hard": "pods=5,pods=6"}, "stands twice"),
        ({"hard": "pods=five"}, "is not a quantity"),
        ({"hard": "pods=-1"}, "not negative"),
        ({"hard": "pods=1500m"}, "whole number"),
        ({"hard": "count/events=10"}, "does not count events"),
        ({"hard": "count/widgets.example.com=1"}, "cannot be counted"),
        ({"hard": "secrets=1"}, "cannot be counted"),
        ({"hard": "request.cpu=1"}, "cannot be counted"),
        ({"limits": "pods=1"}, "a default is one of cpu"),
        ({"limits": "cpu=1", "requests": "cpu=2"}, "above the limit"),
    ],
)
def test_a_malformed_template_is_an_error_that_says_what_is_wrong(given, why):
    with pytest.raises(ValueError, match=why):
        template(**given)


@pytest.mark.parametrize(
    ("hard", "limits", "requests", "unnamed"),
    [
        ("pods=1,requests.cpu=1,limits.memory=1Gi", "", "", {"requests.cpu", "limits.memory"}),
        ("cpu=1,requests.cpu=1,limits.cpu=1", "cpu=1", "", set()),
        ("requests.cpu=1,limits.cpu=1", "", "cpu=1", {"limits.cpu"}),
    ],
)
def test_a_quota_of_cpu_or_memory_demands_what_no_default_gives(hard, limits, requests, unnamed):
    assert template(hard, limits, requests).must_be_named() == unnamed


def container(cpu=None, limit=None, **more):
    sides = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"cpu": limit} if limit else {}}
    return {"resources": sides} | more


@pytest.mark.parametrize(
    ("spec", "millis"),
    [
        ({"containers": [container("100m"), container("250m")]}, 350),
        ({"containers": [container("100m")], "initContainers": [container("1")]}, 1000),
        ({"containers": [container("2")], "initContainers": [container("1"), container("1")]}, 2000),
        # A sidecar runs on beside the containers, and beside the init containers after it.
        (
            {
                "containers": [container("100m")],
                "initContainers": [container("200m", restartPolicy="Always")],
            },
            300,
        ),
        (
            {
                "containers": [container("100m")],
                "initContainers": [container("200m", restartPolicy="Always"), container("500m")],
            },
            700,
        ),
        ({"containers": [container("100m")], "overhead": {"cpu": "50m"}}, 150),
        ({"containers": [container("100m")], "resources": {"requests": {"cpu": "1"}}}, 1000),
        ({"containers": [{}]}, 0),
    ],
)
def test_a_pod_counts_as_the_scheduler_counts_it(spec, millis):
    needs = pod_needs(msgspec.convert(spec, PodSpec))
    assert needs.get("requests.cpu", 0) == millis * NANO // 1000
    assert needs.get("cpu", 0) == needs.get("requests.cpu", 0)
    assert needs["pods"] == needs["count/pods"] == NANO


def pod(name, *containers, phase="Running"):
    shape = {"metadata": {"name": name, "namespace": "a"}, "spec": {"containers": list(containers)}}
    return msgspec.convert(shape | {"status": {"phase": phase}}, Pod)


def test_a_tally_knows_the_use_the_largest_pod_and_who_names_no_resources():
    tally = Tally(template("pods=9,count/pods=9,requests.cpu=9,limits.cpu=9"))
    tally.add_pod(pod("small", container("100m", "1")))
    tally.add_pod(pod("big", container("2"), container()))
    tally.add_pod(pod("over", container("9", "9"), phase="Succeeded"))
    use = tally.use()
    assert use.used == {
        "pods": 2 * NANO,
        "count/pods": 3 * NANO,
        "requests.cpu": 2100 * NANO // 1000,
        "limits.cpu": NANO,
    }
    assert use.largest["requests.cpu"] == (2 * NANO, "big")
    assert use.unnamed == {"requests.cpu": 1, "limits.cpu": 1}


def test_a_tally_knows_who_requests_more_than_the_default_limit_and_names_no_limit():
    tally = Tally(template("pods=9", "cpu=500m"))
    tally.add_pod(pod("fits", container("500m")))
    tally.add_pod(pod("named", container("3", "3")))
    tally.add_pod(pod("over", container("9"), phase="Succeeded"))
    assert tally.use().above == {}
    tally.add_pod(pod("more", container("1")))
    tally.add_pod(pod("most", container("100m"), container("2")))
    assert tally.use().above == {"cpu": (2 * NANO, "most")}


def test_what_another_limit_range_gives_need_not_be_named():
    bare = template("cpu=1,requests.cpu=1,limits.cpu=1,requests.memory=1Gi")
    assert bare.must_be_named({"requests.cpu"}) == {"limits.cpu", "requests.memory"}
    assert bare.must_be_named({"limits.memory"}) == bare.must_be_named()
