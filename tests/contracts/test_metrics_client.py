"""The metrics client against servers that answer well, badly, slowly and not at all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sretool.clients.metrics import read_metrics
from sretool.errors import NoAnswerError, RejectedError, RemoteError, UnreachableError, UsageError
from tests.support.promptly import promptly

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@contextmanager
def _server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(4096)
                try:
                    speak(connected)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def test_a_page_is_read_whole() -> None:
    with _server(lambda one: one.sendall(_OK + b"up 1\n")) as url:
        assert read_metrics(url, None, timeout_seconds=2).value("up") == 1.0


@pytest.mark.parametrize("at_once", [b"", _OK, _OK + b"up 1\n"])
def test_a_page_that_trickles_in_costs_the_deadline(at_once: bytes) -> None:
    def trickle(connected: socket.socket) -> None:
        connected.sendall(at_once)
        for byte in (_OK + b"up 1\n" * 200)[len(at_once) :]:
            connected.sendall(bytes([byte]))
            time.sleep(0.02)

    def read() -> None:
        with _server(trickle) as url, pytest.raises(NoAnswerError, match=r"no metrics in 0\.3 s"):
            read_metrics(url, None, timeout_seconds=0.3)

    promptly(read, seconds=3)


def test_a_server_that_says_nothing_costs_the_deadline() -> None:
    with (
        _server(lambda _: time.sleep(0.6)) as url,
        pytest.raises(NoAnswerError, match=r"no metrics in 0\.2 s"),
    ):
        read_metrics(url, None, timeout_seconds=0.2)


@pytest.mark.parametrize(
    ("answer", "expected", "error"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404 Not Found", RejectedError),
        (_OK + b"<html>hello</html>", "answered, but not with metrics", RejectedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nup 1", "broke off", NoAnswerError),
        (b"\x15\x03\x01\x00\x02\x02\x28", "broke off", NoAnswerError),
        (b"", "broke off", NoAnswerError),
    ],
)
def test_an_answer_that_is_no_page_is_said_to_be_none(
    answer: bytes, expected: str, error: type[RemoteError]
) -> None:
    with _server(lambda one: one.sendall(answer)) as url, pytest.raises(error, match=expected) as caught:
        read_metrics(url, None, timeout_seconds=2)
    assert caught.value.endpoint == url


def test_a_page_without_end_is_refused() -> None:
    def flood(connected: socket.socket) -> None:
        connected.sendall(_OK)
        while True:
            connected.sendall(b"up 1\n" * 100_000)

    with _server(flood) as url, pytest.raises(RejectedError, match="more than 16 MiB"):
        read_metrics(url, None, timeout_seconds=10)


def test_a_closed_port_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="cannot be reached: Connection refused"):
        read_metrics("http://127.0.0.1:1/metrics", None, timeout_seconds=1)


@pytest.mark.parametrize("url", ["", "m1:2381", "ftp://m1/", "http://", "http://m1:port", "http://[::1"])
def test_a_url_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        read_metrics(url, None, timeout_seconds=1)
