"""A stream into a pod that ends in another way than it should, is led elsewhere, or goes through a proxy."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sretool.clients.kubernetes import Connection
from sretool.clients.kubernetes.exec import Container
from sretool.clients.kubernetes.gates import ReadGate, WriteGate
from sretool.errors import NoAnswerError, RejectedError, RemoteError, Touched, UnreachableError
from tests.support.http_stub import write_kubeconfig
from tests.support.pod_stream import (
    STATUS,
    STDERR,
    STDOUT,
    SUCCESS,
    frame,
    listening,
    open_websocket,
    pipe,
    read_head,
)

BOX = Container(namespace="kube-system", pod="etcd-a", container="etcd")
READ = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "endpoint", "status")
WRITE = ("etcdctl", "--endpoints=https://127.0.0.1:2379", "defrag")
METRICS = "http://127.0.0.1:2381/metrics"
LONG = 60.0  # far more than anything here takes: an error that comes before is no deadline


def connection(tmp_path: Path, port: int, **cluster: Any) -> Connection:
    return Connection(write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{port}", **cluster))


def sending(*frames: bytes):
    def script(connected: socket.socket) -> None:
        open_websocket(connected)
        for one in frames:
            connected.sendall(one)

    return script


def answering(head: str, body: bytes = b""):
    def script(connected: socket.socket) -> None:
        read_head(connected)
        connected.sendall(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return script


def test_messages_in_pieces_and_bytes_that_are_no_text_arrive_whole(tmp_path):
    script = sending(
        frame(STDOUT, b"\xff\x00", last=False),
        frame(STDOUT, b"\xfe", first=False),
        frame(STDOUT, b""),
        frame(STATUS, SUCCESS[:5]),
        frame(STATUS, SUCCESS[5:]),
    )
    with listening(script) as port:
        output = ReadGate(connection(tmp_path, port)).run(BOX, READ, timeout_seconds=LONG)
    assert (output.exit_code, output.stdout) == (0, b"\xff\x00\xfe")


BROKEN = {
    "closed after the opening": sending(),
    "closed in the middle of a frame": sending(frame(STDOUT, b"x" * 100)[:50]),
    "closed before the end is told": sending(frame(STDOUT, b"[]")),
    "an end that is none": sending(frame(STATUS, b"[" * 100_000)),
    "a frame that says it is endless": sending(b"\x82\x7f" + b"\x7f" + b"\xff" * 7 + b"x"),
    "a reserved bit": sending(b"\xf2\x01x"),
    "text that is none": sending(b"\x81\x02\x01\xff"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_stream_without_its_end_is_no_answer_and_a_write_through_it_is_unknown(tmp_path, how):
    with listening(BROKEN[how]) as port:
        there = connection(tmp_path, port)
        with pytest.raises(NoAnswerError) as read:
            ReadGate(there).run(BOX, READ, timeout_seconds=LONG)
        with pytest.raises(NoAnswerError) as written:
            WriteGate(there).run(BOX, WRITE, timeout_seconds=LONG)
    assert (read.value.touched, written.value.touched) == (Touched.NOTHING, Touched.UNKNOWN)


def test_a_command_that_prints_without_end_is_not_held_and_no_refusal_of_a_write(tmp_path):
    with listening(sending(*[frame(STDERR, b"x" * (1 << 20))] * 70)) as port:
        there = connection(tmp_path, port)
        with pytest.raises(RejectedError, match="printed more than 64 MiB"):
            ReadGate(there).run(BOX, READ, timeout_seconds=LONG)
        with pytest.raises(NoAnswerError, match="printed more than 64 MiB") as written:
            WriteGate(there).run(BOX, WRITE, timeout_seconds=LONG)
    assert written.value.touched is Touched.UNKNOWN


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            answering("302 Found\r\nLocation: https://login.example.com/?next=x"),
            "to https://login.example.com/, and",
        ),
        (answering("403 Forbidden", b"<html><title>Sign in</title></html>"), "a page of HTML, «Sign in»"),
        (answering("404 Not Found", b'{"message":"pods \\"etcd-a\\" not found"}'), "not found"),
    ],
)
def test_who_says_no_has_changed_nothing(tmp_path, script, said):
    with listening(script) as port, pytest.raises(RejectedError, match="was refused") as caught:
        WriteGate(connection(tmp_path, port)).run(BOX, WRITE, timeout_seconds=LONG)
    assert said in caught.value.message
    assert caught.value.touched is Touched.NOTHING


def test_an_opening_that_trickles_ends_at_the_deadline(tmp_path):
    stop = threading.Event()

    def trickle(connected: socket.socket) -> None:
        read_head(connected)
        for byte in b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 10_000:
            connected.sendall(bytes((byte,)))
            if stop.wait(0.05):
                return

    with listening(trickle) as port:
        there = connection(tmp_path, port)
        there.open()
        with pytest.raises(NoAnswerError, match=r"got no answer in 0\.5 s"):
            ReadGate(there).run(BOX, READ, timeout_seconds=0.5)
        stop.set()


def test_a_forward_that_breaks_ends_at_once_and_not_at_the_deadline(tmp_path):
    port_number = (2381).to_bytes(2, "little")

    def script(connected: socket.socket) -> None:
        open_websocket(connected)
        connected.recv(4096)  # what is asked of the pod
        connected.sendall(frame(0, port_number) + frame(1, port_number) + frame(0, b"HTTP/1.1 200 OK")[:9])

    with listening(script) as port:
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match="broke off"):
            ReadGate(connection(tmp_path, port)).metrics(BOX, METRICS, timeout_seconds=LONG)
        assert time.monotonic() - began < LONG / 2


# -- through a proxy ---------------------------------------------------------------------------------------


def to(port: int, asked: list[bytes], answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"):
    """Return a proxy's script: it keeps what it is asked, answers, and leads to `port`."""

    def script(connected: socket.socket) -> None:
        asked.append(read_head(connected))
        connected.sendall(answer)
        with socket.create_connection(("127.0.0.1", port)) as there:
            pipe(connected, there)

    return script


def test_a_stream_goes_through_the_kubeconfigs_proxy_with_its_password(tmp_path):
    asked: list[bytes] = []
    with listening(sending(frame(STATUS, SUCCESS))) as port, listening(to(port, asked)) as proxy:
        there = connection(tmp_path, port, **{"proxy-url": f"http://me:a%3Ab@127.0.0.1:{proxy}"})
        assert ReadGate(there).run(BOX, READ, timeout_seconds=LONG).exit_code == 0
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic bwu6ytpi\r\n" in asked[0].lower()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (answering("407 Proxy Authentication Required"), "the proxy says HTTP/1.1 407 Proxy Authentication"),
        (read_head, "the proxy ends the connection"),
    ],
)
def test_a_proxy_that_does_not_let_through_has_sent_nothing_on(tmp_path, script, said):
    with listening(script) as proxy:
        there = connection(tmp_path, 1, **{"proxy-url": f"http://me:hidden@127.0.0.1:{proxy}"})
        with pytest.raises(UnreachableError, match=said) as caught:
            WriteGate(there).run(BOX, WRITE, timeout_seconds=LONG)
    assert caught.value.touched is Touched.NOTHING
    assert "hidden" not in caught.value.message


def test_a_proxy_that_says_nothing_costs_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        there = connection(tmp_path, 1, **{"proxy-url": proxy})
        there.open()
        with pytest.raises(RemoteError, match="no connection in time"):
            ReadGate(there).run(BOX, READ, timeout_seconds=0.3)


def test_an_https_proxy_is_refused_in_words(tmp_path):
    there = connection(tmp_path, 1, **{"proxy-url": "https://127.0.0.1:1"})
    with pytest.raises(UnreachableError, match="through a proxy of https:// no pod is reached"):
        ReadGate(there).run(BOX, READ, timeout_seconds=1)
