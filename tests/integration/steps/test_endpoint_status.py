"""etcd.endpoint-status and etcd.alarm-list on real members, some of them dead or frozen."""

import signal
import time

import pytest

from sretool.cluster.compaction import read_revision_rate
from sretool.errors import RemoteError
from sretool.lab.loopback import CLIENT_PORT, wait_until_closed
from sretool.model import Unknown
from sretool.steps.etcd_alarm_list import EtcdAlarmList
from sretool.steps.etcd_endpoint_status import EtcdEndpointStatus
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab, send
from tests.support.promptly import promptly
from tests.support.steps_on_a_lab import StepsOnALab

pytestmark = [pytest.mark.real, pytest.mark.faults]
STEP = EtcdEndpointStatus()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("status")) as lab:
        yield lab


@pytest.fixture
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


@pytest.fixture
def frozen(lab):
    """Freezes members by name; they go on when the test ends."""
    pids = []

    def freeze(*names):
        for name in names:
            pids.append(lab.member(name).pid)
            send(pids[-1], signal.SIGSTOP)

    yield freeze
    for pid in pids:
        send(pid, signal.SIGCONT)
    ends = time.monotonic() + 20
    while pids and time.monotonic() < ends and lab.etcdctl("endpoint", "health").returncode:
        time.sleep(0.2)


def verdicts(proposal):
    return {(one.verdict, one.subject) for one in proposal.findings if one.verdict}


def followers(steps):
    leader = steps.look(STEP).leader
    return [name for name in ("m1", "m2", "m3") if name != leader]


def test_a_healthy_cluster_is_healthy_quickly(steps):
    facts = promptly(lambda: steps.look(STEP), seconds=1)
    assert facts.healthy is True
    assert facts.members == 3
    assert facts.silent_members == ()
    assert facts.leader in ("m1", "m2", "m3")
    assert 0 < facts.quota_used < 0.01
    assert facts.db_size_bytes > 0
    assert facts.compaction_stalled is False
    assert [row.name for row in facts.rows] == ["m1", "m2", "m3"]
    assert all(row.lag <= 100 for row in facts.rows)
    assert steps.look(EtcdAlarmList()).types == ()


def test_the_rate_of_revisions_is_rather_too_high(lab, steps):
    etcd = steps.reader().etcd
    with writing(lab, every_seconds=0.02):
        first = etcd.revisions()["m1"]
        rate = read_revision_rate(etcd, "m1")
        counted = (etcd.revisions()["m1"] - first) / 2.0
    assert 0.9 * counted <= rate < 5 * counted


def test_a_frozen_member_is_named_within_three_seconds_and_aggregates_are_unknown(steps, frozen):
    quiet = followers(steps)[0]
    frozen(quiet)
    facts = promptly(lambda: steps.look(STEP), seconds=3)
    proposal = STEP.plan(STEP.params_type(), facts, ())
    assert ("member-frozen", quiet) in verdicts(proposal)
    assert facts.silent_members == (quiet,)
    assert facts.healthy is False
    assert isinstance(facts.quota_used, Unknown)
    assert isinstance(facts.db_size_bytes, Unknown)
    assert any(one.blind for one in proposal.findings)
    assert len(facts.rows) == 3
    assert steps.look(EtcdAlarmList()).types == ()


def test_two_of_three_frozen_reads_no_quorum_and_plans_nothing(steps, frozen):
    frozen(*followers(steps))
    time.sleep(2.0)  # the leader notices
    proposal = steps.plan(STEP)
    assert ("quorum-lost", "") in verdicts(proposal)
    assert proposal.waves == () and proposal.held == ()
    assert not any(one.blind for one in proposal.findings)
    alarms = steps.plan(EtcdAlarmList())
    assert not any(one.blind for one in alarms.findings)


def test_nobody_answering_is_an_error_that_names_everybody(steps, frozen):
    frozen("m1", "m2", "m3")
    with pytest.raises(RemoteError, match=r"m1: frozen.*m2: frozen.*m3: frozen"):
        steps.look(STEP)


def test_a_dead_member_is_dead_and_not_frozen(lab, steps):
    name = followers(steps)[0]
    member = lab.member(name)
    send(member.pid, signal.SIGKILL)
    assert wait_until_closed([(member.address, CLIENT_PORT)])
    try:
        facts = steps.look(STEP)
        assert verdicts(STEP.plan(STEP.params_type(), facts, ())) >= {("member-dead", name)}
        assert facts.healthy is False
    finally:
        lab.start(member)
        ends = time.monotonic() + 20
        while time.monotonic() < ends and lab.etcdctl("endpoint", "health").returncode:
            time.sleep(0.2)
