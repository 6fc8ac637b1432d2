"""How urllib3 comes to a connection here: by one deadline, the resolver and all addresses of a name included."""

import socket
import time

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


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}
"""By scheme, for `PoolManager.pool_classes_by_scheme`."""
