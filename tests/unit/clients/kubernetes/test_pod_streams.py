"""The way into a pod where it does not even begin: nobody listens, nobody answers, somebody says no."""

import json
import socket
import time
from pathlib import Path

import pytest

from sretool.clients.kubernetes import Connection
from sretool.clients.kubernetes.exec import Container
from sretool.clients.kubernetes.gates import ReadGate, WriteGate
from sretool.errors import NoAnswerError, SretoolError, Touched, UnreachableError, UsageError

BOX = Container(namespace="kube-system", pod="etcd-a", container="etcd")
STATUS = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "endpoint", "status")
DEFRAG = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "defrag")


def connection_to(port: int, folder: Path) -> Connection:
    path = folder / "kubeconfig"
    cluster = {"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    user = {"name": "a", "user": {"token": "secret"}}
    path.write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "a"})
    )
    return Connection(str(path))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def test_where_nobody_listens_nothing_was_sent(listener, tmp_path):
    port = listener.getsockname()[1]
    listener.close()
    gate = WriteGate(connection_to(port, tmp_path))
    with pytest.raises(UnreachableError, match=r"was not sent: .*Connection refused") as caught:
        gate.run(BOX, DEFRAG, timeout_seconds=5)
    assert caught.value.touched is Touched.NOTHING


def test_an_api_server_that_says_nothing_costs_the_deadline(listener, tmp_path):
    connection = connection_to(listener.getsockname()[1], tmp_path)
    with pytest.raises(NoAnswerError):
        ReadGate(connection).run(BOX, STATUS, timeout_seconds=2)  # the first call loads the kubeconfig
    for touched, run in (
        (Touched.NOTHING, lambda: ReadGate(connection).run(BOX, STATUS, timeout_seconds=0.3)),
        (Touched.UNKNOWN, lambda: WriteGate(connection).run(BOX, DEFRAG, timeout_seconds=0.3)),
        (
            Touched.NOTHING,
            lambda: ReadGate(connection).metrics(BOX, "http://127.0.0.1:2381/metrics", timeout_seconds=0.3),
        ),
    ):
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"in 0\.3 s") as caught:
            run()
        assert 0.25 < time.monotonic() - began < 5
        assert caught.value.touched is touched


def test_a_gate_lets_no_other_command_through(tmp_path):
    reader, writer = (gate(connection_to(1, tmp_path)) for gate in (ReadGate, WriteGate))
    with pytest.raises(SretoolError, match=r"a reader was asked to run .* nothing was sent"):
        reader.run(BOX, DEFRAG, timeout_seconds=1)
    for words in (STATUS, ("sh", "-c", "true"), ("etcdctl", "alarm", "disarm")):
        with pytest.raises(SretoolError, match="a writer was asked to run"):
            writer.run(BOX, words, timeout_seconds=1)


def test_a_pod_cannot_be_named_so_that_another_path_is_asked(tmp_path):
    box = Container(namespace="kube-system", pod="../../../api/v1/nodes", container="etcd")
    with pytest.raises(UsageError, match="is not a path of the Kubernetes API"):
        ReadGate(connection_to(1, tmp_path)).run(box, STATUS, timeout_seconds=1)
