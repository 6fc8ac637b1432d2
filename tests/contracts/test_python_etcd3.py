"""python-etcd3 through its adapter, and the defects for which it is not the engine (docs/adr/0003)."""

from collections.abc import Iterator
from typing import Any

import pytest

from sretool.clients.etcd import EtcdReads, EtcdWrites, prefix_end
from sretool.clients.etcd.python_etcd3 import connection_over, python_etcd3_client
from sretool.errors import NoSpaceError, UnreachableError
from sretool.model import Alarm, AlarmType
from tests.contracts.conftest import CALL, Cluster, require_etcd3, running_cluster, spec_of

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_etcd3()
    spec = spec_of("3.6", members=1, quota_bytes=16 << 20)
    with running_cluster(tmp_path_factory.mktemp("etcd3"), spec, "3.6", "own") as running:
        yield running


@pytest.fixture
def theirs(server: Cluster) -> Iterator[Any]:
    with python_etcd3_client(server.endpoint(0), server.tls, timeout_seconds=CALL) as client:
        yield client


def test_both_clients_see_what_the_other_wrote(server: Cluster, theirs: Any) -> None:
    theirs.put("/theirs", "1")
    server.writes[0].put(b"/ours", b"2", timeout_seconds=CALL)
    assert server.reads[0].range_page(b"/theirs", limit=1, timeout_seconds=CALL).keys[0].value == b"1"
    assert theirs.get("/ours")[0] == b"2"


def test_its_transactions_leases_and_compaction_work(server: Cluster, theirs: Any) -> None:
    lease = theirs.lease(60)
    succeeded, _ = theirs.transaction(
        compare=[theirs.transactions.version("/txn") == 0],
        success=[theirs.transactions.put("/txn", "x", lease=lease)],
        failure=[],
    )
    assert succeeded
    key = server.reads[0].range_page(b"/txn", limit=1, timeout_seconds=CALL).keys[0]
    assert key.lease == lease.id
    theirs.compact(key.mod_revision)
    assert server.reads[0].compact_revision_by_watch(timeout_seconds=CALL) == key.mod_revision
    theirs.defragment()
    lease.revoke()
    assert theirs.get("/txn") == (None, None)


def test_it_agrees_with_us_on_what_it_knows_of_the_status(server: Cluster, theirs: Any) -> None:
    status, own = theirs.status(), server.reads[0].status(timeout_seconds=CALL)
    assert (status.version, status.leader.id, status.raft_term) == (own.version, own.leader, own.raft_term)


def test_our_calls_run_on_its_channel_which_stays_open(server: Cluster, theirs: Any) -> None:
    with connection_over(theirs, server.endpoint(0)) as connection:
        revision = EtcdWrites(connection).put(b"/shared", b"", timeout_seconds=CALL)
        assert EtcdReads(connection).status(timeout_seconds=CALL).revision == revision
    with pytest.raises(UnreachableError, match="the connection is closed"):
        EtcdReads(connection).status(timeout_seconds=CALL)
    assert theirs.get("/shared")[0] == b""


def test_it_ignores_a_limit(server: Cluster, theirs: Any) -> None:
    for index in range(20):
        server.writes[0].put(b"/limit/%02d" % index, b"", timeout_seconds=CALL)
    assert len(list(theirs.get_prefix("/limit/", limit=5))) == 20
    ours = server.reads[0].range_page(b"/limit/", prefix_end(b"/limit/"), limit=5, timeout_seconds=CALL)
    assert len(ours.keys) == 5


def test_its_disarm_leaves_a_real_alarm_raised(server: Cluster, theirs: Any) -> None:
    member_id = server.reads[0].status(timeout_seconds=CALL).member_id
    with pytest.raises(NoSpaceError):
        for index in range(400):  # etcd sees its size grow only with a commit, every 100 ms
            server.writes[0].put(b"/full/%d" % index, bytes(1_000_000), timeout_seconds=CALL)
    theirs.disarm_alarm()
    assert server.reads[0].alarms(timeout_seconds=CALL) == (Alarm(member_id, AlarmType.NOSPACE),)
    _, revision = server.writes[0].delete_range(b"/full/", prefix_end(b"/full/"), timeout_seconds=CALL)
    server.writes[0].compact(revision, physical=True, timeout_seconds=CALL)
    server.writes[0].defragment(timeout_seconds=30)
    server.writes[0].disarm(member_id, AlarmType.NOSPACE, timeout_seconds=CALL)
    assert server.reads[0].alarms(timeout_seconds=CALL) == ()
