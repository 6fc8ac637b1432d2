"""What is wrong with a control plane, as findings; and the figures where nothing is."""

from collections.abc import Iterator, Sequence

from sretool.knowledge.control_plane import ControlPlane, Level, Pressure, ServerView, Use
from sretool.knowledge.control_plane_leases import lease_findings, lease_row
from sretool.knowledge.health_findings import CERTIFICATE_DAYS
from sretool.knowledge.words import listed, show_seconds
from sretool.model import Evidence, Finding, Known, Severity, Unknown

GET_SLOW_SECONDS = (
    1.0  # Kubernetes' own objective: 99 % of calls for one object within 1 s (sig-scalability SLOs)
)
FETCHED_A_SECOND = 20_000.0  # ours: objects that lists take out of etcd; a busy healthy cluster has a tenth
WATCHES = 20_000.0  # ours: of one resource; a node has a dozen
CERTIFICATE_URGENT_DAYS = 3.0
_LAST_DAYS = 2.0  # from here on in hours
_SHOWN = 5


def control_plane_findings(plane: ControlPlane) -> tuple[Finding, ...]:
    """Return the causes, what could not be seen, and a summary of what is well."""
    found = [
        *(finding for server in plane.servers for finding in _of_server(server, plane)),
        *lease_findings(plane),
        *_of_certificates(plane),
    ]
    if plane.unread_servers and not found:
        sentence = f"which other API servers there are could not be read: {plane.unread_servers}"
        found.append(Finding(severity=Severity.WARNING, sentence=sentence, blind=True))
    return (*found, *_summary(plane, is_well=not found))


# -- servers -----------------------------------------------------------------------------------------------


def _of_server(server: ServerView, plane: ControlPlane) -> Iterator[Finding]:
    url = server.url
    if server.state == "down":
        sentence = f"nothing listens at the API server {url}: {server.why}"
        yield Finding(severity=Severity.CRITICAL, verdict="api-down", subject=url, sentence=sentence)
    elif server.state == "unreachable" and plane.ready:
        # It may be well, at an address to which no way leads from here.
        sentence = f"the API server {url} registers itself and cannot be reached from here: {server.why}"
        yield Finding(
            severity=Severity.WARNING, verdict="cannot-tell", subject=url, sentence=sentence, blind=True
        )
    elif server.state == "unreachable":
        sentence = f"no connection to the API server {url} comes about: {server.why}"
        yield Finding(severity=Severity.CRITICAL, verdict="api-down", subject=url, sentence=sentence)
    elif server.state == "silent":
        sentence = f"the API server {url} listens and gives no usable answer: {server.why}"
        yield Finding(severity=Severity.CRITICAL, verdict="api-silent", subject=url, sentence=sentence)
    elif server.state == "refused":
        sentence = f"the API server {url} does not let us look: {server.why}"
        yield Finding(
            severity=Severity.WARNING, verdict="cannot-tell", subject=url, sentence=sentence, blind=True
        )
    else:
        yield from _of_answering(server)


def _of_answering(server: ServerView) -> Iterator[Finding]:
    url = server.url
    if server.state == "not-ready":
        failing = listed(server.failing) or "no check is named"
        yield Finding(
            severity=Severity.CRITICAL,
            verdict="api-not-ready",
            subject=url,
            sentence=f"the API server {url} is not ready: {failing} fails",
            evidence=(Evidence(what=f"/readyz of {url}", value=failing, source="GET /readyz?verbose"),),
        )
    if isinstance(server.get_seconds, Unknown) and server.refuses_reads:
        sentence = f"how fast {url} answers a small read was not measured: {server.get_seconds.reason}"
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
    elif isinstance(server.get_seconds, Unknown):
        sentence = f"a small read through {url} got no answer: {server.get_seconds.reason}"
        yield Finding(severity=Severity.CRITICAL, verdict="api-slow", subject=url, sentence=sentence)
    elif server.get_seconds > GET_SLOW_SECONDS:
        sentence = f"the API server {url} takes {show_seconds(server.get_seconds)} for a small read"
        yield Finding(
            severity=Severity.WARNING,
            verdict="api-slow",
            subject=url,
            sentence=sentence,
            evidence=(_get_row(server),),
        )
    if isinstance(server.pressure, Unknown):
        sentence = f"what presses on {url} could not be read: {server.pressure.reason}"
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
    else:
        yield from _of_pressure(url, server.pressure)


def _of_pressure(url: str, pressure: Pressure) -> Iterator[Finding]:
    full = [level for level in pressure.levels if level.refused or _is_full(level)]
    if full:
        yield Finding(
            severity=Severity.WARNING,
            verdict="api-overloaded",
            subject=url,
            sentence=f"the API server {url} holds requests back at priority {listed([one.name for one in full])}: "
            f"most come from {_uses(pressure.clients[:3], '/s') or 'nobody that it names'}",
            evidence=tuple(_level_row(level, url) for level in full),
        )
    for verdict, uses, most, what in (
        (
            "list-pressure",
            pressure.fetched,
            FETCHED_A_SECOND,
            "objects a second are taken out of etcd by lists of",
        ),
        ("watch-pressure", pressure.watches, WATCHES, "watches are open on"),
    ):
        if uses and uses[0].amount > most:
            clients = _uses(pressure.clients[:3], "/s") or "nobody that it names"
            yield Finding(
                severity=Severity.WARNING,
                verdict=verdict,
                subject=url,
                sentence=f"{uses[0].amount:.0f} {what} {uses[0].name} through {url}; "
                f"most requests come from {clients}",
                evidence=_rows(pressure, url),
            )


def _is_full(level: Level) -> bool:
    return level.waiting > 0 and level.executing >= level.limit > 0


# -- certificates ------------------------------------------------------------------------------------------


def _of_certificates(plane: ControlPlane) -> Iterator[Finding]:
    shown = [
        (f"the certificate that {server.url} shows", server.certificate_days) for server in plane.servers
    ]
    for server in plane.ready:
        if isinstance(server.certificate_days, Unknown) and server.url.startswith("https"):
            sentence = (
                f"when the certificate of {server.url} ends is not known: {server.certificate_days.reason}"
            )
            yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
    for whose, days in [("our client certificate", plane.client_certificate_days), *shown]:
        if isinstance(days, Unknown) or days >= CERTIFICATE_DAYS:
            continue
        left = f"{days:.0f} days" if days >= _LAST_DAYS else f"{24 * days:.0f} hours"
        yield Finding(
            severity=Severity.CRITICAL if days < CERTIFICATE_URGENT_DAYS else Severity.WARNING,
            verdict="certificate-expiring",
            subject=whose,
            sentence=f"{whose} {'has expired' if days <= 0 else f'expires in {left}'}",
            evidence=(
                Evidence(
                    what="days left", value=f"{days:.1f}", threshold=f"{CERTIFICATE_DAYS:g}", source="TLS"
                ),
            ),
        )


# -- figures -----------------------------------------------------------------------------------------------


def _summary(plane: ControlPlane, *, is_well: bool) -> Iterator[Finding]:
    leases = () if isinstance(plane.leases, Unknown) else plane.leases
    rows = [
        *(_get_row(server) for server in plane.ready),
        *(lease_row(lease) for lease in leases),
        *(_certificate_row(server) for server in plane.servers),
        Evidence(
            what="our client certificate", value=_days(plane.client_certificate_days), source="kubeconfig"
        ),
    ]
    for server in plane.servers:
        if not isinstance(server.pressure, Unknown):
            rows += _rows(server.pressure, server.url)
    count = f"{len(plane.ready)} of {len(plane.servers)} API servers ready"
    renewed = len(leases) - len(plane.stale) - len(plane.undated)
    holders = f"{renewed} of {len(leases)} control-plane leases renewed"
    yield Finding(
        severity=Severity.OK if is_well else Severity.NOTE,
        verdict="control-plane-well" if is_well else "",
        sentence=f"{count}, {holders}",
        evidence=tuple(rows),
    )


def _get_row(server: ServerView) -> Evidence:
    slow = isinstance(server.get_seconds, Unknown)
    return Evidence(
        what=f"small read through {server.url}",
        value="no answer" if isinstance(server.get_seconds, Unknown) else show_seconds(server.get_seconds),
        threshold="" if slow else f"{GET_SLOW_SECONDS:g} s",
        source="GET namespaces/kube-system, median",
    )


def _certificate_row(server: ServerView) -> Evidence:
    return Evidence(what=f"certificate of {server.url}", value=_days(server.certificate_days), source="TLS")


def _days(days: Known[float]) -> str:
    return f"unknown: {days.reason}" if isinstance(days, Unknown) else f"{days:.0f} days left"


def _level_row(level: Level, url: str) -> Evidence:
    return Evidence(
        what=f"priority {level.name} of {url}",
        value=f"{level.executing:.0f} seats filled, {level.waiting:.0f} waiting, {level.refused:.0f} refused",
        threshold=f"{level.limit:.0f} seats",
        source="apiserver_flowcontrol_*",
    )


def _rows(pressure: Pressure, url: str) -> tuple[Evidence, ...]:
    inflight = f"{pressure.reading:.0f} reading, {pressure.mutating:.0f} mutating"
    rows = [
        Evidence(what=f"in flight at {url}", value=inflight, source="apiserver_current_inflight_requests")
    ]
    for what, uses, unit, source in (
        (
            "objects listed from storage",
            pressure.fetched,
            "/s",
            "apiserver_storage_list_fetched_objects_total",
        ),
        ("lists from storage", pressure.lists, "/s", "apiserver_storage_list_total"),
        ("watches", pressure.watches, "", "apiserver_longrunning_requests"),
        (
            "requests by flow schema",
            pressure.clients,
            "/s",
            "apiserver_flowcontrol_dispatched_requests_total",
        ),
        ("requests shed or timed out", pressure.failed, "/s", "apiserver_request_total"),
    ):
        if uses:
            rows.append(Evidence(what=what, value=_uses(uses[:_SHOWN], unit), source=source))
    return tuple(rows)


def _uses(uses: Sequence[Use], unit: str) -> str:
    return ", ".join(f"{use.name} {use.amount:.3g}{unit}" for use in uses)
