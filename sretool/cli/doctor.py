"""Tries each path to a cluster, one after the other, so that the first broken link is named."""

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
from sretool.errors import RemoteError, UsageError
from sretool.folders import state_folder
from sretool.knowledge.health_findings import CERTIFICATE_DAYS
from sretool.knowledge.words import show_bytes
from sretool.model import Known, Unknown
from sretool.report.doctor_text import PathCheck

SECONDS = 2.0


def examine(entry: ClusterEntry) -> list[PathCheck]:
    """Return what each path to `entry` gives; members are asked side by side."""
    access = entry.etcd
    tls = tls_files_of(access)
    with ThreadPoolExecutor(max_workers=len(access.members)) as pool:
        by_member = list(pool.map(lambda member: list(_member(member, tls)), access.members))
    return [check for checks in by_member for check in checks] + [_state_folder()]


def _member(member: InventoryMember, tls: TlsFiles | None) -> Iterable[PathCheck]:
    where = f"{member.name} ({member.client})"
    try:
        endpoint = endpoint_of(member)
    except UsageError as error:
        yield _failed(where, "address", error.message, error.then)
        return
    seen = shake_hands(endpoint, None, timeout_seconds=SECONDS)
    if seen.reached in (Reached.REFUSED, Reached.NOWHERE):
        then = "see whether etcd runs there, then firewalls and the address in the cluster file"
        yield _failed(where, "TCP", seen.reason, then)
    elif seen.reached is Reached.ACCEPTED:
        then = "the process is stopped, or its machine hangs: look at it there"
        yield _failed(where, "TCP", seen.reason, then)
    else:
        yield _ok(where, "TCP", "accepted")
        yield from _etcd(where, endpoint, tls)
    yield _metrics(where, member, tls)
    yield _disk(where, member)


def _etcd(where: str, endpoint: Endpoint, tls: TlsFiles | None) -> Iterator[PathCheck]:
    fault = find_tls_fault(endpoint, tls, timeout_seconds=SECONDS)
    if fault:
        yield _failed(where, "TLS", fault.cause, fault.then)
    elif endpoint.is_tls:
        yield _ok(where, "TLS", "both certificates are accepted")
    if endpoint.is_tls and tls is not None:
        days = days_until_expiry(endpoint, tls, now=SystemClock().now(), timeout_seconds=SECONDS)
        yield _days(where, "our cert", days.client)
        yield _days(where, "server's cert", days.server)
    if fault:
        return
    connection = connect(endpoint, tls)
    try:
        status = EtcdReads(connection).status(timeout_seconds=SECONDS)
        yield _ok(where, "Status", f"etcd {status.version}, {show_bytes(status.db_size_bytes)}")
    except RemoteError as error:
        yield _failed(where, "Status", error.message, error.then)
    finally:
        connection.close()


def _days(where: str, path: str, days: Known[float]) -> PathCheck:
    if isinstance(days, Unknown):
        return PathCheck(where=where, path=path, state="MISSING", found=days.reason)
    if days <= 0:
        return _failed(where, path, f"expired {-days:.0f} days ago", "issue a new one")
    if days < CERTIFICATE_DAYS:
        found = f"expires in {days:.1f} days"
        return PathCheck(where=where, path=path, state="WARNING", found=found, then="renew it")
    return _ok(where, path, f"valid for {days:.0f} days")


def _metrics(where: str, member: InventoryMember, tls: TlsFiles | None) -> PathCheck:
    url = member.metrics_url
    try:
        page = read_metrics(url, tls, timeout_seconds=SECONDS)
    except (RemoteError, UsageError) as error:
        then = error.then or "without metrics there is no latency window and no defragmentation"
        return _failed(where, "metrics", error.message, then)
    return _ok(where, "metrics", f"{len(page.samples)} metrics at {url}")


def _disk(where: str, member: InventoryMember) -> PathCheck:
    then = "without it a defragmentation is refused unattended; at a terminal: --accept disk-free"
    if not member.data_dir:
        found = "no data_dir in the cluster file: free space on the member's disk cannot be read"
        return PathCheck(where=where, path="disk", state="MISSING", found=found, then=then)
    space = read_disk(member)
    if isinstance(space, Unknown):
        return _failed(where, "disk", space.reason, then)
    return _ok(where, "disk", f"{show_bytes(space.free_bytes)} free at {member.data_dir}")


def _state_folder() -> PathCheck:
    folder = state_folder()
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True)
        then = "free space there, or point XDG_STATE_HOME elsewhere: without a journal nothing is changed"
        return _failed("this machine", "state folder", f"{folder}: {error.strerror}", then)
    return _ok("this machine", "state folder", f"{folder} can be written")


def _ok(where: str, path: str, found: str) -> PathCheck:
    return PathCheck(where=where, path=path, state="ok", found=found)


def _failed(where: str, path: str, found: str, then: str) -> PathCheck:
    return PathCheck(where=where, path=path, state="FAILED", found=found, then=then)
