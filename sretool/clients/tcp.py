"""Opens a TCP connection by a deadline that also holds for resolving the name."""

import socket
import threading
import time
from typing import Any, TypeAlias

_Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]  # as getaddrinfo gives it


class NotResolvedError(TimeoutError):
    """The resolver gave no answer in time: nothing is known of the host itself."""


def seconds_left(ends: float) -> float:
    """Return the seconds until `ends` (of `time.monotonic`), never less than a millisecond."""
    return max(0.001, ends - time.monotonic())


def open_tcp(host: str, port: int, *, ends: float) -> socket.socket:
    """Return a connection to the first address of `host` that accepts, before `ends`; else OSError."""
    error: OSError = NotResolvedError(f"the name {host} was not resolved in time")
    for family, kind, protocol, _, address in _addresses(host, port, ends=ends):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(seconds_left(ends))
            connected.connect(address)
        except OSError as failed:
            connected.close()
            error = failed
        else:
            return connected
    raise error


def _addresses(host: str, port: int, *, ends: float) -> list[_Address]:
    """Resolve on a thread of its own: the resolver knows no deadline."""
    found: list[_Address] = []
    failed: list[OSError] = []

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)
        except UnicodeError as error:  # a name that no resolver can be asked for: an empty or too long part
            failed.append(OSError(f"{host!r} is no host name: {error}"))

    thread = threading.Thread(target=resolve, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds_left(ends))
    if failed:
        raise failed[0]
    return list(found)
