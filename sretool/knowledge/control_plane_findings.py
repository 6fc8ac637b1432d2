"""What is wrong with a control plane, as findings; and the figures where nothing is."""

from collections.abc import Iterator, Sequence

from sretool.knowledge.control_plane import ControlPlane, Level, Pressure, ServerView, Use
from sretool.knowledge.guard_leases import API_SERVER, API_SERVER_STALE_SECONDS, STALE_SECONDS
from sretool.knowledge.health_findings import CERTIFICATE_DAYS
from sretool.knowledge.words import listed, show_seconds
from sretool.model import ControlPlaneLease, Evidence, Finding, Severity, Unknown

GET_SLOW_SECONDS = (
    1.0  # Kubernetes' own objective: 99 % of calls for one object within 1 s (sig-scalability SLOs)
)
FETCHED_A_SECOND = 20_000.0  # ours: objects that lists take out of etcd; a busy healthy cluster has a tenth
WATCHES = 20_000.0  # ours: of one resource; a node has a dozen
CERTIFICATE_URGENT_DAYS = 3.0
_SHOWN = 5


def control_plane_findings(plane: ControlPlane) -> tuple[Finding, ...]:
    """Return the causes, what could not be seen, and a summary of what is well."""
    found = [
        *(finding for server in plane.servers for finding in _of_server(server)),
        *_of_leases(plane),
        *_of_certificates(plane),
    ]
    if plane.unread_servers and not found:
        sentence = f"which other API servers there are could not be read: {plane.unread_servers}"
        found.append(Finding(severity=Severity.WARNING, sentence=sentence, blind=True))
    return (*found, *_summary(plane, is_well=not found))


# -- servers -----------------------------------------------------------------------------------------------


def _of_server(server: ServerView) -> Iterator[Finding]:
    url = server.url
    if server.state == "down":
        sentence = f"nothing listens at the API server {url}: {server.why}"
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
    if isinstance(server.get_seconds, Unknown):
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


# -- leases and certificates -------------------------------------------------------------------------------


def _of_leases(plane: ControlPlane) -> Iterator[Finding]:
    if isinstance(plane.leases, Unknown):
        sentence = f"the control plane's leases could not be read in etcd: {plane.leases.reason}"
        yield Finding(severity=Severity.WARNING, sentence=sentence, blind=True)
        return
    # Without an API server, or with etcd full, nobody can renew: that is no second cause.
    above = "" if plane.ready else next((f"api-{server.state}" for server in plane.servers), "")
    above = "nospace" if plane.nospace is True else above
    for lease in plane.stale:
        is_server = lease.name.startswith(API_SERVER)
        yield Finding(
            severity=Severity.WARNING if is_server or above else Severity.CRITICAL,
            verdict="api-server-gone" if is_server else "lease-stale",
            subject=lease.name,
            follows_from=above,
            sentence=f"{lease.name} does not renew its lease: "
            + ("that API server has ended or stands still" if is_server else "what it controls stands still"),
            evidence=(_lease_row(lease),),
        )


def _of_certificates(plane: ControlPlane) -> Iterator[Finding]:
    shown = [
        (f"the certificate that {server.url} shows", server.certificate_days) for server in plane.servers
    ]
    for whose, days in [("our client certificate", plane.client_certificate_days), *shown]:
        if isinstance(days, Unknown) or days >= CERTIFICATE_DAYS:
            continue
        yield Finding(
            severity=Severity.CRITICAL if days < CERTIFICATE_URGENT_DAYS else Severity.WARNING,
            verdict="certificate-expiring",
            subject=whose,
            sentence=f"{whose} {'has expired' if days <= 0 else f'expires in {days:.0f} days'}",
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
        *(_lease_row(lease) for lease in leases),
        *(_certificate_row(server) for server in plane.servers),
        Evidence(
            what="our client certificate", value=_days(plane.client_certificate_days), source="kubeconfig"
        ),
    ]
    for server in plane.servers:
        if not isinstance(server.pressure, Unknown):
            rows += _rows(server.pressure, server.url)
    count = f"{len(plane.ready)} of {len(plane.servers)} API servers ready"
    holders = f"{len(leases) - len(plane.stale)} of {len(leases)} control-plane leases renewed"
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


def _lease_row(lease: ControlPlaneLease) -> Evidence:
    limit = API_SERVER_STALE_SECONDS if lease.name.startswith(API_SERVER) else STALE_SECONDS
    age = (
        "age unknown" if isinstance(lease.age_seconds, Unknown) else f"{show_seconds(lease.age_seconds)} old"
    )
    return Evidence(
        what=f"lease {lease.name}",
        value=f"{age}, held by {lease.holder or 'nobody'}",
        threshold=f"{limit:g} s",
        source="etcd",
    )


def _certificate_row(server: ServerView) -> Evidence:
    return Evidence(what=f"certificate of {server.url}", value=_days(server.certificate_days), source="TLS")


def _days(days: object) -> str:
    return f"{days:.0f} days left" if isinstance(days, float) else "unknown"


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
