"""What goes over the wire, and what each answer becomes: against a server that answers as it is told to."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sretool.clients.kubernetes import Connection, KubernetesReads, KubernetesWrites
from sretool.errors import (
    CompactedError,
    ConflictError,
    NoAnswerError,
    NoQuorumError,
    NoSpaceError,
    NotFoundError,
    NotPermittedError,
    RejectedError,
    RemoteError,
    TlsError,
    TooManyRequestsError,
    Touched,
    UnreachableError,
    UsageError,
)
from tests.support.http_stub import HttpStub, Reply, serve, write_kubeconfig

CALL = 5.0
PODS = "/api/v1/namespaces/web/pods"


class Api(msgspec.Struct):
    stub: HttpStub
    reads: KubernetesReads
    writes: KubernetesWrites

    def answers(self, *replies: Reply) -> None:
        """Answer with `replies`, one after the other, the last for ever."""
        left = list(replies)
        self.stub.reply = lambda asked: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serve(lambda asked: Reply()) as (stub, url):
        connection = Connection(write_kubeconfig(tmp_path / "kubeconfig", url))
        yield Api(stub, KubernetesReads(connection), KubernetesWrites(connection))
        connection.close()


def status(code: int, reason: str, message: str, **more: object) -> Reply:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return Reply(status=code, body=body | more)


READ: dict[str, Callable[[Api], object]] = {
    "get": lambda api: api.reads.get(PODS, timeout_seconds=0.3),
    "dry run": lambda api: api.reads.dry_run("DELETE", f"{PODS}/a", timeout_seconds=0.3),
}
WRITE: dict[str, Callable[[Api], object]] = {
    "apply": lambda api: api.writes.apply(f"{PODS}/a", {}, field_manager="me", timeout_seconds=0.3),
    "patch": lambda api: api.writes.patch(
        f"{PODS}/a", {}, content_type="application/merge-patch+json", timeout_seconds=0.3
    ),
    "put": lambda api: api.writes.put(f"{PODS}/a", {}, timeout_seconds=0.3),
    "post": lambda api: api.writes.post(PODS, {}, timeout_seconds=0.3),
    "delete": lambda api: api.writes.delete(f"{PODS}/a", uid="u", timeout_seconds=0.3),
    "delete collection": lambda api: api.writes.delete_collection(PODS, limit=5, timeout_seconds=0.3),
}


@pytest.mark.parametrize("call", [*READ, *WRITE])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(after_seconds=0.6),
        Reply(body={"items": []}, cut_after=4),
        status(503, "ServiceUnavailable", "apiserver not ready"),
        status(429, "TooManyRequests", "later"),
        status(500, "InternalError", "etcdserver: request timed out"),
        Reply(status=302, headers={"Location": "/elsewhere"}),
    ],
    ids=["dropped", "slow", "cut", "503", "429", "500", "redirected"],
)
def test_one_request_is_one_request_whatever_becomes_of_it(api: Api, call: str, reply: Reply) -> None:
    api.answers(reply)
    began = time.monotonic()
    with pytest.raises(RemoteError):
        (READ | WRITE)[call](api)
    assert 1 == len(api.stub.asked)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("call", [*READ, *WRITE])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(after_seconds=0.6),
        status(500, "InternalError", "etcdserver: request timed out"),
        status(504, "Timeout", "request did not complete within the allotted timeout"),
        Reply(status=502, body=b"<html>Bad Gateway</html>"),
        Reply(status=200, body=b"<html>Log in</html>"),
    ],
    ids=["dropped", "slow", "500", "504", "502", "portal"],
)
def test_an_unclear_answer_leaves_a_write_unknown_and_a_read_without_effect(
    api: Api, call: str, reply: Reply
) -> None:
    api.answers(reply)
    with pytest.raises(NoAnswerError) as caught:
        (READ | WRITE)[call](api)
    assert (Touched.UNKNOWN if call in WRITE else Touched.NOTHING) == caught.value.touched


@pytest.mark.parametrize(
    ("code", "text", "who", "then"),
    [
        (
            500,
            'Internal error occurred: failed calling webhook "w.example.com": failed to call webhook: EOF',
            "was refused because the webhook w.example.com does not answer (500",
            "validatingwebhookconfigurations",
        ),
        (
            403,
            'admission webhook "w.example.com" denied the request: exceeded quota: none, of mine',
            "was refused by the webhook w.example.com (403",
            "WEBHOOKS:.webhooks[*].name",
        ),
        (
            422,
            "quotas \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {no}",
            "was refused by the ValidatingAdmissionPolicy p (422",
            "kubectl get ValidatingAdmissionPolicy p -o yaml",
        ),
        (
            403,
            'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
            "was refused by the ResourceQuota q (403",
            "describe resourcequota q",
        ),
        (
            403,
            'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: web',
            "was refused by the ResourceQuota q (403",
            "describe resourcequota q",
        ),
        (
            403,
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged (...)',
            "was refused by Pod Security, level restricted:latest (403",
            "pod-security.kubernetes.io/enforce",
        ),
        (
            403,
            'configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated',
            "was refused because its namespace is being deleted (403",
            "",
        ),
    ],
)
def test_whoever_refuses_at_admission_is_named_with_a_command_that_shows_it(
    api: Api, code: int, text: str, who: str, then: str
) -> None:
    api.answers(status(code, "Forbidden", text))
    with pytest.raises(RejectedError) as caught:
        api.writes.post(PODS, {}, timeout_seconds=CALL)
    assert who in caught.value.message
    assert text in caught.value.message
    assert then in caught.value.then
    assert caught.value.touched is Touched.NOTHING


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (status(401, "Unauthorized", "Unauthorized"), NotPermittedError, "401 Unauthorized"),
        (
            status(
                403, "Forbidden", 'pods is forbidden: User "a" cannot list resource "pods" in API group ""'
            ),
            NotPermittedError,
            'User "a" cannot list',
        ),
        (
            status(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q, requested: pods=1'),
            RejectedError,
            "exceeded quota: q",
        ),
        (
            status(
                403, "Forbidden", 'admission webhook "w.example.com" denied the request: User "a" cannot sit'
            ),
            RejectedError,
            'admission webhook "w.example.com" denied',
        ),
        (
            status(
                500, "InternalError", 'Internal error occurred: failed calling webhook "w.example.com": EOF'
            ),
            RejectedError,
            'failed calling webhook "w.example.com"',
        ),
        (
            status(422, "Invalid", "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
            RejectedError,
            "ValidatingAdmissionPolicy 'p'",
        ),
        (status(404, "NotFound", 'pods "a" not found'), NotFoundError, 'pods "a" not found'),
        (
            status(409, "Conflict", 'conflict with "kubectl": .spec.hard'),
            ConflictError,
            '"kubectl": .spec.hard',
        ),
        (status(409, "AlreadyExists", "exists"), ConflictError, "exists"),
        (status(410, "Expired", "too old"), CompactedError, "too old"),
        (status(422, "Invalid", "spec.hard: Invalid value"), RejectedError, "Invalid value"),
        (status(429, "TooManyRequests", "later"), TooManyRequestsError, "later"),
        (
            status(500, "InternalError", "etcdserver: mvcc: database space exceeded"),
            NoSpaceError,
            "space exceeded",
        ),
        (status(500, "InternalError", "etcdserver: no leader"), NoQuorumError, "no leader"),
        (status(500, "InternalError", "boom"), NoAnswerError, "boom"),
        (Reply(status=502, body=b"<h1>\nBad Gateway"), NoAnswerError, "a page of HTML, «Bad Gateway»"),
    ],
)
def test_each_refusal_becomes_its_error_and_says_what_the_server_said(
    api: Api, reply: Reply, kind: type[RemoteError], said: str
) -> None:
    api.answers(reply)
    with pytest.raises(RemoteError) as caught:
        api.writes.post(PODS, {}, timeout_seconds=CALL)
    assert said in caught.value.message
    assert f"POST {PODS}" in caught.value.message
    assert kind in {type(caught.value), *type(caught.value).__bases__}
    assert (Touched.UNKNOWN if kind is NoAnswerError else Touched.NOTHING) == caught.value.touched


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(status=429, headers={"Retry-After": "7"}), 7.0),
        (status(429, "TooManyRequests", "later", details={"retryAfterSeconds": 3}), 3.0),
        (Reply(status=429, body=b"later"), 0.0),
    ],
)
def test_a_busy_server_says_how_long_to_wait(api: Api, reply: Reply, seconds: float) -> None:
    api.answers(reply)
    with pytest.raises(TooManyRequestsError) as caught:
        api.reads.get("/version", timeout_seconds=CALL)
    assert seconds == caught.value.retry_after_seconds


@pytest.mark.parametrize(
    "begins", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"]
)
def test_an_answer_that_trickles_ends_with_the_deadline(tmp_path: Path, begins: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=trickle, args=(listener, begins), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        reads = KubernetesReads(Connection(write_kubeconfig(tmp_path / "kubeconfig", url)))
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"got no answer in 0\.5 s"):
            reads.get("/version", timeout_seconds=0.5)
        assert time.monotonic() - began < 8


def trickle(listener: socket.socket, begins: bytes) -> None:
    """Answer one connection with what it `begins` with, then a byte every 50 ms for 10 s."""
    taken, _ = listener.accept()
    with taken, contextlib.suppress(OSError):
        taken.recv(1 << 16)
        taken.sendall(begins)
        for _ in range(200):
            time.sleep(0.05)
            taken.sendall(b"H")


def test_nobody_there_means_that_nothing_was_sent(tmp_path: Path) -> None:
    with serve(lambda asked: Reply()) as (_, url):
        pass
    writes = KubernetesWrites(Connection(write_kubeconfig(tmp_path / "kubeconfig", url)))
    with pytest.raises(UnreachableError, match=r"was not sent: .*refused") as caught:
        writes.post(PODS, {}, timeout_seconds=CALL)
    assert Touched.NOTHING == caught.value.touched


def test_a_server_that_speaks_no_tls_is_a_matter_of_certificates(tmp_path: Path) -> None:
    with serve(lambda asked: Reply()) as (_, url):
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url.replace("http:", "https:"))
        with pytest.raises(TlsError, match="was not sent"):
            KubernetesReads(Connection(kubeconfig)).get("/version", timeout_seconds=CALL)


def test_a_dry_run_says_so_where_the_server_looks(api: Api) -> None:
    api.reads.dry_run("DELETE", f"{PODS}/a", {"propagationPolicy": "Orphan"}, timeout_seconds=CALL)
    api.reads.dry_run("PUT", f"{PODS}/a", {"spec": {}}, timeout_seconds=CALL)
    delete, put = api.stub.asked
    assert {"propagationPolicy": "Orphan", "dryRun": ["All"]} == delete.json
    assert f"{PODS}/a?dryRun=All" == put.path
    assert {"spec": {}} == put.json


def test_a_server_side_apply_names_its_manager_and_forces_only_when_told(api: Api) -> None:
    api.writes.apply(f"{PODS}/a", {"kind": "Pod"}, field_manager="sretool", timeout_seconds=CALL)
    api.writes.apply(f"{PODS}/a", {"kind": "Pod"}, field_manager="sretool", force=True, timeout_seconds=CALL)
    first, second = api.stub.asked
    assert "PATCH" == first.method
    assert f"{PODS}/a?fieldManager=sretool&force=false" == first.path
    assert f"{PODS}/a?fieldManager=sretool&force=true" == second.path
    assert "application/apply-patch+yaml" == first.headers["Content-Type"]
    assert {"kind": "Pod"} == first.json
    assert "Bearer abc" == first.headers["authorization"]


def test_a_deletion_says_which_object_it_means(api: Api) -> None:
    api.writes.delete(f"{PODS}/a", uid="u", resource_version="7", timeout_seconds=CALL)
    api.writes.delete(f"{PODS}/a", timeout_seconds=CALL)
    bound, free = api.stub.asked
    assert {"uid": "u", "resourceVersion": "7"} == bound.json["preconditions"]
    assert b"" == free.body


def test_a_collection_deletion_is_limited_and_counted(api: Api) -> None:
    api.answers(Reply(body={"kind": "List", "items": [{}, {}, {}]}))
    assert 3 == api.writes.delete_collection(
        PODS, limit=500, field_selector="reason=Failed", timeout_seconds=CALL
    )
    assert f"{PODS}?limit=500&fieldSelector=reason%3DFailed" == api.stub.asked[0].path
    assert b"" == api.stub.asked[0].body


def test_listed_pages_say_where_they_are_and_are_deleted_there(api: Api) -> None:
    first = {"metadata": {"resourceVersion": "7", "continue": "a&b"}, "items": [{}, {}]}
    api.answers(Reply(body=first), Reply(body={"metadata": {"resourceVersion": "7"}, "items": [{}]}))
    pages = list(api.reads.listed_pages(PODS, limit=2, most=3, timeout_seconds=lambda: CALL))
    assert [(2, 2), (1, 1)] == [(page.objects, page.limit) for page in pages]
    for page in pages:
        api.writes.delete_collection(PODS, limit=page.limit, place=page.place, timeout_seconds=CALL)
    assert [f"{PODS}?limit=2", f"{PODS}?limit=1&continue=a%26b"] == [one.path for one in api.stub.asked[:2]]
    assert [
        f"{PODS}?limit=2&resourceVersion=7&resourceVersionMatch=Exact",
        f"{PODS}?limit=1&continue=a%26b",
    ] == [one.path for one in api.stub.asked[2:]]
    # Without a body the server would take the list's revision for a precondition of each object.
    assert ["DeleteOptions", "DeleteOptions"] == [one.json["kind"] for one in api.stub.asked[2:]]


def test_no_more_is_listed_than_was_asked_for(api: Api) -> None:
    api.answers(Reply(body={"metadata": {"continue": "more"}, "items": [{}, {}]}))
    pages = list(api.reads.listed_pages(PODS, limit=2, most=4, timeout_seconds=lambda: CALL))
    assert [2, 2] == [page.objects for page in pages]


def test_a_place_whose_revision_is_gone_was_not_deleted(api: Api) -> None:
    api.answers(status(410, "Expired", "too old"))
    with pytest.raises(CompactedError, match="too old") as caught:
        api.writes.delete_collection(PODS, limit=2, place={"continue": "old"}, timeout_seconds=CALL)
    assert Touched.NOTHING == caught.value.touched


def test_pages_go_on_where_the_last_one_ended(api: Api) -> None:
    api.answers(
        Reply(body={"metadata": {"continue": "a&b"}, "items": [{"n": 1}]}),
        Reply(body={"metadata": {}, "items": [{"n": 2}]}),
    )
    pages = list(api.reads.pages(PODS, limit=1, label_selector="app=web", timeout_seconds=CALL))
    assert [[{"n": 1}], [{"n": 2}]] == pages
    assert f"{PODS}?limit=1&labelSelector=app%3Dweb" == api.stub.asked[0].path
    assert f"{PODS}?limit=1&labelSelector=app%3Dweb&continue=a%26b" == api.stub.asked[1].path


def test_a_list_whose_revision_is_gone_goes_on_from_the_newest(api: Api) -> None:
    api.answers(
        Reply(body={"metadata": {"continue": "old"}, "items": [{"n": 1}]}),
        status(410, "Expired", "too old", metadata={"continue": "new"}),
        Reply(body={"metadata": {}, "items": [{"n": 2}]}),
    )
    assert [[{"n": 1}], [{"n": 2}]] == list(api.reads.pages(PODS, limit=1, timeout_seconds=CALL))
    assert api.stub.asked[-1].path.endswith("continue=new")


@pytest.mark.parametrize("token", ["", "new"])
def test_a_list_that_cannot_go_on_says_so(api: Api, token: str) -> None:
    api.answers(status(410, "Expired", "too old", metadata={"continue": token}))
    with pytest.raises(CompactedError, match="too old"):
        list(api.reads.pages(PODS, timeout_seconds=CALL))
    assert 2 >= len(api.stub.asked)


def test_a_long_list_is_held_one_page_at_a_time(api: Api) -> None:
    page = {"metadata": {"continue": "more"}, "items": [{"text": "x" * 1000}] * 1000}
    last = {"metadata": {}, "items": []}
    api.answers(*[Reply(body=json.dumps(page).encode())] * 30, Reply(body=last))
    tracemalloc.start()
    try:
        count = sum(len(one) for one in api.reads.pages(PODS, timeout_seconds=CALL))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 30_000 == count
    assert peak < 10_000_000  # 30 MB went over the wire


class Named(msgspec.Struct):
    n: int


def test_typed_pages_build_only_what_is_named(api: Api) -> None:
    api.answers(Reply(body={"metadata": {}, "items": [{"n": 1, "other": "x"}]}))
    pages = api.reads.typed_pages(PODS, Named, limit=5, timeout_seconds=lambda: CALL)
    assert [[Named(1)]] == list(pages)


def test_a_missing_object_is_none_and_a_refusal_is_not(api: Api) -> None:
    api.answers(status(404, "NotFound", "none"), status(403, "Forbidden", "no"))
    assert api.reads.find(f"{PODS}/a", timeout_seconds=CALL) is None
    with pytest.raises(RejectedError):
        api.reads.find(f"{PODS}/a", timeout_seconds=CALL)


def test_a_right_to_a_path_that_is_no_resource_is_asked_for_as_such(api: Api) -> None:
    api.answers(Reply(status=201, body={"status": {"allowed": True}}))
    assert api.reads.can_i("get", url="/metrics", timeout_seconds=CALL)
    assert {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}} == api.stub.asked[0].json["spec"]


def test_who_we_are_is_what_the_server_takes_our_credentials_for(api: Api) -> None:
    api.answers(Reply(status=201, body={"status": {"userInfo": {"username": "me", "groups": ["a"]}}}))
    assert {"username": "me", "groups": ["a"]} == api.reads.whoami(timeout_seconds=CALL)
    asked = api.stub.asked[0]
    assert ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews") == (asked.method, asked.path)


@pytest.mark.parametrize(("allowed", "expected"), [(True, True), (False, False)])
def test_a_right_is_asked_for_by_an_access_review(api: Api, allowed: bool, expected: bool) -> None:
    api.answers(Reply(status=201, body={"status": {"allowed": allowed}}))
    answer = api.reads.can_i(
        "patch", group="apps", resource="deployments", subresource="scale", timeout_seconds=CALL
    )
    assert expected is answer
    asked = api.stub.asked[0]
    assert ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") == (asked.method, asked.path)
    assert {
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "namespace": "",
        "name": "",
    } == asked.json["spec"]["resourceAttributes"]


@pytest.mark.parametrize(
    "path",
    ["", "/", "api/v1", "/api/v1/../v2", "/api/v1?dryRun=All", "/api//v1", "/api/v1/pods/", "/a\nb", "/a#b"],
)
def test_what_is_no_path_is_refused_before_anything_is_sent(api: Api, path: str) -> None:
    with pytest.raises(UsageError):
        api.reads.get(path, timeout_seconds=CALL)
    assert [] == api.stub.asked


def test_no_generated_class_is_ever_loaded(tmp_path: Path) -> None:
    with serve(lambda asked: Reply(body={"items": [{}]})) as (stub, url):
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url)
        code = (
            "import sys\n"
            "from sretool.clients.kubernetes import Connection, KubernetesReads\n"
            "assert 'kubernetes' not in sys.modules\n"
            "reads = KubernetesReads(Connection(sys.argv[1]))\n"
            "assert [[{}]] == list(reads.pages('/api/v1/pods', timeout_seconds=5))\n"
            "print(*[name for name in ('kubernetes.client.models.v1_pod', 'kubernetes.client.api.core_v1_api')\n"
            "        if name in sys.modules])\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, kubeconfig], capture_output=True, text=True, timeout=30, check=False
        )
    assert (0, "\n", "") == (ended.returncode, ended.stdout, ended.stderr)
    assert 1 == len(stub.asked)
