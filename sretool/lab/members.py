"""One etcd member of a lab: where it is, how it is started, when it is healthy, what it tells of itself."""

import http.client
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sretool.lab.directory import LabRecord
from sretool.lab.loopback import BEHIND_PROXY_PORT, CLIENT_PORT, METRICS_PORT, PEER_PORT, address
from sretool.lab.spec import LabMember

_BODY_LIMIT = 4 << 20


class MemberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `lab status` tells of a member; `role` is leader, follower or learner, empty when unknown."""

    name: str
    state: str
    client_url: str
    pid: int = 0
    role: str = ""
    db_size_bytes: int | None = None
    db_in_use_bytes: int | None = None
    faults: tuple[str, ...] = ()


def members_of(record: LabRecord, lab_dir: Path) -> tuple[LabMember, ...]:
    """Return the members of a lab with their addresses and paths."""
    found = []
    for index in range(record.spec.members):
        name, host = f"m{index + 1}", address(record.block, index)
        found.append(
            LabMember(
                name=name,
                address=host,
                client_url=f"https://{host}:{CLIENT_PORT}",
                peer_url=f"https://{host}:{PEER_PORT}",
                metrics_url=f"http://{host}:{METRICS_PORT}",
                data_dir=lab_dir / "data" / name,
                log_path=lab_dir / "log" / f"{name}.log",
            )
        )
    return tuple(found)


def etcd_arguments(
    record: LabRecord, member: LabMember, members: Sequence[LabMember], *, lab_dir: Path
) -> list[str]:
    """Return the command line of a member: the flags kubeadm sets, known to etcd 3.4 and later."""
    authority, cert, key = (
        lab_dir / "tls" / name for name in ("ca.crt", f"{member.name}.crt", f"{member.name}.key")
    )
    peer_port = BEHIND_PROXY_PORT if record.spec.peer_proxy else PEER_PORT
    quota = [f"--quota-backend-bytes={record.spec.quota_bytes}"] if record.spec.quota_bytes else []
    return [
        str(lab_dir / "bin" / "etcd"),
        f"--name={member.name}",
        f"--data-dir={member.data_dir}",
        f"--listen-client-urls={member.client_url}",
        f"--advertise-client-urls={member.client_url}",
        f"--listen-peer-urls=https://{member.address}:{peer_port}",
        f"--initial-advertise-peer-urls={member.peer_url}",
        f"--listen-metrics-urls={member.metrics_url}",
        f"--initial-cluster={','.join(f'{one.name}={one.peer_url}' for one in members)}",
        f"--initial-cluster-token=sretool-{record.spec.name}-{record.block}",
        "--initial-cluster-state=new",
        f"--trusted-ca-file={authority}",
        f"--cert-file={cert}",
        f"--key-file={key}",
        "--client-cert-auth",
        f"--peer-trusted-ca-file={authority}",
        f"--peer-cert-file={cert}",
        f"--peer-key-file={key}",
        "--peer-client-cert-auth",
        "--snapshot-count=10000",
        "--logger=zap",
        *quota,
        *record.spec.flags,
    ]


def is_healthy(member: LabMember, *, timeout_seconds: float = 1.0) -> bool:
    """Say whether the member serves clients; a NOSPACE or CORRUPT alarm is a state, not ill health."""
    body = _read(member, "/health?exclude=NOSPACE&exclude=CORRUPT", timeout_seconds)
    return b'"health":"true"' in body or b'"reason":"ALARM' in body


def read_metrics(member: LabMember, *, timeout_seconds: float = 1.0) -> dict[str, float]:
    """Return the member's metrics without labels by name; empty when it does not answer."""
    body = _read(member, "/metrics", timeout_seconds).decode(errors="replace")
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", body, re.MULTILINE)}


def role_of(metrics: dict[str, float]) -> str:
    """Return what a member is by its metrics: leader, follower, or that there is no leader."""
    if not metrics:
        return ""
    if not metrics.get("etcd_server_has_leader"):
        return "no leader"
    return "leader" if metrics.get("etcd_server_is_leader") else "follower"


def bytes_of(metrics: dict[str, float], name: str) -> int | None:
    """Return a metric that counts bytes, None when the member does not tell it."""
    value = metrics.get(name)
    return None if value is None else int(value)


def last_words(member: LabMember) -> str:
    """Return the last error that the member's log tells of its last start, empty when there is none."""
    try:
        lines = member.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    starts = [index for index, line in enumerate(lines) if '"msg":"configuring peer listeners"' in line]
    since = lines[starts[-1] :] if starts else lines
    errors = [
        line for line in since if re.search(r'"level":"(error|fatal|panic)"|^panic:|flag provided', line)
    ]
    return _words(errors[-1]) if errors else ""


def _words(line: str) -> str:
    """Return message and error of a line of etcd's log; a line that is no JSON as it is."""
    try:
        said = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        return line[:300]
    return f"{said.get('msg', '')}: {said.get('error', '')}".removesuffix(": ")


def _read(member: LabMember, path: str, timeout_seconds: float) -> bytes:
    connection = http.client.HTTPConnection(member.address, METRICS_PORT, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(_BODY_LIMIT)
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
