"""Why a member does not answer: asked of its port and of its metrics listener, which may still talk."""

import time

from sretool.clients.etcd.endpoint import Endpoint, TlsFiles
from sretool.clients.etcd.handshake import Reached, shake_hands, trusting_context
from sretool.clients.etcd.tls_probe import find_foreigner, find_tls_fault
from sretool.clients.metrics import read_metrics
from sretool.clients.tcp import seconds_left
from sretool.errors import RemoteError, UsageError
from sretool.knowledge.metric_names import DEFRAG_INFLIGHT
from sretool.model import MetricsPage, Silence, Unknown

_HANDSHAKE_SHARE = 0.4
_SEE_PORT = "compare `client` in the cluster file with etcd's --listen-client-urls"


def find_silence(
    endpoint: Endpoint, tls: TlsFiles | None, metrics_url: str, timeout_seconds: float
) -> tuple[Silence, str]:
    """Return why `endpoint` is silent, and the evidence as a clause, within `timeout_seconds`.

    The metrics listener answers while a member defragments, and no member that runs leaves a TLS or HTTP/2
    handshake unanswered: where both are silent and the kernel still accepts TCP, the process is stopped.
    `metrics_url` may be empty.
    """
    ends = time.monotonic() + timeout_seconds
    context = trusting_context() if endpoint.is_tls else None
    seen = shake_hands(endpoint, context, timeout_seconds=timeout_seconds * _HANDSHAKE_SHARE)
    if seen.reached is Reached.REFUSED:
        return Silence.DEAD, seen.reason
    if seen.reached is Reached.NOWHERE:
        return Silence.UNREACHABLE, seen.reason
    if seen.reached is not Reached.ACCEPTED:
        wrong_way = _find_wrong_way(endpoint, tls, timeout_seconds=seconds_left(ends) / 2)
        if wrong_way:
            return wrong_way
    answers = seen.reached in {Reached.ANSWERS, Reached.BROKEN}
    port = f"{endpoint.target} answers the handshake" if answers else seen.reason
    page = _metrics(metrics_url, tls, timeout_seconds=seconds_left(ends))
    if isinstance(page, Unknown):
        if seen.reached is Reached.CLOSED:
            # A server that is dying closes what it had accepted: is it gone by now?
            again = shake_hands(endpoint, None, timeout_seconds=seconds_left(ends))
            if again.reached is Reached.REFUSED:
                return Silence.DEAD, again.reason
        kind = {Reached.ACCEPTED: Silence.FROZEN, Reached.CLOSED: Silence.UNREACHABLE}.get(seen.reached)
        return kind or Silence.SLOW, f"{port}; {page.reason}"
    inflight = page.sum(DEFRAG_INFLIGHT)
    if not isinstance(inflight, Unknown) and inflight > 0:
        return Silence.DEFRAGMENTING, f"its metrics say {DEFRAG_INFLIGHT} {inflight:g}"
    return Silence.SLOW, f"{port} and its metrics are served"


def _find_wrong_way(
    endpoint: Endpoint, tls: TlsFiles | None, *, timeout_seconds: float
) -> tuple[Silence, str] | None:
    """Return what keeps us from the member where something talks: TLS, or that it is another port."""
    ends = time.monotonic() + timeout_seconds
    fault = find_tls_fault(endpoint, tls, timeout_seconds=timeout_seconds)
    if fault:
        return Silence.TLS, fault.cause
    foreign = find_foreigner(endpoint, tls, timeout_seconds=seconds_left(ends))
    return (Silence.UNREACHABLE, f"{foreign}; {_SEE_PORT}") if foreign else None


def _metrics(url: str, tls: TlsFiles | None, *, timeout_seconds: float) -> MetricsPage | Unknown:
    if not url:
        return Unknown("its metrics URL is not known")
    try:
        return read_metrics(url, tls, timeout_seconds=timeout_seconds)
    except (RemoteError, UsageError) as error:
        return Unknown(error.message)
