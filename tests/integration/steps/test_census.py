"""etcd.census on real keys, compared with etcdctl."""

from collections import Counter

import pytest

from sretool.clients.etcd import Put
from sretool.cluster import etcd_keys
from sretool.knowledge.census import group_of
from sretool.model import Unknown
from sretool.step.units import Duration
from sretool.steps.etcd_census import EtcdCensus, EtcdCensusParams
from tests.support.etcd_cluster import running_lab
from tests.support.steps_on_a_lab import StepsOnALab

pytestmark = pytest.mark.real
STEP = EtcdCensus()
KEYS = 6000


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("census")) as lab, StepsOnALab(lab) as steps:
        writes = steps.cluster._etcd.writes("m1")
        kinds = (
            b"/registry/events/ns-%02d/e%05d",
            b"/registry/pods/ns-%02d/p%05d",
            b"/registry/minions/n%02d-%05d",
            b"app/%02d-%05d",
        )
        names = [kinds[number % 4] % (number % 40, number) for number in range(KEYS)]
        for at in range(0, KEYS, 100):
            writes.txn(
                [],
                [
                    Put(key=name, value=b"v" * (1000 if b"events" in name else 100))
                    for name in names[at : at + 100]
                ],
                timeout_seconds=5,
            )
        yield lab


@pytest.fixture
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


def test_every_key_is_counted_once_whatever_the_page(lab, steps, monkeypatch):
    listed = [line for line in lab.etcdctl("get", "", "--prefix", "--keys-only").stdout.splitlines() if line]
    expected = Counter(group_of(line.encode())[:2] for line in listed)
    for page in (97, 10_000):
        monkeypatch.setattr(etcd_keys.EtcdKeys.names, "__kwdefaults__", {"page": page})
        facts = steps.look(STEP)
        assert {(one.resource, one.namespace): one.keys for one in facts.census.namespaces} == expected
        assert facts.keys == KEYS == len(listed)
        assert facts.events == KEYS // 4
        assert set(facts.top_resources) == {"events", "pods", "minions", "app"}


def test_bytes_are_estimated_from_a_few_values(steps):
    facts = steps.look(STEP, EtcdCensusParams(depth="sampled"))
    sizes = {one.resource: one.estimated_bytes for one in facts.census.resources}
    assert sizes["events"] == pytest.approx(1500 * 1028, rel=0.05)
    assert sizes["pods"] == pytest.approx(1500 * 126, rel=0.1)
    assert facts.census.resources[0].resource == "events"


def test_one_prefix_can_be_counted_alone(steps):
    facts = steps.look(STEP, EtcdCensusParams(prefix="/registry/pods/"))
    assert facts.top_resources == ("pods",)
    assert facts.keys == KEYS // 4


@pytest.mark.parametrize(
    "prefix", ["/registry/pods/", "/registry/pods/ns-1", "/registry/", "/registry/none/", "/"]
)
def test_a_prefix_is_not_left_whatever_the_page(lab, steps, prefix):
    listed = lab.etcdctl("get", prefix, "--prefix", "--keys-only").stdout.split()
    pages = [page for page, _ in steps.reader().etcd.keys.names(prefix.encode(), page=61)]
    assert [name.decode() for page in pages for name in page] == listed


def test_a_census_that_takes_too_long_says_so_and_its_totals_are_unknown(steps, monkeypatch):
    monkeypatch.setattr(etcd_keys.EtcdKeys.names, "__kwdefaults__", {"page": 100})
    params = EtcdCensusParams(within=Duration(0.0))
    facts = steps.look(STEP, params)
    assert isinstance(facts.keys, Unknown) and isinstance(facts.events, Unknown)
    assert any(one.blind for one in STEP.plan(params, facts, ()).findings)
