"""Where one etcd member is reached, and with which certificates."""

import errno
import stat
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from sretool.errors import UsageError

DEFAULT_PORT = 2379


def read_pem(path: str) -> bytes:
    """Return a certificate or key file; OSError also for a pipe or device, which could keep us for ever."""
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return Path(path).read_bytes()


class Endpoint(msgspec.Struct, frozen=True):
    """One member's client address: `name` is what people call it, `url` is `https://HOST:PORT` or `http://...`.

    `server_name` is the name its certificate must carry where that is not the host in `url` (a tunnel).
    UsageError when the URL is not of that form.
    """

    name: str
    url: str
    server_name: str = ""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise self._unusable(str(error)) from error
        if parts.scheme not in {"https", "http"}:
            raise self._unusable("it must begin with https:// or http://")
        if not parts.hostname:
            raise self._unusable("it names no host")
        if parts.username or parts.path.strip("/") or parts.query or parts.fragment or port == 0:
            raise self._unusable("only scheme, host and port belong there")

    def _unusable(self, why: str) -> UsageError:
        return UsageError(
            f"the endpoint of {self.name or 'a member'} cannot be used: {self.url!r}: {why}",
            then="write it as https://HOST:2379",
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.url})" if self.name else self.url

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or DEFAULT_PORT

    @property
    def target(self) -> str:
        """What gRPC dials: HOST:PORT, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def certificate_name(self) -> str:
        """The name or address that the server's certificate must carry."""
        return self.server_name or self.host


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files: the CA that signs the servers' certificates, our certificate and its key.

    `cert` and `key` are both empty where the server asks for no client certificate.
    """

    ca: str
    cert: str = ""
    key: str = ""
