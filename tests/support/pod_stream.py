"""A server that opens a WebSocket, as the API server does into a pod, and then does as it is told; and a proxy."""

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
STDOUT, STDERR, STATUS = 1, 2, 3
SUCCESS = b'{"status":"Success"}'

Script = Callable[[socket.socket], None]


def frame(channel: int, content: bytes, *, first: bool = True, last: bool = True) -> bytes:
    """Return one frame of a message; what follows the first of several has no channel."""
    payload = (bytes((channel,)) if first else b"") + content
    length = len(payload)
    size = bytes((length,)) if length < 126 else b"\x7e" + length.to_bytes(2) if length < 1 << 16 else b""
    opening = (0x80 if last else 0) | (2 if first else 0)
    return bytes((opening,)) + (size or b"\x7f" + length.to_bytes(8)) + payload


def open_websocket(connected: socket.socket, *, protocol: str = "v4.channel.k8s.io") -> None:
    """Read the client's opening and accept it."""
    head = read_head(connected)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
    connected.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n" % (accept, protocol.encode())
    )


def read_head(connected: socket.socket) -> bytes:
    """Read up to the empty line that ends a request's head."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connected.recv(1)
        if not byte:
            raise ConnectionError("no request")
        head += byte
    return head


@contextlib.contextmanager
def listening(script: Script) -> Iterator[int]:
    """Yield the port of a server that does `script` with every connection, then closes it."""

    def run(connected: socket.socket) -> None:
        with connected, contextlib.suppress(OSError):
            script(connected)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listener.accept()
                threading.Thread(target=run, args=(connected,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def pipe(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until either side ends."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join(5)
