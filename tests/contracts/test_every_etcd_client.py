"""One body for every etcd version, over our own channel, over python-etcd3's, and over etcdctl."""

import hashlib
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from sretool.clients.etcd import Delete, Put, Unwritten, connect, prefix_end
from sretool.clients.etcd.reads import EtcdReads
from sretool.clients.metrics import read_metrics
from sretool.errors import (
    CompactedError,
    NoAnswerError,
    NotLeaderError,
    RefusedError,
    RejectedError,
    Touched,
    UnreachableError,
)
from sretool.model import AlarmType
from tests.contracts.conftest import CALL, Cluster
from tests.support.etcd_cluster import send, wait_stopped
from tests.support.promptly import promptly

pytestmark = pytest.mark.real


def _fill(cluster: Cluster, prefix: bytes, count: int) -> int:
    revision = 0
    for index in range(count):
        revision = cluster.writes[0].put(prefix + b"%03d" % index, b"value", timeout_seconds=CALL)
    return revision


def test_status_tells_identity_sizes_leader_and_version(cluster: Cluster) -> None:
    cluster.leader()
    statuses = [one.status(timeout_seconds=CALL) for one in cluster.reads]
    listed = cluster.reads[0].member_list(linearizable=True, timeout_seconds=CALL).members
    assert {status.member_id for status in statuses} == {member.id for member in listed}
    assert len({status.cluster_id for status in statuses}) == 1
    assert sum(status.is_leader for status in statuses) == 1
    for status in statuses:
        assert tuple(int(part) for part in status.version.split(".")[:2]) == cluster.version
        assert 0 < status.db_size_in_use_bytes <= status.db_size_bytes
        assert 0 < status.raft_applied_index <= status.raft_index
        assert status.raft_term > 0
        assert status.revision > 0
        assert status.errors == ()
        assert not status.is_learner
        assert bool(status.storage_version) == (cluster.version >= (3, 6))
        assert status.quota_bytes == (2 << 30 if cluster.version >= (3, 6) else 0)


def test_the_member_list_names_urls_and_says_whether_it_may_be_stale(cluster: Cluster) -> None:
    sure = cluster.reads[0].member_list(linearizable=True, timeout_seconds=CALL)
    maybe = cluster.reads[1].member_list(linearizable=False, timeout_seconds=CALL)
    assert (sure.stale, maybe.stale) == (False, True)
    assert sorted(sure.members, key=str) == sorted(maybe.members, key=str)
    expected = {(one.name, (one.peer_url,), (one.client_url,)) for one in cluster.members}
    assert {(one.name, one.peer_urls, one.client_urls) for one in sure.members} == expected


def test_ids_are_unsigned_and_printed_as_etcdctl_prints_them(cluster: Cluster) -> None:
    listed = cluster.reads[0].member_list(linearizable=True, timeout_seconds=CALL).members
    assert all(0 < member.id < 1 << 64 for member in listed)
    printed = cluster.lab.etcdctl("member", "list", "-w", "simple").stdout
    assert {line.partition(",")[0] for line in printed.splitlines()} == {str(member.id) for member in listed}


def test_pages_at_one_revision_do_not_see_later_changes(cluster: Cluster, prefix: bytes) -> None:
    _fill(cluster, prefix, 25)
    reads, end = cluster.reads[1], prefix_end(prefix)
    page = reads.range_page(prefix, end, limit=10, timeout_seconds=CALL)
    assert (len(page.keys), page.more, page.count) == (10, True, 25)
    cluster.writes[0].delete_range(prefix + b"020", timeout_seconds=CALL)
    cluster.writes[0].put(prefix + b"015a", b"late", timeout_seconds=CALL)
    keys = [kv.key for kv in page.keys]
    revision = page.revision
    while page.more:
        page = reads.range_page(keys[-1] + b"\0", end, limit=10, revision=revision, timeout_seconds=CALL)
        assert page.revision == revision
        keys += [kv.key for kv in page.keys]
    assert keys == [prefix + b"%03d" % index for index in range(25)]


def test_a_page_of_keys_only_has_no_values(cluster: Cluster, prefix: bytes) -> None:
    revision = _fill(cluster, prefix, 1)
    full = cluster.reads[0].range_page(prefix + b"000", limit=1, timeout_seconds=CALL).keys[0]
    bare = cluster.reads[0].range_page(prefix + b"000", limit=1, keys_only=True, timeout_seconds=CALL).keys[0]
    assert (full.value, bare.value) == (b"value", b"")
    assert (full.create_revision, full.mod_revision, full.version, full.lease) == (revision, revision, 1, 0)


def test_count_counts_a_prefix_and_an_empty_prefix_counts_everything(cluster: Cluster, prefix: bytes) -> None:
    revision = _fill(cluster, prefix, 7)
    assert cluster.reads[1].count(prefix, timeout_seconds=CALL) == (7, revision)
    everything, _ = cluster.reads[0].count(b"", serializable=True, timeout_seconds=CALL)
    printed = cluster.lab.etcdctl("get", "", "--prefix", "--keys-only").stdout.split()
    assert everything == len(printed)


@pytest.mark.by_channel
def test_a_prefix_of_highest_bytes_can_be_counted(cluster: Cluster) -> None:
    cluster.writes[0].put(b"\xff\xff\x01", b"", timeout_seconds=CALL)
    assert cluster.reads[0].count(b"\xff\xff", timeout_seconds=CALL)[0] == 1
    cluster.writes[0].delete_range(b"\xff\xff\x01", timeout_seconds=CALL)


@pytest.mark.by_channel
def test_delete_tells_how_many_keys_it_deleted(cluster: Cluster, prefix: bytes) -> None:
    last = _fill(cluster, prefix, 5)
    assert cluster.writes[0].delete_range(prefix, prefix_end(prefix), timeout_seconds=CALL) == (5, last + 1)
    assert cluster.reads[0].count(prefix, timeout_seconds=CALL)[0] == 0


@pytest.mark.by_channel
def test_a_transaction_does_all_or_nothing(cluster: Cluster, prefix: bytes) -> None:
    writes, key = cluster.writes[0], prefix + b"a"
    missing = [Unwritten(key=key, last=key, revision=0)]
    first = writes.txn(missing, [Put(key=key, value=b"1")], timeout_seconds=CALL)
    assert (first.succeeded, first.deleted) == (True, 0)
    again = writes.txn(missing, [Put(key=key, value=b"2")], timeout_seconds=CALL)
    assert (again.succeeded, again.revision) == (False, first.revision)
    unchanged = [Unwritten(key=key, last=key, revision=first.revision)]
    assert writes.txn(unchanged, [Delete(key=key)], timeout_seconds=CALL).deleted == 1


def test_a_range_is_deleted_only_if_none_of_it_was_written_since(cluster: Cluster, prefix: bytes) -> None:
    writes, (first, last) = cluster.writes[0], (prefix + b"001", prefix + b"003")
    revision = _fill(cluster, prefix, 5)

    def delete(read_at: int) -> tuple[bool, int]:
        unwritten = [Unwritten(key=first, last=last, revision=read_at)]
        result = writes.txn(unwritten, [Delete(key=first, range_end=last + b"\0")], timeout_seconds=CALL)
        return result.succeeded, result.deleted

    written = writes.put(last, b"again", timeout_seconds=CALL)
    assert delete(revision) == (False, 0)
    assert writes.delete_range(prefix + b"002", timeout_seconds=CALL)[0] == 1  # what is gone hinders nothing
    assert delete(written) == (True, 2)
    assert delete(written) == (True, 0)
    writes.put(prefix + b"0010", b"new", timeout_seconds=CALL)
    assert delete(written) == (False, 0)
    left, _, _ = cluster.reads[0].key_names(prefix, prefix_end(prefix), limit=0, timeout_seconds=CALL)
    assert left == [prefix + b"000", prefix + b"0010", prefix + b"004"]


def test_an_etcd_that_never_compacted_has_no_compact_revision(cluster: Cluster) -> None:
    assert cluster.first_compact_revision is None


def test_compacting_twice_and_reading_what_is_gone_are_compacted_errors(
    cluster: Cluster, prefix: bytes
) -> None:
    revision = _fill(cluster, prefix, 5)
    cluster.writes[0].compact(revision, physical=True, timeout_seconds=CALL)
    with pytest.raises(
        CompactedError, match="Compact was refused: mvcc: required revision has been compacted"
    ):
        cluster.writes[0].compact(revision, physical=False, timeout_seconds=CALL)
    with pytest.raises(CompactedError, match="Range was refused"):
        cluster.reads[0].range_page(prefix, limit=1, revision=revision - 1, timeout_seconds=CALL)
    assert cluster.reads[0].compact_revision_by_watch(timeout_seconds=CALL) == revision


def test_every_member_tells_the_compact_revision(cluster: Cluster, prefix: bytes) -> None:
    revision = _fill(cluster, prefix, 3)
    cluster.writes[0].compact(revision, physical=False, timeout_seconds=CALL)
    for reads in cluster.reads:
        reads.count(prefix, timeout_seconds=CALL)  # linearizable: this member has applied the compaction
        assert reads.compact_revision_by_watch(timeout_seconds=CALL) == revision


def test_a_future_revision_is_refused(cluster: Cluster) -> None:
    with pytest.raises(RejectedError, match="future revision") as caught:
        cluster.writes[0].compact(1 << 40, physical=False, timeout_seconds=CALL)
    assert not isinstance(caught.value, CompactedError)


@pytest.mark.by_channel
def test_no_alarm_is_an_empty_list_and_disarming_nothing_clears_nothing(cluster: Cluster) -> None:
    assert cluster.reads[0].alarms(timeout_seconds=CALL) == ()
    member_id = cluster.reads[0].status(timeout_seconds=CALL).member_id
    assert cluster.writes[0].disarm(member_id, AlarmType.NOSPACE, timeout_seconds=CALL) == ()


@pytest.mark.parametrize(("member_id", "alarm"), [(1, AlarmType.CORRUPT), (0, AlarmType.NOSPACE)])
def test_only_nospace_of_a_named_member_is_ever_disarmed(
    cluster: Cluster, member_id: int, alarm: AlarmType
) -> None:
    with pytest.raises(RefusedError, match="NOSPACE of one named member only"):
        cluster.writes[0].disarm(member_id, alarm, timeout_seconds=CALL)


def test_leadership_moves_to_the_chosen_follower(cluster: Cluster) -> None:
    leader, follower = cluster.leader(), cluster.follower()
    target = cluster.reads[follower].status(timeout_seconds=CALL).member_id
    cluster.writes[leader].move_leader(target, timeout_seconds=CALL)
    assert cluster.leader() == follower


def test_only_the_leader_can_hand_leadership_over(cluster: Cluster) -> None:
    follower = cluster.follower()
    own_id = cluster.reads[follower].status(timeout_seconds=CALL).member_id
    with pytest.raises(NotLeaderError, match=cluster.members[follower].client_url) as caught:
        cluster.writes[follower].move_leader(own_id, timeout_seconds=CALL)
    assert caught.value.touched is Touched.NOTHING


def test_leadership_cannot_go_to_a_stranger(cluster: Cluster) -> None:
    with pytest.raises(RejectedError, match="bad leader transferee"):
        cluster.writes[cluster.leader()].move_leader(12345, timeout_seconds=CALL)


@pytest.mark.by_channel
def test_a_request_that_is_too_large_is_refused(cluster: Cluster, prefix: bytes) -> None:
    with pytest.raises(RejectedError, match="request is too large") as caught:
        cluster.writes[0].put(prefix, bytes(2_000_000), timeout_seconds=CALL)
    assert caught.value.touched is Touched.NOTHING


def test_an_answer_over_four_mebibytes_is_received(cluster: Cluster, prefix: bytes) -> None:
    for index in range(6):
        cluster.writes[0].put(prefix + b"%d" % index, bytes(1_000_000), timeout_seconds=CALL)
    page = cluster.reads[0].range_page(prefix, prefix_end(prefix), limit=0, timeout_seconds=CALL)
    assert sum(len(kv.value) for kv in page.keys) == 6_000_000
    cluster.writes[0].delete_range(prefix, prefix_end(prefix), timeout_seconds=CALL)


@pytest.mark.by_channel
def test_a_snapshot_ends_with_its_own_checksum(cluster: Cluster, prefix: bytes) -> None:
    _fill(cluster, prefix, 1)
    with cluster.reads[0].snapshot_chunks(timeout_seconds=30) as stream:
        whole = b"".join(stream)
    assert len(whole) % 512 == 32
    assert hashlib.sha256(whole[:-32]).digest() == whole[-32:]
    assert (stream.received_bytes, stream.remaining_bytes) == (len(whole), 0)
    # 3.6 and later stamp the file, though not on every occasion.
    assert stream.version in {"", cluster.reads[0].status(timeout_seconds=CALL).storage_version}
    assert prefix + b"000" in whole


@pytest.mark.by_channel
def test_a_snapshot_that_is_left_early_ends(cluster: Cluster) -> None:
    with cluster.reads[0].snapshot_chunks(timeout_seconds=30) as stream:
        assert next(stream)
    with pytest.raises((NoAnswerError, StopIteration)):
        for _ in range(1000):
            next(stream)


@pytest.mark.by_channel
def test_a_defragmentation_past_its_deadline_goes_on_and_is_seen_in_the_metrics(
    cluster: Cluster, prefix: bytes
) -> None:
    for index in range(40):
        cluster.writes[0].put(prefix + b"%d" % index, bytes(1_000_000), timeout_seconds=CALL)
    cluster.writes[0].delete_range(prefix, prefix_end(prefix), timeout_seconds=CALL)
    index = cluster.follower()
    cluster.reads[index].count(prefix, timeout_seconds=CALL)
    count = "etcd_disk_backend_defrag_duration_seconds_count"
    before = read_metrics(cluster.members[index].metrics_url, None, timeout_seconds=CALL).value(count)
    with pytest.raises(NoAnswerError, match=r"no answer to Defragment in 0\.05 s") as caught:
        cluster.writes[index].defragment(timeout_seconds=0.05)
    assert caught.value.touched is Touched.UNKNOWN
    for _ in range(200):
        page = read_metrics(cluster.members[index].metrics_url, None, timeout_seconds=CALL)
        if page.value("etcd_disk_defrag_inflight") == 0 and page.value(count) != before:
            break
        time.sleep(0.05)
    assert page.value(count) == before + 1
    cluster.reads[index].status(timeout_seconds=CALL)


def test_defragmentation_gives_space_back(cluster: Cluster, prefix: bytes) -> None:
    for index in range(8):
        cluster.writes[0].put(prefix, bytes(1_000_000) + b"%d" % index, timeout_seconds=CALL)
    _, revision = cluster.writes[0].delete_range(prefix, timeout_seconds=CALL)
    cluster.writes[0].compact(revision, physical=True, timeout_seconds=CALL)
    before = cluster.reads[0].status(timeout_seconds=CALL)
    cluster.writes[0].defragment(timeout_seconds=30)
    assert cluster.reads[0].status(timeout_seconds=CALL).db_size_bytes <= before.db_size_bytes - 7_000_000


@pytest.mark.by_channel
def test_a_frozen_member_costs_the_deadline_and_answers_again_when_it_wakes(cluster: Cluster) -> None:
    index = cluster.follower()
    reads = cluster.reads[index]
    calls = (
        lambda: reads.status(timeout_seconds=0.3),
        lambda: reads.compact_revision_by_watch(timeout_seconds=0.3),
        lambda: cluster.writes[index].put(b"x", b"", timeout_seconds=0.3),
        lambda: next(reads.snapshot_chunks(timeout_seconds=0.3)),
        lambda: next(reads.snapshot_chunks(timeout_seconds=30, stall_seconds=0.3)),
    )

    def end(call: Callable[[], object]) -> None:
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=cluster.members[index].client_url):
            call()
        assert time.monotonic() - began > 0.25

    with cluster.frozen(index):
        for call in calls:
            promptly(partial(end, call), seconds=1.5)
    assert reads.status(timeout_seconds=CALL).version


@pytest.mark.by_channel
def test_a_killed_member_is_unreachable_and_is_seen_at_once_when_it_is_back(cluster: Cluster) -> None:
    index = cluster.follower()
    with connect(cluster.endpoint(index), cluster.tls) as fresh:
        reads = EtcdReads(fresh)
        reads.status(timeout_seconds=CALL)
        with cluster.killed(index):
            with pytest.raises((NoAnswerError, UnreachableError)):  # the first may have been on its way
                reads.status(timeout_seconds=CALL)
            with pytest.raises(UnreachableError, match="Status was not sent: Connection refused"):
                reads.status(timeout_seconds=CALL)
        for _ in range(4):
            began = time.monotonic()
            try:
                reads.status(timeout_seconds=CALL)
                break
            except UnreachableError:
                time.sleep(0.5)
        else:
            pytest.fail("the member is back and is still held for dead")
        assert time.monotonic() - began < 4


@pytest.mark.by_channel
def test_a_write_that_is_cut_off_has_an_unknown_outcome(cluster: Cluster, prefix: bytes) -> None:
    index = cluster.follower()
    with connect(cluster.endpoint(index), cluster.tls) as fresh, ThreadPoolExecutor(1) as pool:
        EtcdReads(fresh).status(timeout_seconds=CALL)
        writes = type(cluster.writes[0])(fresh)
        send(cluster.pid(index), signal.SIGSTOP)
        wait_stopped(cluster.pid(index))
        pending = pool.submit(writes.put, prefix, b"", timeout_seconds=10)
        time.sleep(0.2)
        with cluster.killed(index), pytest.raises(NoAnswerError) as caught:
            pending.result()
        assert caught.value.touched is Touched.UNKNOWN


def test_without_quorum_one_member_still_tells_what_it_knows(cluster: Cluster) -> None:
    alone = cluster.leader()
    others = [index for index in range(3) if index != alone]
    reads = cluster.reads[alone]
    with cluster.frozen(*others):
        for _ in range(100):
            status = reads.status(timeout_seconds=CALL)
            if status.leader == 0:
                break
            time.sleep(0.05)
        assert (status.leader, status.errors) == (0, ("etcdserver: no leader",))
        assert len(reads.member_list(linearizable=False, timeout_seconds=CALL).members) == 3
        reads.count(b"", serializable=True, timeout_seconds=CALL)
        with pytest.raises(NoAnswerError):
            reads.count(b"", timeout_seconds=0.3)
        with pytest.raises(NoAnswerError):
            reads.alarms(timeout_seconds=0.3)


@pytest.mark.by_channel
def test_threads_share_one_connection(cluster: Cluster, prefix: bytes) -> None:
    with ThreadPoolExecutor(8) as pool:
        revisions = list(
            pool.map(
                lambda index: cluster.writes[0].put(prefix + b"%d" % index, b"", timeout_seconds=CALL),
                range(100),
            )
        )
    assert len(set(revisions)) == 100
    assert cluster.reads[0].count(prefix, timeout_seconds=CALL)[0] == 100
