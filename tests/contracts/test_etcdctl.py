"""What etcdctl on a real member says when something is wrong, and what it cannot do."""

import msgspec
import pytest

from sretool.clients.command import CommandOutput
from sretool.clients.etcd import EtcdReads, EtcdWrites, prefix_end
from sretool.clients.etcdctl import EtcdctlConnection
from sretool.errors import (
    NoAnswerError,
    RefusedError,
    RejectedError,
    TlsError,
    Touched,
    UnreachableError,
)
from sretool.lab.certificates import create_authority
from sretool.model import AlarmType
from tests.contracts.conftest import CALL, Cluster
from tests.support.etcdctl import LocalEtcdctl, etcdctl_of

pytestmark = pytest.mark.real


def by_etcdctl(small: Cluster, **changed: str) -> tuple[EtcdReads, EtcdWrites]:
    """Return both halves of a client for the member, etcdctl called in another way where `changed` says so."""
    etcdctl = msgspec.structs.replace(etcdctl_of(small.lab, small.endpoint(0)), **changed)
    connection = EtcdctlConnection(str(small.endpoint(0)), etcdctl, LocalEtcdctl(small.lab))
    return EtcdReads(connection), EtcdWrites(connection)


def test_every_version_answers_alike_by_etcdctl(small: Cluster) -> None:
    reads, _ = by_etcdctl(small)
    small.writes[0].put(b"/a", b"value", timeout_seconds=CALL)
    small.writes[0].put(b"/a\0", b"behind", timeout_seconds=CALL)
    channel = small.reads[0]
    for one in (True, False):
        assert reads.member_list(linearizable=one, timeout_seconds=CALL) == channel.member_list(
            linearizable=one, timeout_seconds=CALL
        )
    assert reads.alarms(timeout_seconds=CALL) == channel.alarms(timeout_seconds=CALL)
    for key, end in (
        (b"/a", b""),
        (b"/a\0", b""),
        (b"/a\0", b"/b"),
        (b"/", prefix_end(b"/")),
        (b"\0", b"\0"),
    ):
        page = {"range_end": end, "limit": 1, "timeout_seconds": CALL}
        assert reads.range_page(key, **page) == channel.range_page(key, **page)
    assert reads.range_page(b"/b\0", limit=1, timeout_seconds=CALL).keys == ()
    seen, expected = reads.status(timeout_seconds=CALL), channel.status(timeout_seconds=CALL)
    assert (seen.version, seen.member_id, seen.quota_bytes) == (
        expected.version,
        expected.member_id,
        expected.quota_bytes,
    )


def test_where_nobody_listens_nothing_was_sent_whatever_was_asked(small: Cluster) -> None:
    reads, writes = by_etcdctl(small, endpoint=f"https://{small.endpoint(0).host}:1")
    for call in (reads.status, writes.defragment):
        with pytest.raises(UnreachableError, match=r"was not sent: .*connection refused") as caught:
            call(timeout_seconds=2)
        assert caught.value.touched is Touched.NOTHING


def test_a_frozen_member_costs_the_deadline_and_a_write_to_it_may_have_been_made(small: Cluster) -> None:
    reads, writes = by_etcdctl(small)
    with small.frozen(0):
        with pytest.raises(NoAnswerError) as read:
            reads.status(timeout_seconds=1)
        with pytest.raises(NoAnswerError) as written:
            writes.compact(1, physical=False, timeout_seconds=1)
    assert read.value.touched is Touched.NOTHING
    assert written.value.touched is Touched.UNKNOWN


def test_a_client_certificate_that_is_not_there_is_named(small: Cluster) -> None:
    reads, _ = by_etcdctl(small, cert="/no/such.crt")
    with pytest.raises(RejectedError, match=r"was not sent: open /no/such\.crt: no such file") as caught:
        reads.status(timeout_seconds=CALL)
    assert "certificate paths in the cluster file" in caught.value.then


def test_a_server_of_a_strange_ca_is_a_tls_error(small: Cluster, tmp_path) -> None:
    reads, _ = by_etcdctl(small, ca=str(create_authority(tmp_path).cert))
    with pytest.raises(TlsError, match="certificate signed by unknown authority"):
        reads.status(timeout_seconds=2)


def test_disarming_is_refused_and_nothing_is_run(small: Cluster) -> None:
    ran = LocalEtcdctl(small.lab)
    connection = EtcdctlConnection("m1", etcdctl_of(small.lab, small.endpoint(0)), ran)
    with pytest.raises(RefusedError, match="disarms every alarm of every member") as caught:
        EtcdWrites(connection).disarm(1, AlarmType.NOSPACE, timeout_seconds=CALL)
    assert "alarm list; then: etcdctl --endpoints=" in caught.value.then
    assert ran.ran == []


def test_a_snapshot_is_refused_and_nothing_is_run(small: Cluster) -> None:
    ran = LocalEtcdctl(small.lab)
    connection = EtcdctlConnection("m1", etcdctl_of(small.lab, small.endpoint(0)), ran)
    with pytest.raises(RejectedError, match="Snapshot was not sent: etcdctl has no command for it"):
        EtcdReads(connection).snapshot_chunks(timeout_seconds=CALL)
    assert ran.ran == []


def test_a_program_that_is_not_there_is_refused(small: Cluster) -> None:
    def run(words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        return CommandOutput(exit_code=127, stdout=b"", stderr=b"etcdctl: not found\n")

    connection = EtcdctlConnection("m1", etcdctl_of(small.lab, small.endpoint(0)), run)
    with pytest.raises(RejectedError, match="etcdctl cannot be started there: etcdctl: not found"):
        EtcdReads(connection).status(timeout_seconds=CALL)
