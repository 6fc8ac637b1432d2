"""The Kubernetes programs of a lab: where they listen, how they are started, when they are ready."""

import http.client
import re
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sretool.errors import NoAnswerError, RemoteError
from sretool.lab.directory import LabRecord
from sretool.lab.kubernetes_files import (
    ADMIN,
    AUTHORITY,
    ETCD_CLIENT,
    SERVICE_ACCOUNTS,
    SERVICE_RANGE,
    audit_log_path,
    audit_policy_path,
)
from sretool.lab.loopback import API_PORT, CONTROLLER_MANAGER_PORT, SCHEDULER_PORT, kubernetes_address
from sretool.lab.rest import Api
from sretool.lab.spec import LabComponent, LabMember

API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_AUDIT_MEBIBYTES = 100  # of each of two files: about 100,000 writes
_LOOK_SECONDS = 0.05
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
"""The controller-manager makes it; without it no pod can be created."""


class ComponentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `lab status` tells of a Kubernetes program: running, silent (it answers no 200), frozen, down."""

    name: str
    state: str
    url: str
    pid: int = 0


def components_of(record: LabRecord, lab_dir: Path) -> tuple[LabComponent, ...]:
    """Return the Kubernetes programs of a lab; none when it was started without."""
    if not record.spec.kubernetes:
        return ()
    parts = (
        (API_SERVER, API_PORT, "/readyz"),
        (CONTROLLER_MANAGER, CONTROLLER_MANAGER_PORT, "/healthz"),
        (SCHEDULER, SCHEDULER_PORT, "/healthz"),
    )
    return tuple(
        LabComponent(
            name=name,
            address=kubernetes_address(record.block),
            port=port,
            health=health,
            log_path=lab_dir / "log" / f"{name}.log",
        )
        for name, port, health in parts
    )


def component_arguments(component: LabComponent, members: Sequence[LabMember], lab_dir: Path) -> list[str]:
    """Return the command line of a Kubernetes program of this lab."""
    tls = lab_dir / "tls"
    common = [
        str(lab_dir / "bin" / component.name),
        f"--bind-address={component.address}",
        f"--secure-port={component.port}",
        f"--tls-cert-file={tls / component.name}.crt",
        f"--tls-private-key-file={tls / component.name}.key",
        "--profiling=false",
    ]
    if component.name == API_SERVER:
        return common + _api_server_flags(members, lab_dir)
    kubeconfig = lab_dir / f"{component.name}.kubeconfig"
    common += [f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")]
    return common + (_controller_flags(tls) if component.name == CONTROLLER_MANAGER else _scheduler_flags())


def open_api(record: LabRecord, lab_dir: Path) -> Api:
    """Return the administrator's way to the API server."""
    tls = lab_dir / "tls"
    return Api(
        kubernetes_address(record.block),
        API_PORT,
        ca=tls / f"{AUTHORITY}.crt",
        cert=tls / f"{ADMIN}.crt",
        key=tls / f"{ADMIN}.key",
    )


def wait_for(record: LabRecord, lab_dir: Path, path: str, *, seconds: float) -> bool:
    """Wait until the API server answers `path` with 200; False after `seconds`."""
    deadline = time.monotonic() + seconds
    with open_api(record, lab_dir) as api:
        while time.monotonic() < deadline:
            try:
                api.text(path, timeout_seconds=2.0)
            except RemoteError:
                time.sleep(_LOOK_SECONDS)
            else:
                return True
    return False


def is_well(component: LabComponent, lab_dir: Path, *, timeout_seconds: float = 1.0) -> bool:
    """Say whether the program answers its health path with 200."""
    context = ssl.create_default_context(cafile=str(lab_dir / "tls" / f"{AUTHORITY}.crt"))
    connection = http.client.HTTPSConnection(
        component.address, component.port, context=context, timeout=timeout_seconds
    )
    try:
        connection.request("GET", component.health)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def not_ready(components: Sequence[LabComponent], name: str) -> NoAnswerError:
    """Return the error of a control plane that did not become ready, with its programs' last errors."""
    words = [f"{one.name}: {said}" for one in components if (said := _last_error(one.log_path))]
    return NoAnswerError(
        f"Kubernetes of the lab {name} is not ready: {' | '.join(words) or 'no answer'}",
        endpoint=components[0].url,
        then=f"its logs are in {components[0].log_path.parent}; sretool lab down --name {name} removes the lab",
    )


def _last_error(log_path: Path) -> str:
    """Return the last line that klog marks E or F, or that a command line error makes."""
    try:
        lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line for line in lines if re.match(r"[EF]\d{4} |Error:|panic:", line)]
    return errors[-1][:300] if errors else ""


def _api_server_flags(members: Sequence[LabMember], lab_dir: Path) -> list[str]:
    tls = lab_dir / "tls"
    return [
        # The API server refuses to advertise a loopback address, and nobody looks for it by that one.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--etcd-servers={','.join(member.client_url for member in members)}",
        f"--etcd-cafile={tls}/ca.crt",
        f"--etcd-certfile={tls / ETCD_CLIENT}.crt",
        f"--etcd-keyfile={tls / ETCD_CLIENT}.key",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={tls / AUTHORITY}.crt",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={tls / SERVICE_ACCOUNTS}.crt",
        f"--service-account-signing-key-file={tls / SERVICE_ACCOUNTS}.key",
        f"--audit-policy-file={audit_policy_path(lab_dir)}",
        f"--audit-log-path={audit_log_path(lab_dir)}",
        f"--audit-log-maxsize={_AUDIT_MEBIBYTES}",
        "--audit-log-maxbackup=1",
    ]


def _controller_flags(tls: Path) -> list[str]:
    return [
        # Under RBAC only its controllers' own accounts may scale and create.
        "--use-service-account-credentials=true",
        f"--root-ca-file={tls / AUTHORITY}.crt",
        f"--service-account-private-key-file={tls / SERVICE_ACCOUNTS}.key",
        # 20 by default, at which 500 pods take 21 s.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        # No kubelet renews a node's state: it stays as it was written.
        "--node-monitor-grace-period=24h",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]


def _scheduler_flags() -> list[str]:
    return ["--kube-api-qps=300", "--kube-api-burst=600"]
