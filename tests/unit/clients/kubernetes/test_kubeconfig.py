"""Every way to log in that a kubeconfig knows, and what is said when it does not work."""

import datetime
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sretool.clients.kubernetes import IN_CLUSTER, Connection, KubernetesReads
from sretool.clients.kubernetes.exec_plugin import run_plugin
from sretool.errors import UnreachableError
from sretool.lab.certificates import create_authority, issue_client
from tests.support.http_stub import HttpStub, Reply, serve, write_kubeconfig

Server = tuple[HttpStub, str]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(lambda asked: Reply(body={"gitVersion": "v1.34.0"})) as served:
        yield served


def version(kubeconfig: str, context: str = "") -> Any:
    connection = Connection(kubeconfig, context)
    try:
        return KubernetesReads(connection).get("/version", timeout_seconds=5)["gitVersion"]
    finally:
        connection.close()


def plugin(path: Path, code: str, **more: object) -> dict[str, Any]:
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{code}\n", encoding="utf-8")
    path.chmod(0o700)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": f"./{path.name}"} | more


def answering(**status: str) -> str:
    return f"print(json.dumps({ ({'kind': 'ExecCredential', 'apiVersion': 'v1', 'status': status})!r}))"


def run(exec_: dict[str, Any], folder: Path, *, seconds: float = 5) -> Any:
    return run_plugin(exec_, cluster={"server": "s"}, folder=str(folder), timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token"}, "Bearer from-file"),
        ({"username": "a", "password": "b"}, "Basic YTpi"),
        ({}, None),
    ],
)
def test_a_user_of_the_kubeconfig_is_sent_as_it_says(
    server: Server, tmp_path: Path, user: dict[str, str], sent: str | None
) -> None:
    stub, url = server
    (tmp_path / "token").write_text("from-file", encoding="utf-8")
    assert "v1.34.0" == version(write_kubeconfig(tmp_path / "kubeconfig", url, user=user))
    assert sent == stub.asked[0].headers.get("authorization")


def test_a_plugins_token_is_sent_and_fetched_anew_when_it_has_expired(server: Server, tmp_path: Path) -> None:
    stub, url = server
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)).isoformat()
    code = (
        "count = os.path.getsize('runs') if os.path.exists('runs') else 0\n"
        "open('runs', 'a').write('x')\n"
        f"print(json.dumps({{'status': {{'token': f't{{count}}', 'expirationTimestamp': {soon!r}}}}}))"
    )
    code = code.replace("'runs'", repr(str(tmp_path / "runs")))
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig", url, user={"exec": plugin(tmp_path / "login", code)}
    )
    reads = KubernetesReads(Connection(kubeconfig))
    for _ in range(2):
        reads.get("/version", timeout_seconds=5)
    assert ["Bearer t1", "Bearer t2"] == [one.headers["authorization"] for one in stub.asked]


def test_a_plugin_hears_its_arguments_environment_and_cluster(tmp_path: Path) -> None:
    code = (
        "question = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = '|'.join([*sys.argv[1:], os.environ['A'], question['kind'], question['spec']['cluster']['server'],"
        " str(question['spec']['interactive']), sys.stdin.read()])\n"
        "print(json.dumps({'status': {'token': token}}))"
    )
    exec_ = plugin(
        tmp_path / "login", code, args=["x", "y"], env=[{"name": "A", "value": "b"}], provideClusterInfo=True
    )
    assert "x|y|b|ExecCredential|s|False|" == run(exec_, tmp_path).token


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('please log in', file=sys.stderr); sys.exit(3)", "ended with 3: please log in"),
        ("sys.exit(1)", "ended with 1: it says nothing"),
        ("print('hello')", "did not answer with an ExecCredential"),
        (answering(), "answered without a token"),
        (answering(clientCertificateData="x"), "answered without a token"),
    ],
)
def test_a_plugin_that_fails_is_named_with_what_it_said(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(UnreachableError, match=r"exec plugin \./login") as caught:
        run(plugin(tmp_path / "login", code), tmp_path)
    assert said in caught.value.message


def test_a_plugin_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "child = os.fork()\n"
        f"if child: open({str(tmp_path / 'child')!r}, 'w').write(str(child))\n"
        "time.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"gave no answer in 0\.5 s"):
        run(plugin(tmp_path / "login", code), tmp_path, seconds=0.5)
    assert time.monotonic() - began < 20
    assert wait_until(lambda: not is_running(int((tmp_path / "child").read_text(encoding="utf-8"))))


def test_a_plugin_that_is_missing_or_wants_a_terminal_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cannot be run: No such file") as caught:
        run({"apiVersion": "v1", "command": "no-such-login", "installHint": "get it\nthere"}, tmp_path)
    assert "get it there" == caught.value.then
    with pytest.raises(UnreachableError, match="wants to ask at the terminal"):
        run(plugin(tmp_path / "login", answering(token="a"), interactiveMode="Always"), tmp_path)


@pytest.mark.parametrize(
    ("content", "context", "said"),
    [
        (None, "", "No such file"),
        ("", "", "is empty"),
        ("just words", "", ""),
        ("[1, 2]", "", ""),
        ("a: [", "", "expected the node content"),
        ("{}", "", ""),
        (json.dumps({"contexts": [], "current-context": "there"}), "", "there"),
        ("valid", "elsewhere", "elsewhere"),
    ],
)
def test_a_kubeconfig_that_is_no_use_is_named_with_the_reason(
    tmp_path: Path, content: str | None, context: str, said: str
) -> None:
    path = tmp_path / "kubeconfig"
    if content == "valid":
        write_kubeconfig(path, "http://127.0.0.1:1")
    elif content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UnreachableError, match=str(path)) as caught:
        version(str(path), context)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_kubeconfig_that_is_a_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kubeconfig")
    with pytest.raises(UnreachableError, match="no regular file"):
        version(str(tmp_path / "kubeconfig"))


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig", "https://127.0.0.1:1", user={"client-certificate": "gone.pem"}
    )
    with pytest.raises(UnreachableError, match=r"gone\.pem"):
        version(kubeconfig)


def test_outside_a_pod_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="the pod's service account cannot be used"):
        version(IN_CLUSTER)


def wait_until(is_so: Callable[[], bool], seconds: float = 5) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not is_so():
        time.sleep(0.02)
    return is_so()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_a_plugin_may_say_null_of_what_it_does_not_give(tmp_path: Path) -> None:
    answer = {"token": "a", "clientCertificateData": None, "clientKeyData": None, "expirationTimestamp": None}
    code = f"print(json.dumps({ {'status': answer}!r}))"
    assert "a" == run(plugin(tmp_path / "login", code), tmp_path).token


@pytest.mark.parametrize("field", ["command", "apiVersion"])
def test_a_plugins_entry_that_lacks_something_is_told_what(tmp_path: Path, field: str) -> None:
    entry = {
        name: value
        for name, value in plugin(tmp_path / "login", answering(token="a")).items()
        if name != field
    }
    with pytest.raises(UnreachableError, match=f"has no `{field}` there"):
        run(entry, tmp_path)


@pytest.mark.parametrize(
    ("ends", "runs"), [("2020-01-01T00:00:00Z", 2), ("2020-01-01T00:00:00", 2), ("2120-01-01T00:00:00Z", 1)]
)
def test_a_plugins_certificate_is_fetched_anew_when_it_has_ended(
    server: Server, tmp_path: Path, ends: str, runs: int
) -> None:
    _, url = server
    count = tmp_path / "runs"
    pair = issue_client(create_authority(tmp_path), tmp_path, name="me")
    answer = {
        "clientCertificateData": pair.cert.read_text("ascii"),
        "clientKeyData": pair.key.read_text("ascii"),
        "expirationTimestamp": ends,
    }
    code = f"open({str(count)!r}, 'a').write('x')\nprint(json.dumps({ {'status': answer}!r}))"
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig", url, user={"exec": plugin(tmp_path / "login", code)}
    )
    connection = Connection(kubeconfig)
    connection.open()
    before = count.stat().st_size
    KubernetesReads(connection).get("/version", timeout_seconds=5)
    connection.close()
    assert (before, count.stat().st_size) == (1, runs)
