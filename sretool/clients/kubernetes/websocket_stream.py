"""A websocket to the API server with numbered channels, over the connection's own TLS and credentials."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import SplitResult, urlencode, urlsplit

from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.errors import Sent, translate_status
from sretool.clients.kubernetes.request import Request
from sretool.clients.tcp import open_tcp, seconds_left
from sretool.errors import NoAnswerError, RemoteError, TlsError, UnreachableError

_SWITCHED = 101  # Switching Protocols
_LONGEST_HEAD = 1 << 16  # bytes of a proxy's answer
_CLOSED = 0xFF  # v5: the other side says that one channel has ended


class ChannelStream:
    """An open stream: every message is one channel's number and its bytes. Ends at `ends`, whoever waits.

    Safe for one thread that receives and one that sends.
    """

    def __init__(self, opened: Any, sent: Sent, *, ends: float) -> None:
        self._opened = opened
        self._sent = sent
        self._deadline = threading.Timer(max(0.001, ends - time.monotonic()), self.shut)
        self._deadline.daemon = True
        self._deadline.start()
        self._ends = ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; whoever waits for it gets NoAnswerError."""
        self._deadline.cancel()
        with contextlib.suppress(Exception):
            self._opened.shutdown()

    def receive(self) -> tuple[int, bytes] | None:
        """Return the next message, None when the other side has ended the stream.

        NoAnswerError when the time is over or the connection breaks.
        """
        import websocket

        while True:
            try:
                kind, payload = self._opened.recv_data()
            except (
                OSError,
                websocket.WebSocketException,
                AttributeError,
            ) as error:  # closed: there is no socket
                raise self.broken(error) from error
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return None
            if payload and payload[0] != _CLOSED:
                return payload[0], payload[1:]

    def send(self, channel: int, content: bytes) -> None:
        """Send bytes on one channel; NoAnswerError when the connection breaks."""
        import websocket

        try:
            self._opened.send_binary(bytes((channel,)) + content)
        except (OSError, websocket.WebSocketException, AttributeError) as error:
            raise self.broken(error) from error

    def shut(self) -> None:
        """End the stream from any thread. Not TLS' own shutdown: another thread reads."""
        opened = self._opened.sock
        if opened is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    def broken(self, error: Exception) -> RemoteError:
        """Return our error for a stream that ended without the end that its protocol has."""
        if time.monotonic() >= self._ends:
            return self._sent.failed(NoAnswerError, f"got no answer in {self._sent.timeout_seconds:.3g} s")
        return self._sent.failed(NoAnswerError, f"broke off: {error or type(error).__name__}")


def open_stream(
    connection: Connection,
    request: Request,
    parameters: Sequence[tuple[str, str]],
    *,
    protocols: Sequence[str],
    timeout_seconds: float,
    writes: bool,
    ends: float | None = None,
) -> tuple[ChannelStream, Sent]:
    """Ask for `request` with `parameters`, which may repeat a name, and return the stream that it becomes.

    `ends` (of `time.monotonic`) is given where the timeout has begun before.
    """
    import websocket

    ends = time.monotonic() + timeout_seconds if ends is None else ends
    url, headers, client = connection.addressed(request)
    sent = Sent(
        request=str(request), server=connection.open(), timeout_seconds=timeout_seconds, writes=writes
    )
    opened: Any = websocket.WebSocket(enable_multithread=True)
    stream = ChannelStream(opened, sent, ends=ends)
    shown = {
        name: value for name, value in headers.items() if name.lower() in {"authorization", "user-agent"}
    }
    is_asked = False
    try:
        plain = _connected(url, client, ends=ends)
        is_asked = True
        opened.connect(
            f"ws{url.removeprefix('http')}?{urlencode(parameters)}",
            header=shown,
            subprotocols=list(protocols),
            suppress_origin=True,
            redirect_limit=0,
            timeout=seconds_left(ends),
            socket=plain,
        )
    except websocket.WebSocketBadStatusException as error:
        stream.close()
        body, told = error.resp_body or b"", error.resp_headers or {}
        raise translate_status(error.status_code, told, body, sent) from error
    except (OSError, websocket.WebSocketException) as error:
        stream.close()
        if opened.status not in {None, _SWITCHED}:  # a redirect, which is no bad status there
            led = {"Location": (opened.headers or {}).get("location", "")}
            raise translate_status(opened.status, led, b"", sent) from error
        raise (stream.broken(error) if is_asked else _not_sent(error, sent)) from error
    opened.settimeout(None)
    return stream, sent


def _connected(url: str, client: Any, *, ends: float) -> socket.socket:
    """Return a connection to the API server, with TLS where the URL says so; OSError when none is made by `ends`.

    The websocket package itself would begin a new time limit for each step and each address.
    """
    parts, configuration = urlsplit(url), client.configuration
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    plain = _plain_way(host, port, _proxy(url, configuration), configuration.proxy_headers or {}, ends=ends)
    plain.settimeout(seconds_left(ends))
    if parts.scheme != "https":
        return plain
    name = configuration.tls_server_name or host
    try:
        secured: socket.socket = client.tls_context.wrap_socket(plain, server_hostname=name)
    except OSError:
        plain.close()
        raise
    return secured


def _plain_way(
    host: str, port: int, proxy: SplitResult | None, headers: Mapping[str, str], *, ends: float
) -> socket.socket:
    if proxy is None:
        return open_tcp(host, port, ends=ends)
    plain = open_tcp(proxy.hostname or "", proxy.port or 80, ends=ends)
    try:
        _ask_proxy(plain, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", headers, ends=ends)
    except OSError:
        plain.close()
        raise
    return plain


def _proxy(url: str, configuration: Any) -> SplitResult | None:
    """Return the proxy that the connection's other requests take; OSError when no stream goes through it."""
    from kubernetes.client.rest import should_bypass_proxies

    if not configuration.proxy or should_bypass_proxies(url, no_proxy=configuration.no_proxy or ""):
        return None
    proxy = urlsplit(str(configuration.proxy))
    if proxy.scheme != "http":
        raise OSError(f"through a proxy of {proxy.scheme}:// no pod is reached, through one of http:// it is")
    return proxy


def _ask_proxy(plain: socket.socket, target: str, headers: Mapping[str, str], *, ends: float) -> None:
    """Ask the proxy for a way to `target`, with `headers` for it alone; OSError when it gives none by `ends`."""
    plain.settimeout(seconds_left(ends))
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    plain.sendall("\r\n".join((*lines, "", "")).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # one by one: what follows is the API server's
        if time.monotonic() >= ends:
            raise TimeoutError
        plain.settimeout(seconds_left(ends))
        byte = plain.recv(1)
        if not byte or len(head) > _LONGEST_HEAD:
            raise OSError("the proxy ends the connection")
        head += byte
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if status.split()[1:2] != ["200"]:
        raise OSError(f"the proxy says {status}")


def _not_sent(error: Exception, sent: Sent) -> RemoteError:
    if isinstance(error, TimeoutError):
        return sent.failed(UnreachableError, "was not sent: no connection in time")
    text = " ".join(str(error).split()) or type(error).__name__
    kind = TlsError if isinstance(error, ssl.SSLError) else UnreachableError
    return sent.failed(kind, f"was not sent: {text}")
