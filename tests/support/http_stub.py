"""A small HTTP server that answers as it is told to, and keeps what it was asked: for checks of the wire."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from sretool.lab.certificates import Pair


class Asked(msgspec.Struct, frozen=True):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class Reply(msgspec.Struct, frozen=True):
    """What is answered: `after_seconds` before it, cut after `cut_after` bytes of the body (-1: whole)."""

    status: int = 200
    body: Any = {}
    headers: dict[str, str] = {}
    after_seconds: float = 0.0
    cut_after: int = -1
    drop: bool = False


class HttpStub:
    """Answers each request with what `reply` returns for it; `asked` is every request, in order."""

    def __init__(self, reply: Callable[[Asked], Reply]) -> None:
        self.asked: list[Asked] = []
        self.reply = reply

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        asked = Asked(handler.command, handler.path, dict(handler.headers), handler.rfile.read(length))
        self.asked.append(asked)
        reply = self.reply(asked)
        time.sleep(reply.after_seconds)
        if reply.drop:
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        with contextlib.suppress(OSError):
            handler.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | reply.headers
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            if reply.cut_after >= 0:
                handler.wfile.write(body[: reply.cut_after])
                handler.wfile.flush()
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
            else:
                handler.wfile.write(body)


@contextlib.contextmanager
def serve(
    reply: Callable[[Asked], Reply], *, pair: Pair | None = None, clients: Pair | None = None
) -> Iterator[tuple[HttpStub, str]]:
    """Yield the stub and its URL; with `pair`, its certificate and key, it speaks TLS: with `clients`, an
    authority, only to who shows a certificate of it."""
    stub = HttpStub(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                super().handle_one_request()

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            stub.serve(self)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - names that http.server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        if clients is not None:
            context.load_verify_locations(clients.cert)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub, f"{'https' if pair else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def write_kubeconfig(path: Path, server: str, *, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """Write a kubeconfig with one context, `there`, and return its path."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": {"server": server} | cluster}],
        "users": [{"name": "me", "user": user if user is not None else {"token": "abc"}}],
        "contexts": [{"name": "there", "context": {"cluster": "there", "user": "me"}}],
        "current-context": "there",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)
