"""The files of a lab's Kubernetes control plane: certificates, kubeconfigs, what the audit log keeps."""

from pathlib import Path

from sretool.lab.certificates import Pair, create_authority, issue_client, issue_server
from sretool.lab.cluster_entry import quoted
from sretool.lab.directory import write_whole

AUTHORITY = "kubernetes-ca"
ADMIN = "kubernetes-admin"
SERVICE_ACCOUNTS = "service-accounts"
ETCD_CLIENT = "kube-apiserver-etcd-client"

SERVICE_RANGE = "10.96.0.0/16"
_SERVICE = "10.96.0.1"  # the first address of the range belongs to the service `kubernetes`

# Writes with what was sent and answered; reads by name only; what the control plane renews, not at all.
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"]
    resources: [{group: coordination.k8s.io, resources: [leases]}]
  - level: None
    nonResourceURLs: ["/readyz*", "/livez*", "/healthz*", "/metrics"]
  - level: RequestResponse
    verbs: [create, update, patch, delete, deletecollection]
  - level: Metadata
"""


def write_kubernetes_files(lab_dir: Path, *, name: str, address: str, server: str, etcd_ca: Pair) -> None:
    """Write every file of the control plane of the lab `name`, whose API server is `server` at `address`."""
    tls = lab_dir / "tls"
    authority = create_authority(tls, name=AUTHORITY)
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        issue_server(authority, tls, name=component, addresses=(address, "127.0.0.1", _SERVICE))
    issue_client(etcd_ca, tls, name=ETCD_CLIENT)
    issue_client(authority, tls, name=SERVICE_ACCOUNTS)  # only its key counts: it signs tokens
    issue_client(authority, tls, name=ADMIN, group="system:masters")
    _write_kubeconfig(kubeconfig_path(lab_dir), tls, name=name, server=server, pair=ADMIN)
    for component in ("kube-controller-manager", "kube-scheduler"):
        pair = f"{component}-client"
        issue_client(authority, tls, name=pair, user=f"system:{component}")
        _write_kubeconfig(lab_dir / f"{component}.kubeconfig", tls, name=component, server=server, pair=pair)
    write_whole(audit_policy_path(lab_dir), _AUDIT_POLICY.encode())


def kubeconfig_path(lab_dir: Path) -> Path:
    """Return the administrator's kubeconfig."""
    return lab_dir / "kubeconfig"


def audit_policy_path(lab_dir: Path) -> Path:
    """Return the file that says what the audit log keeps."""
    return lab_dir / "audit-policy.yaml"


def audit_log_path(lab_dir: Path) -> Path:
    """Return the audit log: JSON lines, rotated by the API server."""
    return lab_dir / "log" / "audit.log"


def _write_kubeconfig(path: Path, tls: Path, *, name: str, server: str, pair: str) -> None:
    text = f"""\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority: {quoted(tls / f"{AUTHORITY}.crt")}
users:
- name: {name}
  user:
    client-certificate: {quoted(tls / f"{pair}.crt")}
    client-key: {quoted(tls / f"{pair}.key")}
contexts:
- name: {name}
  context: {{cluster: {name}, user: {name}}}
current-context: {name}
"""
    write_whole(path, text.encode())
    path.chmod(0o600)
