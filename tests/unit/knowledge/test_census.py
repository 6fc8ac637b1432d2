"""Grouping and counting of key names."""

import random

import pytest

from sretool.knowledge import census as subject
from sretool.knowledge.census import NO_PREFIX, OTHERS, Tally, group_of, is_event_flood
from sretool.model import Unknown


@pytest.mark.parametrize(
    ("key", "resource", "namespace"),
    [
        (b"/registry/pods/kube-system/etcd-1", "pods", "kube-system"),
        (b"/registry/minions/node-1", "minions", ""),
        (b"/registry/services/specs/default/kubernetes", "services/specs", "default"),
        (b"/registry/services/endpoints/default/kubernetes", "services/endpoints", "default"),
        (b"/registry/services/other", "services", ""),
        (b"/registry/cilium.io/ciliumendpoints/apps/web-1", "cilium.io/ciliumendpoints", "apps"),
        (b"/registry/apiregistration.k8s.io/apiservices/v1.", "apiregistration.k8s.io/apiservices", ""),
        (b"/registry/leases/kube-node-lease/a/b", "leases", "kube-node-lease"),
        (b"/registry/ranges/serviceips", "ranges", ""),
        (b"compact_rev_key", NO_PREFIX, ""),
        (b"/calico/resources/v3/x", "/calico/resources", ""),
        (b"app/settings", "app", ""),
        (b"/a/b", "/a", ""),
        (b"\xff\xfe/x", "\\xff\\xfe", ""),
        (b"", NO_PREFIX, ""),
    ],
)
def test_a_key_belongs_to_a_resource_and_a_namespace(key, resource, namespace):
    assert group_of(key)[:2] == (resource, namespace)


def _counted_one_by_one(names):
    counts = {}
    for name in names:
        pair = group_of(name)[:2]
        counts[pair] = counts.get(pair, 0) + 1
    return counts


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_counting_by_page_equals_counting_one_by_one(page):
    chosen = random.Random(4)
    kinds = [
        b"/registry/pods/%s/%d",
        b"/registry/events/%s/%d",
        b"/registry/pods/%s%d",
        b"/a/%s/%d",
        b"a/%s%d",
        b"%s%d",
    ]
    names = sorted(
        {
            chosen.choice(kinds) % (chosen.choice([b"x", b"y", b"y0", b"y-"]), chosen.randrange(99))
            for _ in range(900)
        }
    )
    tally = Tally()
    for at in range(0, len(names), page):
        tally.add(names[at : at + page])
    census = tally.census(1)
    assert census.keys == len(names)
    assert {(one.resource, one.namespace): one.keys for one in census.namespaces} == _counted_one_by_one(
        names
    )
    assert sum(one.keys for one in census.resources) == len(names)


def test_memory_is_bounded_and_large_groups_stay_exact(monkeypatch):
    monkeypatch.setattr(subject, "GROUPS_KEPT", 10)
    tally = Tally()
    for number in range(200):
        size = 50 if number % 50 == 7 else 1
        tally.add([b"/registry/pods/ns-%04d/%03d" % (number, key) for key in range(size)])
    census = tally.census(1)
    assert len(census.namespaces) <= 21
    assert [one.keys for one in census.namespaces[:4]] == [50, 50, 50, 50]
    assert census.keys == sum(one.keys for one in census.namespaces) + census.folded == 396
    assert census.resources[0].keys == 396


def test_many_resources_are_folded_into_one_line(monkeypatch):
    monkeypatch.setattr(subject, "GROUPS_KEPT", 10)
    tally = Tally()
    for number in range(100):
        tally.add([b"/app/%04d/a" % number])
    resources = {one.resource: one.keys for one in tally.census(1).resources}
    assert len(resources) <= 21
    assert sum(resources.values()) == 100
    assert resources[OTHERS] >= 80


def test_samples_are_spread_over_the_resource_and_few():
    tally = Tally(sampled=True)
    for page in range(20):
        tally.add([b"/registry/pods/ns/%06d" % number for number in range(page * 500, page * 500 + 500)])
    keys = tally.samples()["pods"]
    assert 8 <= len(keys) <= 12
    numbers = [int(key.rsplit(b"/", 1)[1]) for key in keys]
    assert min(numbers) < 1000 and max(numbers) > 6000


def test_bytes_are_estimated_only_from_samples():
    tally = Tally(sampled=True)
    tally.add([b"/registry/events/ns/a", b"/registry/events/ns/b", b"/registry/pods/ns/a"])
    census = tally.census(1, sizes={"events": 1000})
    by_name = {one.resource: one.estimated_bytes for one in census.resources}
    assert by_name["events"] == 2000
    assert isinstance(by_name["pods"], Unknown)


@pytest.mark.parametrize(("events", "flood"), [(100_000, False), (100_001, True)])
def test_more_than_a_hundred_thousand_events_are_a_flood(events, flood):
    tally = Tally()
    tally.add([b"/registry/events/ns/%07d" % number for number in range(events)])
    assert is_event_flood(tally.census(1)) is flood
