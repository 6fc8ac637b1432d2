"""A pod's port as a socket of this process, through the API server."""

import contextlib
import socket
import threading

from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.exec import Container
from sretool.clients.kubernetes.request import Request
from sretool.clients.kubernetes.websocket_stream import ChannelStream, open_stream
from sretool.errors import RemoteError

_PROTOCOL = "v4.channel.k8s.io"
_CONTENT, _ERROR = 0, 1
_PORT_BYTES = 2  # each channel begins with the port's number
_CHUNK_BYTES = 1 << 16


def open_forward(
    connection: Connection, pod: Container, port: int, *, timeout_seconds: float, ends: float
) -> socket.socket:
    """Return a socket whose other end is `port` of the pod, until `ends` (of `time.monotonic`).

    That is the end of `timeout_seconds`, which the errors tell.
    RemoteError when the API server does not forward. What the pod's side then says against it, such as a port on
    which nobody listens, ends the socket without a byte.
    """
    stream, _ = open_stream(
        connection,
        Request(method="GET", path=pod.path("portforward")),
        [("ports", str(port))],
        protocols=(_PROTOCOL,),
        timeout_seconds=timeout_seconds,
        writes=False,
        ends=ends,
    )
    ours, theirs = socket.socketpair()
    for target in (_from_pod, _to_pod):
        threading.Thread(target=target, args=(stream, theirs), name="port-forward", daemon=True).start()
    return ours


def _from_pod(stream: ChannelStream, theirs: socket.socket) -> None:
    """Copy what the pod sends until it ends; then nobody sends to it either."""
    begun: set[int] = set()
    with stream, theirs, contextlib.ExitStack() as last, contextlib.suppress(RemoteError, OSError):
        last.callback(_end, theirs)  # however it ends: closing alone wakes nobody who waits for it
        while (message := stream.receive()) is not None:
            channel, content = message
            if channel not in begun:
                begun.add(channel)
                content = content[_PORT_BYTES:]
            if channel == _ERROR and content:
                break
            if channel == _CONTENT and content:
                theirs.sendall(content)


def _end(theirs: socket.socket) -> None:
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)


def _to_pod(stream: ChannelStream, theirs: socket.socket) -> None:
    with contextlib.suppress(RemoteError, OSError):
        while content := theirs.recv(_CHUNK_BYTES):
            stream.send(_CONTENT, content)
    stream.shut()
