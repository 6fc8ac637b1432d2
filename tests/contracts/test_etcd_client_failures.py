"""What the client says when something is wrong: quota, certificates, silence, proxies; on every version."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from sretool.clients.etcd import Endpoint, EtcdReads, EtcdWrites, TlsFiles, connect, prefix_end
from sretool.clients.etcd.certificates import days_until_expiry
from sretool.clients.etcd.silence import find_silence
from sretool.clients.metrics import read_metrics
from sretool.clock import SystemClock
from sretool.errors import NoSpaceError, TlsError, Touched, UnreachableError
from sretool.lab.certificates import Pair, create_authority, issue_client
from sretool.model import Alarm, AlarmType, Silence, Unknown
from tests.contracts.conftest import CALL, Cluster
from tests.support.certificates import issue_dated
from tests.support.promptly import promptly

pytestmark = pytest.mark.real


def test_a_full_quota_is_found_cleared_and_disarmed_exactly(small: Cluster) -> None:
    reads, writes = small.reads[0], small.writes[0]
    member_id = reads.status(timeout_seconds=CALL).member_id
    with pytest.raises(NoSpaceError, match="Put was refused: mvcc: database space exceeded") as caught:
        for index in range(40):
            writes.put(b"/full/%d" % index, bytes(1_000_000), timeout_seconds=CALL)
    assert caught.value.touched is Touched.NOTHING
    assert reads.alarms(timeout_seconds=CALL) == (Alarm(member_id, AlarmType.NOSPACE),)
    assert any("NOSPACE" in error for error in reads.status(timeout_seconds=CALL).errors)

    _, revision = writes.delete_range(b"/full/", prefix_end(b"/full/"), timeout_seconds=CALL)
    writes.compact(revision, physical=True, timeout_seconds=CALL)
    writes.defragment(timeout_seconds=30)
    assert writes.disarm(member_id + 1, AlarmType.NOSPACE, timeout_seconds=CALL) == ()
    assert reads.alarms(timeout_seconds=CALL) == (Alarm(member_id, AlarmType.NOSPACE),)
    assert writes.disarm(member_id, AlarmType.NOSPACE, timeout_seconds=CALL) == (
        Alarm(member_id, AlarmType.NOSPACE),
    )
    assert reads.alarms(timeout_seconds=CALL) == ()
    assert writes.put(b"/full", b"", timeout_seconds=CALL) > revision


@pytest.fixture(scope="module")
def authority(small: Cluster) -> Pair:
    return Pair(small.lab.ca, small.lab.ca_key)


def _tls_error(endpoint: Endpoint, tls: TlsFiles | None) -> TlsError:
    with connect(endpoint, tls) as connection, pytest.raises(TlsError) as caught:
        EtcdReads(connection).status(timeout_seconds=2)
    assert str(endpoint) in caught.value.message
    assert "Status was not sent" in caught.value.message
    return caught.value


def test_a_missing_client_certificate_is_named(small: Cluster) -> None:
    error = _tls_error(small.endpoint(0), TlsFiles(ca=small.tls.ca))
    assert error.message.endswith("the server wants a client certificate and none is given")


def test_an_expired_client_certificate_is_named(small: Cluster, authority: Pair, tmp_path: Path) -> None:
    old = issue_client(authority, tmp_path, name="old", expired=True)
    error = _tls_error(small.endpoint(0), TlsFiles(small.tls.ca, str(old.cert), str(old.key)))
    assert f"the client certificate {old.cert} expired on 20" in error.message
    assert "clock" in error.then


def test_a_client_certificate_that_is_not_valid_yet_is_named(
    small: Cluster, authority: Pair, tmp_path: Path
) -> None:
    now = SystemClock().now()
    early = issue_dated(authority, tmp_path, begins=now + timedelta(days=1), ends=now + timedelta(days=2))
    error = _tls_error(small.endpoint(0), TlsFiles(small.tls.ca, str(early.cert), str(early.key)))
    assert f"the client certificate {early.cert} is valid only from 20" in error.message


def test_a_key_of_another_certificate_is_named(small: Cluster, authority: Pair, tmp_path: Path) -> None:
    other = issue_client(authority, tmp_path, name="other")
    error = _tls_error(small.endpoint(0), TlsFiles(small.tls.ca, small.tls.cert, str(other.key)))
    assert f"the key {other.key} does not belong to the client certificate {small.tls.cert}" in error.message


def test_a_client_certificate_of_a_strange_ca_is_named(small: Cluster, tmp_path: Path) -> None:
    stranger = issue_client(create_authority(tmp_path), tmp_path, name="stranger")
    error = _tls_error(small.endpoint(0), TlsFiles(small.tls.ca, str(stranger.cert), str(stranger.key)))
    assert str(stranger.cert) in error.message
    if small.version >= (3, 6):  # older servers say no more than «bad certificate»
        assert "does not know the CA that signed the client certificate" in error.message
    else:
        assert "--trusted-ca-file" in error.then or "does not know the CA" in error.message


def test_a_server_of_a_strange_ca_is_named(small: Cluster, tmp_path: Path) -> None:
    other = create_authority(tmp_path)
    error = _tls_error(small.endpoint(0), TlsFiles(str(other.cert), small.tls.cert, small.tls.key))
    assert error.message.endswith(f"the server's certificate is signed by a CA that is not in {other.cert}")


def test_a_wrong_server_name_is_named(small: Cluster) -> None:
    endpoint = Endpoint("m1", small.members[0].client_url, "etcd.internal")
    assert "is not valid for etcd.internal" in _tls_error(endpoint, small.tls).message


def test_the_right_server_name_overrides_the_host(small: Cluster) -> None:
    endpoint = Endpoint("m1", small.members[0].client_url, "localhost")
    with connect(endpoint, small.tls) as connection:
        assert EtcdReads(connection).status(timeout_seconds=CALL).version


def test_a_plain_url_of_a_tls_server_is_named(small: Cluster) -> None:
    url = small.members[0].client_url
    error = _tls_error(Endpoint("m1", url.replace("https", "http")), None)
    assert "the server speaks TLS and the URL says http://" in error.message
    assert error.then == f"use {url}"


def test_a_tls_url_of_a_plain_server_is_named(small: Cluster) -> None:
    url = small.members[0].metrics_url
    error = _tls_error(Endpoint("m1", url.replace("http", "https")), small.tls)
    assert "the server speaks no TLS and the URL says https://" in error.message


@pytest.mark.parametrize("which", ["ca", "cert", "key"])
@pytest.mark.parametrize("content", [None, "no PEM at all"])
def test_a_file_that_cannot_be_used_is_named(
    small: Cluster, tmp_path: Path, which: str, content: str | None
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    files = {"ca": small.tls.ca, "cert": small.tls.cert, "key": small.tls.key, which: str(path)}
    message = _tls_error(small.endpoint(0), TlsFiles(**files)).message
    assert str(path) in message
    assert ("No such file" in message) == (content is None)


def test_an_encrypted_key_is_named_and_nobody_is_asked_for_a_passphrase(
    small: Cluster, tmp_path: Path
) -> None:
    key = tmp_path / "encrypted.key"
    command = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        small.tls.key,
        "-out",
        str(key),
        "-passout",
        "pass:secret",
    ]
    subprocess.run(command, check=True, timeout=20)
    error = _tls_error(small.endpoint(0), TlsFiles(small.tls.ca, small.tls.cert, str(key)))
    assert f"the key {key} is encrypted" in error.message


@pytest.mark.parametrize(
    ("first_day", "last_day", "expected"),
    [
        (-9, -1, "the server's certificate expired on 20"),
        (1, 9, "the server's certificate is valid only from 20"),
    ],
)
def test_a_server_certificate_out_of_its_time_is_named(
    tmp_path: Path, first_day: int, last_day: int, expected: str
) -> None:
    now, authority = SystemClock().now(), create_authority(tmp_path)
    begins, ends = now + timedelta(days=first_day), now + timedelta(days=last_day)
    pair = issue_dated(authority, tmp_path, begins=begins, ends=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connected, _ = listener.accept()
                    with connected, contextlib.suppress(OSError):
                        context.wrap_socket(connected, server_side=True).close()

        threading.Thread(target=serve, daemon=True).start()
        endpoint = Endpoint("m1", f"https://127.0.0.1:{listener.getsockname()[1]}")
        assert expected in _tls_error(endpoint, TlsFiles(ca=str(authority.cert))).message
        listener.shutdown(socket.SHUT_RDWR)


def test_days_until_expiry_are_told_for_both_sides(small: Cluster, authority: Pair, tmp_path: Path) -> None:
    now = SystemClock().now()
    soon = issue_dated(authority, tmp_path, begins=now - timedelta(days=9), ends=now + timedelta(days=3))
    tls = TlsFiles(small.tls.ca, str(soon.cert), str(soon.key))
    days = days_until_expiry(small.endpoint(0), tls, now=now, timeout_seconds=1)
    assert days.client == pytest.approx(3, abs=0.01)
    assert days.server == pytest.approx(365, abs=1)
    nobody = days_until_expiry(Endpoint("m1", "https://127.0.0.1:1"), tls, now=now, timeout_seconds=1)
    assert isinstance(nobody.server, Unknown)


def test_a_host_name_that_does_not_resolve_is_unreachable(small: Cluster) -> None:
    nowhere = connect(Endpoint("m1", "https://no-such-host.invalid:2379"), small.tls)
    with nowhere, pytest.raises(UnreachableError, match="Status was not sent") as caught:
        EtcdReads(nowhere).status(timeout_seconds=2)
    assert "does not resolve" in caught.value.then


def test_a_silent_port_costs_the_deadline(small: Cluster) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        endpoint = Endpoint("m1", f"https://127.0.0.1:{listener.getsockname()[1]}")

        def ask() -> None:
            began = time.monotonic()
            with connect(endpoint, small.tls) as connection, pytest.raises(Exception, match=r"in 0\.3 s"):
                EtcdReads(connection).status(timeout_seconds=0.3)
            assert time.monotonic() - began > 0.25

        promptly(ask, seconds=1.5)
        assert find_silence(endpoint, small.tls, "", 0.4)[0] is Silence.FROZEN


def test_proxies_of_the_environment_are_not_used(small: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with connect(small.endpoint(0), small.tls) as connection:
        assert EtcdReads(connection).status(timeout_seconds=CALL).version


def test_silence_is_told_apart(small: Cluster) -> None:
    endpoint, tls, metrics_url = small.endpoint(0), small.tls, small.members[0].metrics_url
    assert find_silence(endpoint, tls, metrics_url, 1.0)[0] is Silence.SLOW
    assert find_silence(endpoint, TlsFiles(ca=tls.ca), metrics_url, 1.0)[0] is Silence.TLS
    nowhere = find_silence(Endpoint("m1", "https://no-such-host.invalid:2379"), tls, "", 1.0)
    assert nowhere[0] is Silence.UNREACHABLE
    with small.frozen(0):
        for url in (metrics_url, ""):
            found = promptly(partial(find_silence, endpoint, tls, url, 0.5), seconds=1.5)
            assert found[0] is Silence.FROZEN
    with small.killed(0):
        kind, reason = find_silence(endpoint, tls, metrics_url, 1.0)
    assert (kind, reason) == (Silence.DEAD, f"TCP to {endpoint.target} is refused")


def test_a_port_that_is_not_for_clients_is_told_from_a_slow_member(small: Cluster) -> None:
    one = small.members[0]
    for where in (one.peer_url, one.metrics_url):
        endpoint = Endpoint("m1", where.removesuffix("/metrics"))
        kind, reason = find_silence(endpoint, small.tls, one.metrics_url, 1.0)
        assert kind is Silence.UNREACHABLE
        assert re.search(
            rf"at {endpoint.target} is no etcd client|{endpoint.target} is etcd's port for", reason
        )


def test_a_member_that_defragments_is_told_from_a_slow_one(small: Cluster) -> None:
    page = b"etcd_disk_defrag_inflight 1\nprocess_start_time_seconds 1\n"
    with _serving_metrics(page) as url:
        kind, reason = find_silence(small.endpoint(0), small.tls, url, 1.0)
    assert (kind, reason) == (Silence.DEFRAGMENTING, "its metrics say etcd_disk_defrag_inflight 1")


def test_metrics_are_read_over_tls_too(small: Cluster) -> None:
    url = small.members[0].client_url
    page = read_metrics(url, small.tls, timeout_seconds=CALL)
    assert page.value("etcd_server_has_leader") == 1
    with pytest.raises(TlsError, match=r"TLS fails: [A-Z0-9]+_ALERT_"):
        read_metrics(url, TlsFiles(ca=small.tls.ca), timeout_seconds=CALL)
    with pytest.raises(TlsError, match="certificate files cannot be used"):
        read_metrics(url, TlsFiles(ca="/no/such/file"), timeout_seconds=CALL)


@contextmanager
def _serving_metrics(body: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(4096)
                connected.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
        thread.join(5)


def test_a_process_with_an_open_connection_can_fork_and_start_programs(small: Cluster) -> None:
    """Run in a process of its own: what is left of gRPC in a forked child must not hang or print."""
    script = f"""
import os, subprocess
from sretool.clients.etcd import Endpoint, EtcdReads, TlsFiles, connect
with connect(Endpoint("m1", {small.members[0].client_url!r}), TlsFiles(*{_paths(small.tls)!r})) as one:
    reads = EtcdReads(one)
    reads.status(timeout_seconds=5)
    child = os.fork()
    if child == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert subprocess.run(["true"]).returncode == 0
    print(reads.status(timeout_seconds=5).version)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC")}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("3.")


def _paths(tls: TlsFiles) -> tuple[str, str, str]:
    return (tls.ca, tls.cert, tls.key)


def test_an_interrupt_ends_a_call_that_waits(small: Cluster) -> None:
    with small.frozen(0):
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            small.reads[0].status(timeout_seconds=10)
        assert time.monotonic() - began < 8


def test_writes_go_on_after_the_connection_was_used_for_reads(small: Cluster) -> None:
    with connect(small.endpoint(0), small.tls) as connection:
        revision = EtcdWrites(connection).put(b"/both", b"", timeout_seconds=CALL)
        assert EtcdReads(connection).status(timeout_seconds=CALL).revision == revision
    with pytest.raises(UnreachableError, match="the connection is closed"):
        EtcdReads(connection).status(timeout_seconds=CALL)
