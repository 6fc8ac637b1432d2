"""Tries each path to a cluster, one after the other, so that the first broken link is named."""

import contextlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from sretool.cli.doctor_etcd import Answer, ask_member, check_metrics, compare_members, silent
from sretool.clients.etcd import Endpoint, TlsFiles, connect
from sretool.clients.etcd.certificates import days_until_expiry
from sretool.clients.etcd.handshake import Reached, shake_hands
from sretool.clients.etcd.reads import EtcdReads
from sretool.clients.etcd.tls_probe import TlsFault, find_tls_fault
from sretool.clients.metrics import read_metrics
from sretool.clock import SystemClock
from sretool.cluster import ClusterEntry, InventoryMember
from sretool.cluster.connections import endpoint_of, tls_files_of
from sretool.cluster.disks import read_disk
from sretool.cluster.etcd_pods import POD_PATIENCE, EtcdPod
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.errors import RemoteError, UsageError
from sretool.folders import state_folder
from sretool.knowledge.health_findings import CERTIFICATE_DAYS
from sretool.knowledge.words import show_bytes
from sretool.model import EndpointStatus, Known, Unknown
from sretool.model.checks import PathCheck, failed, missing, passed, warned

SECONDS = 2.0
_EXEC = "it needs the right to exec in that pod: sretool cluster role RUNBOOK shows it"
_NO_METRICS = "without metrics there is no latency window and no defragmentation"


def examine(entry: ClusterEntry) -> list[PathCheck]:
    """Return what each path to `entry` gives; members are asked side by side."""
    access = entry.etcd
    tls = tls_files_of(access)
    api = KubernetesConnection(entry.kubernetes) if entry.kubernetes else None
    try:
        with ThreadPoolExecutor(max_workers=len(access.members)) as pool:
            answers = list(pool.map(lambda member: _any_member(member, tls, api), access.members))
    finally:
        if api is not None:
            api.close()
    checks = [check for _, checks in answers for check in checks]
    checks += compare_members([told for told, _ in answers])
    if entry.kubernetes is not None:
        from sretool.cli.doctor_kubernetes import examine_kubernetes, rights_of_runbooks

        books, broken = rights_of_runbooks()
        checks += examine_kubernetes(entry.kubernetes, books) + broken
    return [*checks, _state_folder()]


def _any_member(member: InventoryMember, tls: TlsFiles | None, api: KubernetesConnection | None) -> Answer:
    if member.pod is None or api is None:
        return _member(member, tls)
    return _in_pod(member, EtcdPod(member, member.pod, api))


def _in_pod(member: InventoryMember, pod: EtcdPod) -> Answer:
    where = f"{member.name} ({member.client})"
    seconds = SECONDS * POD_PATIENCE
    told, checks = ask_member(
        where, member, pod.reads(), path="pod exec", then=_EXEC, timeout_seconds=seconds
    )
    try:
        page = pod.scrape(timeout_seconds=seconds)
    except RemoteError as error:
        checks.append(failed(where, "port-forward", error.message, error.then or _NO_METRICS))
    else:
        checks.append(check_metrics(where, "port-forward", member, page, told.status))
    return told, [*checks, _disk(where, member)]


def _member(member: InventoryMember, tls: TlsFiles | None) -> Answer:
    where = f"{member.name} ({member.client})"
    told = silent(member)
    try:
        endpoint = endpoint_of(member)
    except UsageError as error:
        return told, [failed(where, "address", error.message, error.then)]
    seen = shake_hands(endpoint, None, timeout_seconds=SECONDS)
    if seen.reached in (Reached.REFUSED, Reached.NOWHERE):
        then = "see whether etcd runs there, then firewalls and the address in the cluster file"
        checks = [failed(where, "TCP", seen.reason, then)]
    elif seen.reached is Reached.ACCEPTED:
        then = "the process is stopped, or its machine hangs: look at it there"
        checks = [failed(where, "TCP", seen.reason, then)]
    else:
        told, answered = _etcd(where, member, endpoint, tls)
        checks = [passed(where, "TCP", "accepted"), *answered]
    return told, [*checks, _metrics(where, member, tls, told.status), _disk(where, member)]


def _etcd(where: str, member: InventoryMember, endpoint: Endpoint, tls: TlsFiles | None) -> Answer:
    fault = find_tls_fault(endpoint, tls, timeout_seconds=SECONDS)
    checks = list(_tls(where, endpoint, tls, fault))
    if fault:
        return silent(member), checks
    connection = connect(endpoint, tls)
    try:
        told, answered = ask_member(where, member, EtcdReads(connection), timeout_seconds=SECONDS)
    finally:
        connection.close()
    return told, checks + answered


def _tls(where: str, endpoint: Endpoint, tls: TlsFiles | None, fault: TlsFault | None) -> Iterator[PathCheck]:
    if fault:
        yield failed(where, "TLS", fault.cause, fault.then)
    elif endpoint.is_tls:
        yield passed(where, "TLS", "both certificates are accepted")
    if endpoint.is_tls and tls is not None:
        days = days_until_expiry(endpoint, tls, now=SystemClock().now(), timeout_seconds=SECONDS)
        yield _days(where, "our cert", days.client)
        yield _days(where, "server's cert", days.server)


def _days(where: str, path: str, days: Known[float]) -> PathCheck:
    if isinstance(days, Unknown):
        return missing(where, path, days.reason, "")
    if days <= 0:
        return failed(where, path, f"expired {-days:.0f} days ago", "issue a new one")
    if days < CERTIFICATE_DAYS:
        return warned(where, path, f"expires in {days:.1f} days", "renew it")
    return passed(where, path, f"valid for {days:.0f} days")


def _metrics(
    where: str, member: InventoryMember, tls: TlsFiles | None, status: Known[EndpointStatus]
) -> PathCheck:
    try:
        page = read_metrics(member.metrics_url, tls, timeout_seconds=SECONDS)
    except (RemoteError, UsageError) as error:
        return failed(where, "metrics", error.message, error.then or _NO_METRICS)
    return check_metrics(where, "metrics", member, page, status)


def _disk(where: str, member: InventoryMember) -> PathCheck:
    then = "without it a defragmentation is refused unattended; at a terminal: --accept disk-free"
    if not member.data_dir:
        found = "no data_dir in the cluster file: free space on the member's disk cannot be read"
        return missing(where, "disk", found, then)
    space = read_disk(member)
    if isinstance(space, Unknown):
        return failed(where, "disk", space.reason, then)
    return passed(where, "disk", f"{show_bytes(space.free_bytes)} free at {member.data_dir}")


def _state_folder() -> PathCheck:
    folder = state_folder()
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink()
        then = "free space there, or point XDG_STATE_HOME elsewhere: without a journal nothing is changed"
        return failed("this machine", "state folder", f"{folder}: {error.strerror}", then)
    return passed("this machine", "state folder", f"{folder} can be written")
