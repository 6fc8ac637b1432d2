"""urllib3's connections as they are here: made by one deadline, the resolver and all addresses of a name included,
and each answer read by one."""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from sretool.clients.tcp import open_tcp


def _connect(connection: HTTPConnection) -> socket.socket:
    """Return a new connection within the connection's own limit; urllib3's errors, as it raises them itself."""
    seconds = connection.timeout or 0.0
    try:
        # Its own name for the host: an absolute one keeps its last dot.
        opened = open_tcp(connection._dns_host, connection.port, ends=time.monotonic() + seconds)  # noqa: SLF001
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(
            connection, f"no connection to {connection.host} in {seconds:.2g} s"
        ) from error
    except OSError as error:
        raise NewConnectionError(connection, f"no connection comes about: {error}") from error
    for option in connection.socket_options or ():
        opened.setsockopt(*option)
    opened.settimeout(seconds)
    return opened


class _UntilDeadline(io.RawIOBase):
    """What comes from a socket, until its timeout is over as a whole: otherwise it begins anew with every byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)
        self._ends = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilDeadline(sock))


class _Http(HTTPConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _Https(HTTPSConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}
"""By scheme, for `PoolManager.pool_classes_by_scheme`."""
