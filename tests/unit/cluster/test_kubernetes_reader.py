"""What a look over the API server remembers, and what it says of one that is not ready or silent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sretool.clock import Deadline
from sretool.cluster.inventory import KubernetesAccess
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.errors import NotPermittedError, RejectedError, RemoteError
from sretool.model import Unknown
from tests.support.http_stub import HttpStub, Reply, serve, write_kubeconfig
from tests.support.moving_clock import MovingClock

READY = 2.0
Served = tuple[HttpStub, KubernetesReader]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(lambda asked: Reply()) as (stub, url):
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url)
        connection = KubernetesConnection(KubernetesAccess(kubeconfig=kubeconfig))
        yield stub, KubernetesReader(connection, deadline=Deadline(MovingClock(), 60))
        connection.close()


def test_the_server_says_itself_whether_it_is_ready(served: Served) -> None:
    stub, read = served
    stub.reply = lambda asked: Reply(body=b"[+]ping ok\nreadyz check passed\n")
    read.ready(timeout_seconds=READY)
    stub.reply = lambda asked: Reply(
        status=500, body=b"[+]ping ok\n" * 100 + b"[-]etcd failed\nreadyz check failed"
    )
    with pytest.raises(RejectedError, match="etcd"):
        read.ready(timeout_seconds=READY)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(status=401),
        Reply(status=502, body=b"<html>"),
        Reply(body=b"<title>Log in</title>"),
    ],
)
def test_who_does_not_say_is_unknown(served: Served, reply: Reply) -> None:
    stub, read = served
    stub.reply = lambda asked: reply
    with pytest.raises(RemoteError) as caught:
        read.ready(timeout_seconds=READY)
    # Who asks was refused, or nobody answered; no server has said that it is not ready.
    assert isinstance(caught.value, NotPermittedError) or not isinstance(caught.value, RejectedError)


def test_what_was_read_or_refused_once_is_not_asked_again_in_a_look(served: Served) -> None:
    stub, read = served
    stub.reply = lambda asked: Reply(status=403, body={"message": "no"})
    first = read.namespaces()
    assert isinstance(first, Unknown)
    assert "no" in first.reason
    assert first == read.namespaces()
    assert 1 == len(stub.asked)
    read.namespaces(label_selector="a=b")
    assert 2 == len(stub.asked)


def test_an_answer_that_is_no_api_servers_is_no_identity_and_no_bug(served: Served) -> None:
    stub, read = served
    stub.reply = lambda asked: Reply(body={"hello": "world"})
    assert isinstance(read.kube_system_uid(), Unknown)
    assert "" == read.server_version()
    assert () == read.namespaces()
