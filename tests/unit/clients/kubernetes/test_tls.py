"""Certificates and keys of a kubeconfig: shown to the server, and never left lying about."""

import base64
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads
from sretool.clients.kubernetes.tls import TlsMaterial
from sretool.errors import UnreachableError
from sretool.lab.certificates import Pair, create_authority, issue_client, issue_server
from tests.support.http_stub import Asked, Reply, serve, write_kubeconfig


def data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    return create_authority(tmp_path)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, empty at first."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder


def test_a_key_in_a_kubeconfig_is_shown_to_the_server_and_is_in_no_file(
    authority: Pair, scratch: Path, tmp_path: Path
) -> None:
    pair = issue_server(authority, tmp_path, name="api", addresses=["127.0.0.1"])
    me = issue_client(authority, tmp_path, name="me")
    seen: list[list[Path]] = []

    def reply(_: Asked) -> Reply:
        seen.append(list(scratch.iterdir()))
        return Reply(body={"gitVersion": "v1.34.0"})

    with serve(reply, pair=pair, clients=authority) as (_, url):
        user = {"client-certificate-data": data(me.cert), "client-key-data": data(me.key)}
        trusted = {"certificate-authority-data": data(authority.cert)}
        connection = Connection(write_kubeconfig(tmp_path / "kubeconfig", url, user=user, **trusted))
        KubernetesReads(connection).get("/version", timeout_seconds=5)
        assert (me.cert.read_bytes(), seen) == (connection.certificate(), [[]])
        connection.close()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({}, {"certificate-authority-data": "bm9uZQ=="}, "its certificate authority is no PEM"),
        ({"client-certificate-data": "bm9uZQ=="}, {}, "its client certificate and key are no pair in PEM"),
        ({"client-certificate-data": "x"}, {}, "Incorrect padding|Invalid base64"),
        ({}, {"certificate-authority": "gone.pem"}, "gone.pem: No such file"),
    ],
)
def test_a_certificate_that_is_no_use_is_named(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], said: str
) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", user=user, **cluster)
    with pytest.raises(UnreachableError, match=f"kubeconfig cannot be used: .*({said})"):
        Connection(path).open()


def test_a_key_of_another_certificate_is_named(authority: Pair, tmp_path: Path) -> None:
    me, other = (issue_client(authority, tmp_path, name=name) for name in ("me", "other"))
    user = {"client-certificate": str(me.cert), "client-key": str(other.key)}
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", user=user)
    with pytest.raises(UnreachableError, match=r"no pair in PEM: .*KEY_VALUES_MISMATCH"):
        Connection(path).open()


def test_no_more_is_asked_of_an_authority_than_kubectl_asks() -> None:
    context = TlsMaterial().context(verifies=True)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert TlsMaterial().context(verifies=False).verify_mode is ssl.CERT_NONE
