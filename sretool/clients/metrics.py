"""Fetches and parses a page of Prometheus metrics: one deadline for the whole page, a limit on its size."""

import contextlib
import functools
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from sretool.clients.etcd.endpoint import TlsFiles
from sretool.clients.tcp import open_tcp, seconds_left
from sretool.errors import NoAnswerError, RejectedError, TlsError, UnreachableError, UsageError
from sretool.model import MetricsPage, Sample

_LIMIT_BYTES = 16 << 20  # etcd's page has 175 KB, an API server's 2 to 5 MB

_NAME = re.compile(r"\n([a-zA-Z_:][a-zA-Z0-9_:]*)")
_REST = re.compile(
    r"""(?:\{((?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+)\})?  # its labels; a value may hold braces
        [ \t]+(\S+)                           # the value, perhaps a timestamp and an exemplar after it
    """,
    re.VERBOSE,
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}


class Connect(Protocol):
    """Opens a way to a listener before `ends` (of `time.monotonic`); OSError or a RemoteError when it cannot."""

    def __call__(self, host: str, port: int, /, *, ends: float) -> socket.socket: ...


def read_metrics(
    url: str, tls: TlsFiles | None, *, timeout_seconds: float, connect: Connect = open_tcp
) -> MetricsPage:
    """Return the page at `url` (http or https), whole within `timeout_seconds`.

    UnreachableError or TlsError when no connection came about, NoAnswerError when the page did not come in
    time, RejectedError when it came with another status than 200, is too large, or is no metrics page.
    """
    body = _fetch(url, tls, timeout_seconds=timeout_seconds, connect=connect)
    page = parse_metrics(body.decode("utf-8", errors="replace"))
    if next(iter(page.samples), None) is None:
        raise RejectedError(f"{url} answered, but not with metrics", endpoint=url)
    return page


def parse_metrics(text: str) -> MetricsPage:
    """Return the samples in a page of Prometheus' text format; lines that are no samples are left out."""
    return MetricsPage(_Samples(text))


_NO_LABELS: Mapping[str, str] = {}


class _Samples(Mapping[str, tuple[Sample, ...]]):
    """The samples by the metric's name, each name looked for when it is asked for: a page has a thousand, a look
    needs thirty of them."""

    def __init__(self, text: str) -> None:
        self._text = f"\n{text}\n"
        self._parsed: dict[str, tuple[Sample, ...]] = {}

    def __getitem__(self, name: str) -> tuple[Sample, ...]:
        if name not in self._parsed:
            parsed = (_sample(line) for line in self._lines(name))
            self._parsed[name] = tuple(one for one in parsed if one is not None)
        if not self._parsed[name]:
            raise KeyError(name)
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(found[1] for found in _NAME.finditer(self._text))
        return (name for name in names if self.get(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _lines(self, name: str) -> Iterator[str]:
        """Yield what follows `name` in each line that begins with it: a name, or the beginning of a longer one."""
        wanted = f"\n{name}"
        at = self._text.find(wanted)
        while at >= 0:
            ends = self._text.find("\n", at + 1)
            yield self._text[at + len(wanted) : ends]
            at = self._text.find(wanted, ends)


def _sample(line: str) -> Sample | None:
    """Return what stands after the name in a line; None when that is no sample."""
    found = _REST.match(line)
    try:
        return Sample(_labels(found[1]) if found[1] else _NO_LABELS, float(found[2])) if found else None
    except ValueError:
        return None


@functools.lru_cache(maxsize=4096)
def _labels(text: str) -> Mapping[str, str]:
    """Parse one label set. Two readings of one page, or of two members', share most of them."""
    return {
        name: _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), value) if "\\" in value else value
        for name, value in _LABEL.findall(text)
    }


def _fetch(url: str, tls: TlsFiles | None, *, timeout_seconds: float, connect: Connect) -> bytes:
    parts = _parts(url)
    ends = time.monotonic() + timeout_seconds
    too_slow = NoAnswerError(f"{url}: no metrics in {timeout_seconds:.2g} s", endpoint=url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        plain = connect(parts.hostname or "", port, ends=ends)
    except TimeoutError as error:
        raise too_slow from error
    except OSError as error:
        raise UnreachableError(
            f"{url} cannot be reached: {error.strerror or error}",
            endpoint=url,
            then="see which metrics URL etcd was started with (--listen-metrics-urls)",
        ) from error
    # A socket's timeout begins anew with every byte; this one ends the page however it trickles in.
    sockets = [plain]
    deadline = threading.Timer(seconds_left(ends), _shut, [sockets])
    deadline.daemon = True
    deadline.start()
    with plain:
        try:
            return _exchange(sockets, parts, url, tls, ends=ends)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= ends or isinstance(error, TimeoutError):
                raise too_slow from error
            if isinstance(error, ssl.SSLError):
                raise TlsError(f"{url}: TLS fails: {error.reason or error}", endpoint=url) from error
            reason = str(error) or type(error).__name__
            raise NoAnswerError(f"{url} broke off: {reason}", endpoint=url) from error
        finally:
            deadline.cancel()


def _shut(sockets: list[socket.socket]) -> None:
    """End the last of them, which has taken the others' place. Not TLS' own shutdown: another thread reads."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sockets[-1], socket.SHUT_RDWR)


def _exchange(
    sockets: list[socket.socket], parts: SplitResult, url: str, tls: TlsFiles | None, *, ends: float
) -> bytes:
    sockets[0].settimeout(seconds_left(ends))
    host = parts.hostname or ""
    if parts.scheme == "https":
        sockets.append(_context(url, tls).wrap_socket(sockets[0], server_hostname=host))
    connection = http.client.HTTPConnection(host, parts.port)
    connection.sock = sockets[-1]
    path = parts.path if parts.path not in {"", "/"} else "/metrics"
    with contextlib.closing(connection):
        connection.request("GET", f"{path}?{parts.query}" if parts.query else path)
        with connection.getresponse() as answer:
            if answer.status != http.HTTPStatus.OK:
                raise RejectedError(f"{url} answered {answer.status} {answer.reason}", endpoint=url)
            body = answer.read(_LIMIT_BYTES + 1)
            missing = answer.length or 0
    # Neither is an error to http.client when a size is given: the page was cut short, by us or by them.
    if time.monotonic() >= ends:
        raise TimeoutError
    if missing and len(body) <= _LIMIT_BYTES:
        raise http.client.IncompleteRead(b"", missing)
    if len(body) > _LIMIT_BYTES:
        raise RejectedError(f"{url} has more than {_LIMIT_BYTES >> 20} MiB", endpoint=url)
    return body


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # a port that is no number, a bracket that is not closed
        pass
    raise UsageError(f"the metrics URL {url!r} cannot be used", then="write it as http://HOST:2381/metrics")


def _context(url: str, tls: TlsFiles | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca if tls and tls.ca else None)
        if tls and tls.cert:
            context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    except OSError as error:
        raise TlsError(f"{url}: its certificate files cannot be used: {error}", endpoint=url) from error
    return context
