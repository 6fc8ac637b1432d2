"""`etcd.latency` on a healthy etcd: what it says, how long it takes, and that it writes nothing."""

import time
from collections.abc import Iterator

import msgspec
import pytest

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster, ClusterEntry
from sretool.cluster.inventory import parse_cluster
from sretool.cluster.latency import latest_latency, measure_latency
from sretool.lab import Lab
from sretool.lab.faults import raise_fault, undo_fault
from sretool.lab.members import read_metrics
from sretool.model import Severity, Unknown
from sretool.step.units import Duration
from sretool.steps.etcd_latency import EtcdLatency, EtcdLatencyParams
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.promptly import promptly, seen

pytestmark = pytest.mark.real

CLOCK = SystemClock()
PARAMS = EtcdLatencyParams(window=Duration(3.0))


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("latency")) as lab:
        yield lab


@pytest.fixture
def entry(lab) -> ClusterEntry:
    return parse_cluster(lab.cluster_file.read_text(), origin="lab")


def look(entry: ClusterEntry):
    with Cluster(entry, CLOCK) as cluster:
        facts = EtcdLatency().look(cluster.reader(Deadline(CLOCK, 30.0)), PARAMS)
    return facts, EtcdLatency().plan(PARAMS, facts, ())


def test_an_etcd_that_works_is_said_to_be_fast_with_its_figures(lab, entry):
    with writing(lab):
        facts, proposal = seen(lambda: look(entry), as_expected=lambda looked: looked[0].causes == ())
    assert facts.causes == ()
    assert facts.slow_disk_members == ()
    assert facts.leader_disk_slow is False
    assert 0 < facts.fsync_p99_seconds < 0.064
    assert 0 < facts.commit_p99_seconds < 0.25
    (good,) = [one for one in proposal.findings if one.severity is Severity.OK]
    assert good.verdict == "not-etcd"
    assert proposal.changes == ()


def test_an_idle_etcd_is_told_to_be_idle_and_nothing_is_wrong_or_missing(entry):
    facts, proposal = seen(
        lambda: look(entry),
        as_expected=lambda looked: [one.verdict for one in looked[1].findings] == ["idle"],
    )
    assert facts.causes == ()
    assert facts.leader_disk_slow is False
    assert isinstance(facts.fsync_p99_seconds, Unknown)
    assert [one.verdict for one in proposal.findings] == ["idle"]
    assert not any(one.blind or one.severity > Severity.NOTE for one in proposal.findings)


def test_it_takes_the_window_and_half_a_second(entry):
    with Cluster(entry, CLOCK) as cluster:

        def measured():
            read = cluster.reader(Deadline(CLOCK, 30.0))
            read.etcd.status()
            return measure_latency(read, 2.0)

        began = time.monotonic()
        sample = promptly(measured, seconds=2.7)
    assert time.monotonic() - began >= 2.0
    assert min(len(one.serializable) for one in sample.members) >= 5
    assert min(len(one.linearizable) for one in sample.members) >= 5


def test_a_deadline_that_passes_during_the_window_is_told_and_no_member_blamed(entry):
    with Cluster(entry, CLOCK) as cluster:
        read = cluster.reader(Deadline(CLOCK, 2.0))
        facts = EtcdLatency().look(read, EtcdLatencyParams(window=Duration(1.995)))
    (told,) = EtcdLatency().plan(PARAMS, facts, ()).findings
    assert told.blind
    assert told.subject == ""
    assert "the deadline of the run or step" in told.sentence


def test_one_look_measures_once(entry):
    with Cluster(entry, CLOCK) as cluster:
        read = cluster.reader(Deadline(CLOCK, 30.0))
        assert measure_latency(read, 0.5) is measure_latency(read, 0.5)


def test_the_latest_window_of_the_run_serves_until_it_is_too_old(entry):
    with Cluster(entry, CLOCK) as cluster:

        def latest(not_older_seconds):
            read = cluster.reader(Deadline(CLOCK, 30.0))
            return latest_latency(read, 0.25, not_older_seconds=not_older_seconds)

        first = latest(60.0)
        assert all(one.linearizable for one in first.members)
        assert latest(60.0) is first
        assert latest(0.0) is not first


def test_a_window_without_a_member_that_answers_now_does_not_serve(lab, entry):
    with Cluster(entry, CLOCK) as cluster:
        raise_fault(lab, "freeze", "m2")
        try:
            without = latest_latency(cluster.reader(Deadline(CLOCK, 30.0)), 0.25, not_older_seconds=60.0)
        finally:
            undo_fault(lab, "freeze", "m2")
        assert lab.becomes_healthy(lab.member("m2"), seconds=20)
        again = latest_latency(cluster.reader(Deadline(CLOCK, 30.0)), 0.25, not_older_seconds=60.0)
    assert isinstance(without.members[1].window, Unknown)
    assert not isinstance(again.members[1].window, Unknown)


def test_looking_writes_nothing(lab, entry):
    def written():
        names = ("etcd_server_proposals_committed_total", "etcd_debugging_mvcc_current_revision")
        return [[read_metrics(member)[name] for name in names] for member in lab.members]

    before = written()
    look(entry)
    assert written() == before


def test_metrics_that_cannot_be_read_are_never_healthy(entry):
    members = tuple(
        msgspec.structs.replace(one, metrics="http://127.0.0.1:1") if one.name == "m2" else one
        for one in entry.etcd.members
    )
    blinded = msgspec.structs.replace(entry, etcd=msgspec.structs.replace(entry.etcd, members=members))
    facts, proposal = look(blinded)
    assert isinstance(facts.causes, Unknown)
    assert isinstance(facts.slow_disk_members, Unknown)
    assert [one.subject for one in proposal.findings if one.blind] == ["m2"]
    assert not any(one.verdict in {"idle", "not-etcd"} for one in proposal.findings)
