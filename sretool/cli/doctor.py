"""Tries each path to a cluster, one after the other, so that the first broken link is named."""

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from sretool.clients.etcd import Endpoint, TlsFiles, connect
from sretool.clients.etcd.certificates import days_until_expiry
from sretool.clients.etcd.handshake import Reached, shake_hands
from sretool.clients.etcd.reads import EtcdReads
from sretool.clients.etcd.tls_probe import find_tls_fault
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
from sretool.model import Known, Unknown
from sretool.model.checks import PathCheck, failed, missing, passed, warned

SECONDS = 2.0
_NO_METRICS = "without metrics there is no latency window and no defragmentation"


def examine(entry: ClusterEntry) -> list[PathCheck]:
    """Return what each path to `entry` gives; members are asked side by side."""
    access = entry.etcd
    tls = tls_files_of(access)
    api = KubernetesConnection(entry.kubernetes) if entry.kubernetes else None
    try:
        with ThreadPoolExecutor(max_workers=len(access.members)) as pool:
            by_member = list(pool.map(lambda member: list(_any_member(member, tls, api)), access.members))
    finally:
        if api is not None:
            api.close()
    checks = [check for checks in by_member for check in checks]
    if entry.kubernetes is not None:
        from sretool.cli.doctor_kubernetes import examine_kubernetes, rights_of_runbooks

        books, broken = rights_of_runbooks()
        checks += examine_kubernetes(entry.kubernetes, books) + broken
    return [*checks, _state_folder()]


def _any_member(
    member: InventoryMember, tls: TlsFiles | None, api: KubernetesConnection | None
) -> Iterable[PathCheck]:
    if member.pod is None or api is None:
        return _member(member, tls)
    return _in_pod(member, EtcdPod(member, member.pod, api))


def _in_pod(member: InventoryMember, pod: EtcdPod) -> Iterator[PathCheck]:
    where = f"{member.name} ({member.client})"
    seconds = SECONDS * POD_PATIENCE
    try:
        status = pod.reads().status(timeout_seconds=seconds)
    except RemoteError as error:
        then = error.then or "it needs the right to exec in that pod: sretool cluster role RUNBOOK shows it"
        yield failed(where, "pod exec", error.message, then)
    else:
        yield passed(where, "pod exec", f"etcdctl: etcd {status.version}, {show_bytes(status.db_size_bytes)}")
    try:
        page = pod.scrape(timeout_seconds=seconds)
    except RemoteError as error:
        yield failed(where, "port-forward", error.message, error.then or _NO_METRICS)
    else:
        yield passed(where, "port-forward", f"{len(page.samples)} metrics at {member.metrics_url}")
    yield _disk(where, member)


def _member(member: InventoryMember, tls: TlsFiles | None) -> Iterable[PathCheck]:
    where = f"{member.name} ({member.client})"
    try:
        endpoint = endpoint_of(member)
    except UsageError as error:
        yield failed(where, "address", error.message, error.then)
        return
    seen = shake_hands(endpoint, None, timeout_seconds=SECONDS)
    if seen.reached in (Reached.REFUSED, Reached.NOWHERE):
        then = "see whether etcd runs there, then firewalls and the address in the cluster file"
        yield failed(where, "TCP", seen.reason, then)
    elif seen.reached is Reached.ACCEPTED:
        then = "the process is stopped, or its machine hangs: look at it there"
        yield failed(where, "TCP", seen.reason, then)
    else:
        yield passed(where, "TCP", "accepted")
        yield from _etcd(where, endpoint, tls)
    yield _metrics(where, member, tls)
    yield _disk(where, member)


def _etcd(where: str, endpoint: Endpoint, tls: TlsFiles | None) -> Iterator[PathCheck]:
    fault = find_tls_fault(endpoint, tls, timeout_seconds=SECONDS)
    if fault:
        yield failed(where, "TLS", fault.cause, fault.then)
    elif endpoint.is_tls:
        yield passed(where, "TLS", "both certificates are accepted")
    if endpoint.is_tls and tls is not None:
        days = days_until_expiry(endpoint, tls, now=SystemClock().now(), timeout_seconds=SECONDS)
        yield _days(where, "our cert", days.client)
        yield _days(where, "server's cert", days.server)
    if fault:
        return
    connection = connect(endpoint, tls)
    try:
        status = EtcdReads(connection).status(timeout_seconds=SECONDS)
        yield passed(where, "Status", f"etcd {status.version}, {show_bytes(status.db_size_bytes)}")
    except RemoteError as error:
        yield failed(where, "Status", error.message, error.then)
    finally:
        connection.close()


def _days(where: str, path: str, days: Known[float]) -> PathCheck:
    if isinstance(days, Unknown):
        return missing(where, path, days.reason, "")
    if days <= 0:
        return failed(where, path, f"expired {-days:.0f} days ago", "issue a new one")
    if days < CERTIFICATE_DAYS:
        return warned(where, path, f"expires in {days:.1f} days", "renew it")
    return passed(where, path, f"valid for {days:.0f} days")


def _metrics(where: str, member: InventoryMember, tls: TlsFiles | None) -> PathCheck:
    url = member.metrics_url
    try:
        page = read_metrics(url, tls, timeout_seconds=SECONDS)
    except (RemoteError, UsageError) as error:
        return failed(where, "metrics", error.message, error.then or _NO_METRICS)
    return passed(where, "metrics", f"{len(page.samples)} metrics at {url}")


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
