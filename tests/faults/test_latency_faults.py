"""Every fault in a real etcd gives its own cause, names its member, and gives no other cause."""

import time
from collections.abc import Iterator

import pytest

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.lab import Lab, LabSpec, processes
from sretool.lab.faults import FaultOptions, raise_fault
from sretool.step.units import Duration
from sretool.steps.etcd_latency import EtcdLatency, EtcdLatencyFacts, EtcdLatencyParams
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.needs import needs_nft, needs_root, needs_strace
from tests.support.promptly import promptly, seen

pytestmark = [pytest.mark.real, pytest.mark.faults]

WINDOW_SECONDS = 4.0
SETTLE_SECONDS = 0.7
CLOCK = SystemClock()


@pytest.fixture
def lab(tmp_path) -> Iterator[Lab]:
    """A lab of its own: etcd's round-trip times remember the last fault for half a minute."""
    with running_lab(tmp_path, LabSpec(name="latency", peer_proxy=True)) as lab:
        yield lab


def role_names(lab: Lab) -> dict[str, str]:
    def roles() -> list[str]:
        return sorted(one.role for one in lab.status())

    assert processes.wait_until(lambda: roles() == ["follower", "follower", "leader"], seconds=10.0)
    return {one.role: one.name for one in lab.status()}


def look(lab: Lab) -> EtcdLatencyFacts:
    entry = parse_cluster(lab.cluster_file.read_text(), origin="lab")
    with Cluster(entry, CLOCK) as cluster:
        params = EtcdLatencyParams(window=Duration(WINDOW_SECONDS))
        return EtcdLatency().look(cluster.reader(Deadline(CLOCK, 30.0)), params)


def findings(facts: EtcdLatencyFacts):
    return EtcdLatency().plan(EtcdLatencyParams(), facts, ()).findings


@pytest.mark.parametrize(
    ("fault", "role", "cause"),
    [
        pytest.param("slow-disk", "follower", "disk-slow-minority", marks=[needs_root, needs_strace]),
        pytest.param("slow-disk", "leader", "disk-slow-leader", marks=[needs_root, needs_strace]),
        pytest.param("loss", "follower", "network-node", marks=[needs_root, needs_nft]),
        pytest.param("loss", "leader", "network-node", marks=[needs_root, needs_nft]),
        ("delay", "follower", "network-node"),
        ("delay", "leader", "network-node"),
        ("freeze", "follower", "member-frozen"),
        ("freeze", "leader", "member-frozen"),
        ("kill", "follower", "member-dead"),
        ("kill", "leader", "member-dead"),
    ],
)
def test_a_fault_gives_its_cause_and_no_other(lab, fault, role, cause):
    with writing(lab):
        at_fault = role_names(lab)[role]
        raise_fault(lab, fault, at_fault)
        time.sleep(SETTLE_SECONDS)
        facts = seen(lambda: look(lab), as_expected=lambda facts: facts.causes == (cause,))
    assert (cause,) == facts.causes
    assert [at_fault] == [one.subject for one in findings(facts) if one.verdict == cause]
    assert facts.leader_disk_slow is (cause == "disk-slow-leader")


@needs_root
@needs_nft
@pytest.mark.parametrize("role", ["follower", "leader"])
def test_lost_packets_are_found_in_an_etcd_that_nobody_writes_to(lab, role):
    at_fault = role_names(lab)[role]
    raise_fault(lab, "loss", at_fault)
    time.sleep(SETTLE_SECONDS)
    facts = seen(lambda: look(lab), as_expected=lambda facts: facts.causes == ("network-node",))
    assert facts.causes == ("network-node",)
    assert facts.slow_network_members == (at_fault,)


@needs_root
@needs_strace
def test_two_slow_disks_of_three_hold_up_every_commit(lab):
    with writing(lab):
        for name in ("m1", "m2"):
            raise_fault(lab, "slow-disk", name)
        facts = seen(lambda: look(lab), as_expected=lambda facts: facts.causes == ("disk-slow-majority",))
    assert facts.causes == ("disk-slow-majority",)
    assert facts.slow_disk_members == ("m1", "m2")


@needs_root
@needs_strace
@pytest.mark.parametrize("milliseconds", [3000, 20_000], ids=["3 s", "longer than the window"])
def test_a_disk_that_hangs_is_the_disk_of_a_lone_member_and_no_network_or_lost_quorum(tmp_path, milliseconds):
    with running_lab(tmp_path, LabSpec(name="lone", members=1)) as lone, writing(lone):
        raise_fault(lone, "slow-disk", "m1", FaultOptions(milliseconds=milliseconds))
        time.sleep(SETTLE_SECONDS + 1.0)
        facts = seen(lambda: look(lone), as_expected=lambda facts: facts.causes == ("disk-slow-majority",))
    assert facts.causes == ("disk-slow-majority",)
    assert facts.leader_disk_slow is True
    assert not any(one.blind for one in findings(facts))


@needs_root
@needs_strace
@pytest.mark.parametrize(
    ("role", "milliseconds"), [("follower", 4000), ("follower", 20_000), ("leader", 20_000)]
)
def test_a_disk_that_hangs_is_told_of_one_member_of_three(lab, role, milliseconds):
    at_fault = role_names(lab)[role]
    with writing(lab):
        raise_fault(lab, "slow-disk", at_fault, FaultOptions(milliseconds=milliseconds))
        time.sleep(SETTLE_SECONDS + 2.0)  # a leader's followers elect another
        facts = seen(lambda: look(lab), as_expected=lambda facts: facts.causes == ("disk-slow-minority",))
    assert facts.causes == ("disk-slow-minority",)
    assert facts.slow_disk_members == (at_fault,)


@pytest.mark.parametrize("fault", ["freeze", "kill"])
def test_a_silent_member_adds_three_seconds_at_most(lab, fault):
    raise_fault(lab, fault, role_names(lab)["follower"])
    promptly(lambda: look(lab), seconds=WINDOW_SECONDS + 3)


def test_two_members_of_three_down_are_a_lost_quorum_and_nothing_is_missing_for_that(lab):
    with writing(lab):
        raise_fault(lab, "kill", "m1")
        raise_fault(lab, "freeze", "m2")
        facts = promptly(lambda: look(lab), seconds=WINDOW_SECONDS + 3.5)
    assert facts.causes == ("quorum-lost", "member-dead", "member-frozen")
    assert not any(one.blind for one in findings(facts))


def test_a_member_that_freezes_during_the_window_is_not_called_healthy(lab):
    import threading

    at_fault = role_names(lab)["follower"]
    later = threading.Timer(1.0, raise_fault, (lab, "freeze", at_fault))
    later.start()
    facts = look(lab)
    later.join()
    found = findings(facts)
    assert [at_fault] == [one.subject for one in found if one.blind]
    assert not any(one.verdict in {"idle", "not-etcd"} for one in found)
