"""How far one gets with a member before any request: TCP, TLS, the first bytes of HTTP/2."""

import enum
import socket
import ssl
import time

import msgspec

from sretool.clients.etcd.endpoint import Endpoint
from sretool.clients.tcp import open_tcp, seconds_left

# The client's opening of HTTP/2 and an empty SETTINGS frame: etcd answers at once, or its TLS refuses us now.
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HTTP1 = b"HTTP/1."  # an HTTP/2 server opens with a SETTINGS frame
_ANSWER_BYTES = 12  # a SETTINGS frame's head, or `HTTP/1.0 200`


class Reached(enum.StrEnum):
    """The furthest point that was reached."""

    NOWHERE = "nowhere"  # the name does not resolve, no route, or no answer to TCP
    REFUSED = "refused"  # TCP refused: the host is there, the port is not
    ACCEPTED = "accepted"  # TCP accepted, and nothing behind it said a word
    CLOSED = "closed"  # TCP accepted, then closed without a word
    BROKEN = "broken"  # TLS failed: `error` says how
    ANSWERS = "answers"  # a program answers
    FOREIGN = "foreign"  # a program answers that does not speak HTTP/2: no etcd client port


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `certificate` is the server's (DER), empty when it showed none; `answer` its first bytes."""

    reached: Reached
    reason: str
    error: ssl.SSLError | None = None
    certificate: bytes = b""
    answer: bytes = b""


def trusting_context() -> ssl.SSLContext:
    """Return a TLS context that accepts any server: for looking at it, never for talking to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shake_hands(
    endpoint: Endpoint,
    context: ssl.SSLContext | None,
    *,
    timeout_seconds: float,
    opening: bytes = _HTTP2_OPENING,
) -> Handshake:
    """Connect to `endpoint` (in TLS when there is a `context`), send `opening` and end, within `timeout_seconds`.

    Nothing is sent after the handshake where that is empty: what we send may make the server's kernel reset the
    connection before its TLS alert was read.
    """
    ends = time.monotonic() + timeout_seconds
    try:
        plain = open_tcp(endpoint.host, endpoint.port, ends=ends)
    except ConnectionRefusedError:
        return Handshake(reached=Reached.REFUSED, reason=f"TCP to {endpoint.target} is refused")
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        return Handshake(reached=Reached.NOWHERE, reason=f"no TCP connection to {endpoint.target}: {why}")
    with plain:
        return _speak(plain, endpoint, context, opening=opening, ends=ends)


def _speak(
    plain: socket.socket, endpoint: Endpoint, context: ssl.SSLContext | None, *, opening: bytes, ends: float
) -> Handshake:
    certificate = b""
    try:
        plain.settimeout(seconds_left(ends))
        if context is None:
            answer = _exchange(plain, opening=opening, ends=ends)
        else:
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(plain, server_hostname=endpoint.certificate_name) as wrapped:
                certificate = wrapped.getpeercert(binary_form=True) or b""
                answer = _exchange(wrapped, opening=opening, ends=ends)
    except TimeoutError:
        reason = f"TCP to {endpoint.target} is accepted, but nothing behind it answers"
        return Handshake(reached=Reached.ACCEPTED, reason=reason, certificate=certificate)
    except ssl.SSLEOFError:
        answer = b""
    except ssl.SSLError as error:
        reason = f"TLS with {endpoint.target} fails: {error.reason or error}"
        return Handshake(reached=Reached.BROKEN, reason=reason, error=error, certificate=certificate)
    except OSError:  # reset
        answer = b""
    if not answer:
        reason = f"TCP to {endpoint.target} is accepted and closed again"
        return Handshake(reached=Reached.CLOSED, reason=reason, certificate=certificate)
    if answer.startswith(_HTTP1):
        reason = f"what answers at {endpoint.target} is no etcd client port: it speaks HTTP/1 only"
        return Handshake(reached=Reached.FOREIGN, reason=reason, certificate=certificate, answer=answer)
    reason = f"{endpoint.target} answers the handshake"
    return Handshake(reached=Reached.ANSWERS, reason=reason, certificate=certificate, answer=answer)


def _exchange(connected: socket.socket, *, opening: bytes, ends: float) -> bytes:
    connected.settimeout(seconds_left(ends))
    connected.sendall(opening)
    connected.settimeout(seconds_left(ends))
    return connected.recv(_ANSWER_BYTES)
