"""Which failures say that the API server itself is away, and which only that this machine cannot ask it."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads
from sretool.clients.kubernetes.away import is_away
from sretool.errors import RemoteError
from tests.support.http_stub import Reply, serve, write_kubeconfig

PATH = "/api/v1/namespaces/kube-system"


def failure(kubeconfig: str) -> RemoteError:
    connection = Connection(kubeconfig)
    try:
        with pytest.raises(RemoteError) as caught:
            KubernetesReads(connection).get(PATH, timeout_seconds=0.5)
        return caught.value
    finally:
        connection.close()


def failing(tmp_path: Path, reply: Reply) -> RemoteError:
    with serve(lambda asked: reply) as (_, url):
        return failure(write_kubeconfig(tmp_path / "kubeconfig", url))


@pytest.mark.parametrize(
    ("expected", "reply"),
    [
        (True, Reply(status=500)),
        (True, Reply(status=503)),
        (True, Reply(status=504)),
        (True, Reply(status=429)),
        (True, Reply(drop=True)),
        (True, Reply(after_seconds=1.0)),
        (False, Reply(status=302, headers={"Location": "/login"})),
        (False, Reply(status=400)),
        (False, Reply(status=401)),
        (False, Reply(status=403)),
        (False, Reply(status=404)),
        (False, Reply(body=b"<html>log in here</html>")),
    ],
)
def test_an_answer_that_came_back_is_no_absence_unless_the_server_has_trouble_itself(
    tmp_path: Path, expected: bool, reply: Reply
) -> None:
    assert expected is is_away(failing(tmp_path, reply))


def gone() -> str:
    with serve(lambda asked: Reply()) as (_, url):
        return url


def test_an_address_at_which_nobody_listens_is_an_absence(tmp_path: Path) -> None:
    assert is_away(failure(write_kubeconfig(tmp_path / "kubeconfig", gone())))


def exec_plugin(file: Path, url: str) -> str:
    file.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('token expired')\n", encoding="utf-8")
    file.chmod(0o700)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(file)}}
    return write_kubeconfig(file.with_suffix(".kubeconfig"), url, user=user)


def broken_authority(file: Path, url: str) -> str:
    broken = {"certificate-authority-data": base64.b64encode(b"no certificate").decode()}
    return write_kubeconfig(file, url.replace("http:", "https:"), **broken)


def dead_proxy(file: Path, url: str) -> str:
    return write_kubeconfig(file, url, **{"proxy-url": gone()})


def dead_proxy_to_tls(file: Path, url: str) -> str:
    return dead_proxy(file, url.replace("http:", "https:"))


def proxy_that_refuses(file: Path, url: str) -> str:
    return write_kubeconfig(file, url.replace("http:", "https:"), **{"proxy-url": url})


def no_tls(file: Path, url: str) -> str:
    return write_kubeconfig(file, url.replace("http:", "https:"))


def unknown_name(file: Path, _url: str) -> str:
    return write_kubeconfig(file, "https://nowhere.invalid:6443")


@pytest.mark.parametrize(
    "broken",
    [
        exec_plugin,
        broken_authority,
        dead_proxy,
        dead_proxy_to_tls,
        proxy_that_refuses,
        no_tls,
        unknown_name,
    ],
)
def test_what_is_broken_on_this_machine_is_no_absence(
    tmp_path: Path, broken: Callable[[Path, str], str]
) -> None:
    with serve(lambda asked: Reply(status=503)) as (stub, url):
        error = failure(broken(tmp_path / "login", url))
    assert not is_away(error), error
    assert PATH not in [asked.path for asked in stub.asked]
