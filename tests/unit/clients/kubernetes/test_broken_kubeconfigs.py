"""Kubeconfigs that are laid out wrong, hold secrets where something else is wrong, or change while they are used."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads
from sretool.clients.kubernetes.exec import Container
from sretool.clients.kubernetes.gates import ReadGate
from sretool.clients.kubernetes.kubeconfig import read_context
from sretool.errors import RemoteError, UnreachableError, UsageError
from tests.support.http_stub import HttpStub, Reply, serve, write_kubeconfig

Server = tuple[HttpStub, str]
HIDDEN = "s3cr3t"
BOX = Container(namespace="kube-system", pod="etcd-a", container="etcd")
STATUS = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "endpoint", "status")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(lambda asked: Reply(body={"gitVersion": "v1.34.0"})) as served:
        yield served


def kubeconfig(path: Path, **parts: Any) -> str:
    whole = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": HIDDEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(whole | parts), encoding="utf-8")
    return str(path)


def version(path: str, **more: str) -> object:
    connection = Connection(path, **more)
    try:
        return KubernetesReads(connection).get("/version", timeout_seconds=5)
    finally:
        connection.close()


@pytest.mark.parametrize(
    "parts",
    [
        {"contexts": {"a": 1}},
        {"contexts": [None]},
        {"contexts": [{"name": "x", "context": "c"}]},
        {"clusters": [{"name": "c", "cluster": "http://127.0.0.1:1"}]},
        {"users": [{"name": "u", "user": HIDDEN}]},
        {"users": [{"name": "u", "user": {"exec": "login"}}]},
    ],
)
def test_a_kubeconfig_laid_out_wrong_is_a_mistake_and_no_bug(tmp_path: Path, parts: dict[str, Any]) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", **parts)
    with pytest.raises(UsageError, match="cannot be used: it is not laid out as a kubeconfig is") as caught:
        read_context(Path(path))
    assert HIDDEN not in caught.value.message
    with pytest.raises(RemoteError):
        version(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kubeconfig")
    with pytest.raises(UsageError, match="it is no regular file"):
        read_context(tmp_path / "kubeconfig")


def test_a_path_that_would_be_taken_for_two_files_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "of:two")
    with pytest.raises(UsageError, match="its path holds ':'"):
        read_context(Path(path))
    with pytest.raises(UnreachableError, match="its path holds ':'"):
        version(path)


@pytest.mark.parametrize(
    "server",
    [
        "10.0.0.1:6443",
        "https://10.0.0.1:abc",
        "https://10.0.0.1:99999",
        "https://10.0.0.1:0",
        "https://[::1",
        "https://",
        "ftp://10.0.0.1",
        f"https://me:{HIDDEN}@10.0.0.1:6443",
        f"https://me:{HIDDEN}/x@10.0.0.1:6443",
        "https://10.0.0.1:6443?a=b",
    ],
)
def test_a_server_that_is_none_is_named_before_anything_is_sent_or_run(tmp_path: Path, server: str) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", clusters=[{"name": "c", "cluster": {"server": server}}])
    connection = Connection(path)
    for ask in (
        lambda: read_context(Path(path)),
        lambda: version(path),
        lambda: ReadGate(connection).run(BOX, STATUS, timeout_seconds=1),
        connection.open,
    ):
        with pytest.raises(
            (UsageError, UnreachableError), match=r"is not a server such as https://HOST:6443|Invalid IPv6"
        ) as said:
            ask()
        assert HIDDEN not in said.value.message


@pytest.mark.parametrize(
    "user",
    [
        {"client-key-data": HIDDEN, "auth-provider": {"name": "oidc", "config": {"refresh-token": HIDDEN}}},
        {"client-key-data": HIDDEN, "username": None, "password": HIDDEN},
    ],
)
def test_what_is_missing_is_named_without_the_entry_that_it_is_missing_from(
    tmp_path: Path, user: dict[str, Any]
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", users=[{"name": "u", "user": user}])
    with pytest.raises(UnreachableError, match="cannot be used: Invalid kube-config file") as caught:
        version(path)
    assert HIDDEN not in caught.value.message


@pytest.mark.parametrize("token", [f"{HIDDEN}\n", f"{HIDDEN}\r\nHost: elsewhere", f"{HIDDEN}…"])
def test_a_token_that_no_header_may_hold_is_neither_sent_nor_shown(
    server: Server, tmp_path: Path, token: str
) -> None:
    stub, url = server
    path = write_kubeconfig(tmp_path / "kubeconfig", url, user={"token": token})
    connection = Connection(path)
    for ask in (
        lambda: version(path),
        lambda: ReadGate(connection).run(BOX, STATUS, timeout_seconds=1),
    ):
        with pytest.raises(UnreachableError, match="hold a line break") as caught:
            ask()
        assert HIDDEN not in caught.value.message
    assert stub.asked == []


def test_a_token_file_is_read_without_its_line_break_and_anew_when_it_was_replaced(
    server: Server, tmp_path: Path
) -> None:
    stub, url = server
    (tmp_path / "token").write_text("first\n", encoding="utf-8")
    reads = KubernetesReads(
        Connection(
            write_kubeconfig(tmp_path / "kubeconfig", url, user={"tokenFile": "token", "token": "old"})
        )
    )
    reads.get("/version", timeout_seconds=5)
    (tmp_path / "token").write_text("second\n", encoding="utf-8")
    reads.get("/version", timeout_seconds=5)
    assert ["Bearer first", "Bearer second"] == [one.headers["authorization"] for one in stub.asked]
    (tmp_path / "token").unlink()
    with pytest.raises(UnreachableError, match="was not sent: no new token: No such file"):
        reads.get("/version", timeout_seconds=5)


def test_an_id_token_that_has_expired_is_sent_as_it_is_and_no_new_one_is_fetched(
    server: Server, tmp_path: Path
) -> None:
    """A new one would end the refresh token that kubectl has, and an identity provider that hangs would stop us."""
    stub, url = server
    expired = "e30.eyJleHAiOjF9.c2ln"
    login = {
        "id-token": expired,
        "refresh-token": "r",
        "idp-issuer-url": url,
        "client-id": "c",
        "client-secret": "s",
    }
    user = {"auth-provider": {"name": "oidc", "config": login}}
    version(write_kubeconfig(tmp_path / "kubeconfig", url, user=user))
    assert [("/version", f"Bearer {expired}")] == [
        (one.path, one.headers.get("authorization")) for one in stub.asked
    ]


@pytest.mark.parametrize("user", [{"token": "a"}, {"username": "a", "password": "b"}, {}])
def test_another_api_server_is_asked_itself_whatever_the_credentials_are(
    server: Server, tmp_path: Path, user: dict[str, str]
) -> None:
    own, url = server
    with serve(lambda asked: Reply(body={"gitVersion": "other"})) as (other, there):
        path = write_kubeconfig(tmp_path / "kubeconfig", url, user=user)
        for _ in range(2):
            assert {"gitVersion": "other"} == version(path, server=there)
    assert (len(own.asked), len(other.asked)) == (0, 2)


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:1", "SOCKS proxy"),
        ("127.0.0.1:3128", "Proxy URL had no scheme"),
        ("ftp://127.0.0.1", "unsupported scheme ftp"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(tmp_path: Path, proxy: str, said: str) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", **{"proxy-url": proxy})
    with pytest.raises(UnreachableError, match=said):
        version(path)


def test_a_proxys_password_is_told_to_it_and_to_nobody_else(server: Server, tmp_path: Path) -> None:
    stub, proxy = server
    hidden = proxy.replace("http://", "http://me:a%3Ab@")
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://192.0.2.11:6443", **{"proxy-url": hidden})
    assert {"gitVersion": "v1.34.0"} == version(path)
    (asked,) = stub.asked
    assert asked.path == "http://192.0.2.11:6443/version"
    assert asked.headers["proxy-authorization"] == "Basic bWU6YTpi"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_resolver_that_says_nothing_costs_the_deadline(tmp_path: Path) -> None:
    """In a network of its own, with a name server that never answers: the resolver alone would wait ten seconds."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://api.example.com:6443")
    script = (
        "import fcntl, socket, struct, time\n"
        "from sretool.clients.kubernetes import Connection, KubernetesReads\n"
        "from sretool.errors import UnreachableError\n"
        "server = socket.socket(type=socket.SOCK_DGRAM)\n"
        "fcntl.ioctl(server, 0x8914, struct.pack('16sh', b'lo', 1))\n"  # SIOCSIFFLAGS: up
        "server.bind(('127.0.0.1', 53))\n"
        f"connection = Connection({path!r})\n"
        "connection.open()\n"
        "began = time.monotonic()\n"
        "try:\n"
        "    KubernetesReads(connection).get('/version', timeout_seconds=1)\n"
        "except UnreachableError as error:\n"
        "    print(time.monotonic() - began < 4, error.message)\n"
    )
    setup = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", f'{setup} && exec "$0" -c "$1"', sys.executable, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("True "), done.stdout + done.stderr
    assert "was not sent: no connection in time" in done.stdout
