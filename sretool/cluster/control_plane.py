"""Reads the control plane: its API servers one by one, its leases in etcd, its certificates."""

import re
import statistics

import msgspec

from sretool.clients.kubernetes.errors import NobodyListensError
from sretool.clients.metrics import parse_metrics
from sretool.cluster.cluster import ClusterReader
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.state import read_leases
from sretool.errors import NoAnswerError, RejectedError, RemoteError, TlsError
from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.control_plane import (
    METRICS,
    ControlPlane,
    Pressure,
    Seen,
    ServerView,
    pressure_of,
)
from sretool.knowledge.control_plane_leases import date_by_window
from sretool.knowledge.kubernetes_paths import object_path
from sretool.model import Known, MetricsPage, Unknown, value_of

__all__ = ["ControlPlane", "read_control_plane"]

ANSWER_SECONDS = 3.0  # a healthy API server answers a small read in milliseconds
METRICS_SECONDS = 10.0
_GETS = 5
_SMALL = object_path("v1", "namespaces", "kube-system")
_ENDPOINTS = object_path("discovery.k8s.io/v1", "endpointslices", "kubernetes", namespace="default")
_FAILING = re.compile(r"\[-\]([\w./-]+) failed")
_NOT_READY = "check failed"  # the end of the API server's own answer; a proxy's no says something else
_HAS_ALWAYS = "apiserver_current_inflight_requests"


class _Port(msgspec.Struct, frozen=True):
    name: str | None = None
    port: int | None = None


class _Address(msgspec.Struct, frozen=True):
    addresses: tuple[str, ...] = ()


class _Slice(msgspec.Struct, frozen=True):
    """The EndpointSlice in which the API servers register themselves."""

    ports: tuple[_Port, ...] | None = None
    endpoints: tuple[_Address, ...] | None = None


def read_control_plane(read: ClusterReader, *, window: float) -> ControlPlane:
    """Return what is seen of the control plane: where the kubeconfig is no use, what etcd tells of it.

    Takes the window where a server answers; a silent one costs its deadline once, not a sum.
    """
    api, etcd = read.kubernetes, read.etcd
    try:
        own = api.open()
    except RemoteError as error:
        return _from_etcd_alone(read, error.message)
    others, unread = _other_servers(api, own)
    servers = {own: api} | {url: api.at(url) for url in others}
    began, before = etcd.now(), read_leases(etcd)
    views = api.side_by_side(servers.items(), lambda one: _view(read, one[1], one[0], window=window))
    days = api.certificate_days(now=etcd.utc_now())
    return ControlPlane(
        servers=tuple(views),
        unread_servers=unread,
        leases=date_by_window(before, read_leases(etcd), seconds=etcd.now() - began),
        client_certificate_days=days if isinstance(days, Unknown) else days.client,
        nospace=has_nospace(etcd.alarms()),
    )


def _from_etcd_alone(read: ClusterReader, why: str) -> ControlPlane:
    unasked = Unknown(why)
    server = ServerView(
        url="(of the kubeconfig)",
        state="refused",
        why=why,
        get_seconds=unasked,
        pressure=unasked,
        certificate_days=unasked,
    )
    return ControlPlane(
        servers=(server,),
        leases=read_leases(read.etcd),
        client_certificate_days=unasked,
        nospace=has_nospace(read.etcd.alarms()),
    )


def _other_servers(api: KubernetesReader, own: str) -> tuple[tuple[str, ...], str]:
    """Return the URLs of the other API servers, as they register themselves, and why they are not known."""
    try:
        found = msgspec.convert(api.find(_ENDPOINTS, timeout_seconds=ANSWER_SECONDS) or {}, _Slice)
    except RemoteError as error:
        return (), error.message
    except msgspec.ValidationError as error:
        return (), f"{own} answers not as an API server does: {error}"
    ports = [port.port for port in found.ports or () if port.name == "https" and port.port]
    addresses = [one for each in found.endpoints or () for one in each.addresses]
    urls = [f"https://{f'[{one}]' if ':' in one else one}:{ports[0]}" for one in addresses if ports]
    # Behind one address of ours there may be all of them, and each answers at its own as well.
    return tuple(url for url in urls if url != own), ""


def _view(read: ClusterReader, api: KubernetesReader, url: str, *, window: float) -> ServerView:
    state, why = _ask_ready(api)
    days = api.certificate_days(now=read.etcd.utc_now())
    answers = state in {"ready", "not-ready"}
    unasked = Unknown(why or "it does not answer")
    get_seconds, refuses = _time_gets(read, api) if answers else (unasked, False)
    return ServerView(
        url=url,
        state=state,
        why=why,
        failing=tuple(_FAILING.findall(why)),
        get_seconds=get_seconds,
        refuses_reads=refuses,
        pressure=_measure(read, api, window) if answers else unasked,
        certificate_days=days if isinstance(days, Unknown) else days.server,
    )


def _ask_ready(api: KubernetesReader) -> tuple[Seen, str]:
    try:
        api.ready(timeout_seconds=ANSWER_SECONDS)
    except TlsError as error:
        return "refused", error.message
    except NobodyListensError as error:
        return "down", error.message
    except NoAnswerError as error:
        return "silent", error.message
    except RejectedError as error:
        return "not-ready" if _NOT_READY in error.message else "refused", error.message
    except RemoteError as error:
        return "unreachable", error.message
    return "ready", ""


def _time_gets(read: ClusterReader, api: KubernetesReader) -> tuple[Known[float], bool]:
    """Return the median of a few small reads that go through to etcd, or why there is none, and whether that
    was a refusal."""
    taken = []
    for _ in range(_GETS):
        began = read.etcd.now()
        try:
            api.get(_SMALL, timeout_seconds=ANSWER_SECONDS)
        except RemoteError as error:
            return Unknown(error.message), isinstance(error, RejectedError)
        taken.append(read.etcd.now() - began)
    return statistics.median(taken), False


def _measure(read: ClusterReader, api: KubernetesReader, window: float) -> Known[Pressure]:
    began = read.etcd.now()
    first = _scrape(api)
    if isinstance(first, Unknown):
        return first
    read.wait(window)
    seconds = read.etcd.now() - began
    second = _scrape(api)
    if isinstance(second, Unknown):
        return second
    if value_of(first, "process_start_time_seconds") != value_of(second, "process_start_time_seconds"):
        return Unknown("it started anew meanwhile, or another server answered at the same address")
    return pressure_of(second, first, seconds=seconds)


def _scrape(api: KubernetesReader) -> Known[MetricsPage]:
    try:
        text = api.text("/metrics", timeout_seconds=METRICS_SECONDS)
    except RemoteError as error:
        return Unknown(error.message)
    page = parse_metrics("\n".join(line for line in text.split("\n") if line.startswith(METRICS)))
    started = value_of(page, "process_start_time_seconds")
    if isinstance(started, Unknown) or _HAS_ALWAYS not in page.samples:
        return Unknown("what it gives as /metrics is no API server's page")
    return page
