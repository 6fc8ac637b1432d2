"""What a reader may send, and what a writer may send: everything else stops before the wire."""

from typing import Any

import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads
from sretool.clients.kubernetes.gates import ReadGate, WriteGate
from sretool.clients.kubernetes.request import Request
from sretool.errors import SretoolError, UnreachableError

POD = "/api/v1/namespaces/web/pods/a"
REVIEWS = "/apis/authorization.k8s.io/v1"
NOWHERE = Connection("/there/is/no/kubeconfig")


def send(gate: ReadGate | WriteGate, method: str, path: str, body: Any = None, **query: str) -> None:
    gate.send(Request(method=method, path=path, query=query, body=body), timeout_seconds=1)


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", POD, None, {}),
        ("GET", "/readyz", None, {}),
        ("GET", "/api/v1/namespaces/proxy/pods", None, {}),
        ("GET", "/api/v1/namespaces/nodes/pods/exec", None, {}),
        ("POST", f"{REVIEWS}/selfsubjectaccessreviews", {}, {}),
        ("POST", f"{REVIEWS}/selfsubjectrulesreviews", {}, {}),
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, {}),
        ("POST", "/api/v1/namespaces", {}, {"dryRun": "All"}),
        ("PATCH", POD, {}, {"dryRun": "All"}),
        ("PUT", POD, {}, {"dryRun": "All"}),
        ("DELETE", POD, None, {"dryRun": "All"}),
        ("DELETE", POD, {"dryRun": ["All"]}, {"dryRun": "All"}),
    ],
)
def test_a_reader_sends_what_only_reads(method: str, path: str, body: Any, query: dict[str, str]) -> None:
    with pytest.raises(UnreachableError, match="/there/is/no/kubeconfig"):
        send(ReadGate(NOWHERE), method, path, body, **query)


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("POST", "/api/v1/namespaces", {}, {}),
        ("PATCH", POD, {}, {}),
        ("PUT", POD, {}, {}),
        ("DELETE", POD, None, {}),
        ("DELETE", POD, None, {"dryRun": "all"}),
        ("PATCH", POD, {}, {"dryRun": ""}),
        # Of a DELETE with a body the server reads the options there, and there only.
        ("DELETE", POD, {}, {"dryRun": "All"}),
        ("DELETE", POD, {"dryRun": []}, {"dryRun": "All"}),
        ("DELETE", POD, {"dryRun": ["All"]}, {}),
        ("POST", f"{REVIEWS}/subjectaccessreviews", {}, {}),
        ("POST", f"{REVIEWS}/selfsubjectaccessreviews/more", {}, {}),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {}, {}),
        ("GET", f"{POD}/exec", None, {"command": "reboot"}),
        ("GET", f"{POD}/proxy/reset", None, {}),
        ("POST", f"{POD}/proxy/reset", {}, {"dryRun": "All"}),
        ("GET", f"{POD}/attach", None, {}),
        ("GET", f"{POD}/portforward", None, {}),
        ("GET", "/api/v1/nodes/a/proxy/run/web/a/b", None, {}),
        ("GET", "/api/v1/namespaces/web/services/http:a:80/proxy/", None, {}),
        ("HEAD", POD, None, {}),
        ("OPTIONS", POD, None, {"dryRun": "All"}),
    ],
)
def test_a_reader_sends_nothing_else(method: str, path: str, body: Any, query: dict[str, str]) -> None:
    with pytest.raises(SretoolError) as caught:
        send(ReadGate(NOWHERE), method, path.rstrip("/"), body, **query)
    assert "nothing was sent" in caught.value.message


def test_a_writer_sends_what_writes_and_nothing_else() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(UnreachableError):
            send(WriteGate(NOWHERE), method, POD)
    with pytest.raises(SretoolError, match="nothing was sent"):
        send(WriteGate(NOWHERE), "GET", POD)


def test_a_reader_has_no_method_that_writes() -> None:
    names = {"get", "find", "text", "ready", "uid", "pages", "typed_pages", "listed_pages"}
    assert names | {"can_i", "whoami", "dry_run"} == {
        name for name in vars(KubernetesReads) if not name.startswith("_")
    }
