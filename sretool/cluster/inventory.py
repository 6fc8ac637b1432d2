"""Which clusters there are and how to reach them: one small YAML file each, remembered for bad nights."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sretool.errors import DocumentError, UsageError
from sretool.folders import config_folder

ADD_KUBECONFIG = "add `kubernetes: {{kubeconfig: /path/to/kubeconfig}}` to the file of {name}"
_CORRECT = "correct the cluster file; then see whether it reaches the members: sretool cluster doctor"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_URL = re.compile(r"https?://[^/?#@\s]+")
_URLS = frozenset({"client", "peer", "metrics", "endpoint", "etcd_overrides"})
_NO_USER = "remove user and password (etcd's client port takes certificates, its metrics listener nothing)"
_PATHS = frozenset({"ca", "cert", "key", "kubeconfig"})
_PASTED = re.compile(r"\n|-----BEGIN|\ALS0tLS1CRUdJTi")  # the last is the second in base64


class PodAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The etcd pod of a member, for etcdctl inside it. Everything but `name` is kubeadm's unless it says otherwise.

    `endpoint` and the certificate paths are as the container sees them; an empty `ca` stands for etcd without TLS.
    """

    name: str
    namespace: str = "kube-system"
    container: str = "etcd"
    endpoint: str = "https://127.0.0.1:2379"
    ca: str = "/etc/kubernetes/pki/etcd/ca.crt"
    cert: str = "/etc/kubernetes/pki/etcd/healthcheck-client.crt"
    key: str = "/etc/kubernetes/pki/etcd/healthcheck-client.key"

    @property
    def by_hand(self) -> str:
        """What a person types to run etcdctl there: the command's beginning."""
        files = {"cacert": self.ca, "cert": self.cert, "key": self.key}
        flags = [
            f"--endpoints={self.endpoint}",
            *(f"--{name}={path}" for name, path in files.items() if path),
        ]
        inside = f"kubectl -n {self.namespace} exec {self.name} -c {self.container} --"
        return f"{inside} etcdctl {' '.join(flags)}"


class InventoryMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An etcd member as the inventory knows it; `metrics` and `data_dir` are empty when not known.

    `data_dir` is a path on this machine: where it is given, free disk space can be read.
    `pod` is for a member that is reached in no other way: etcdctl runs inside that pod, through the API server,
    and `metrics` is forwarded from it. `client` is then only what the member is known by.
    """

    name: str
    client: str
    peer: str
    metrics: str = ""
    data_dir: str = ""
    server_name: str = ""
    pod: PodAccess | None = None

    @property
    def metrics_url(self) -> str:
        """Where its metrics are: on their own listener, else on the client port."""
        return f"{(self.metrics or self.client).rstrip('/')}/metrics"


class EtcdAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How etcd is reached: the members and the client certificate (absolute paths)."""

    members: tuple[InventoryMember, ...]
    ca: str = ""
    cert: str = ""
    key: str = ""


class KubernetesAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the API server is reached: a kubeconfig (absolute path, or `in-cluster`) and its context.

    An empty `context` is the kubeconfig's current one. `etcd_prefix` and `etcd_overrides` are what its API servers
    were started with (`--etcd-prefix`, `--etcd-servers-overrides`); an empty prefix means that it is not known.
    """

    kubeconfig: str
    context: str = ""
    etcd_prefix: str = ""
    etcd_overrides: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """Return those two as the flags that they were."""
        given = {"--etcd-prefix": self.etcd_prefix, "--etcd-servers-overrides": self.etcd_overrides}
        return tuple(f"{flag}={value}" for flag, value in given.items() if value)


class ClusterEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cluster: its name and its paths."""

    cluster: str
    etcd: EtcdAccess
    kubernetes: KubernetesAccess | None = None


def clusters_folder() -> Path:
    """Return the folder of cluster files: `$XDG_CONFIG_HOME/sretool/clusters`."""
    return config_folder() / "clusters"


def list_clusters(folder: Path) -> tuple[str, ...]:
    """Return the names of the clusters that are remembered, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def require_cluster(name: str, folder: Path | None = None) -> ClusterEntry:
    """Return the cluster `name`, or the only one when `name` is empty; UsageError says what there is.

    `folder` is `clusters_folder()` when none is given.
    """
    folder = folder or clusters_folder()
    known = list_clusters(folder)
    if not name:
        if len(known) != 1:
            raise UsageError(
                f"which cluster? {_list(known)}",
                then="name one with --cluster or SRETOOL_CLUSTER; `sretool lab up` starts one to try things on",
            )
        name = known[0]
    if name not in known:
        raise UsageError(f"no cluster named {name!r}: {_list(known)}", then=f"cluster files live in {folder}")
    path = folder / f"{name}.yaml"
    if _is_pipe(path):  # nobody may ever write to it, and reading it would wait for that
        raise UsageError(f"{path} is a pipe, not a file", then="a cluster file is a small YAML file")
    return parse_cluster(_read(path), origin=str(path))


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except OSError:  # reading it will say why
        return False


def _read(path: Path) -> str:
    from sretool.documents import read_file

    return read_file(path)


def parse_cluster(text: str, *, origin: str) -> ClusterEntry:
    """Return the cluster that `text` describes; DocumentError with every problem and its place."""
    from sretool.documents import read_document

    document = read_document(text, origin=origin)
    try:
        entry = msgspec.convert(document.value, ClusterEntry)
    except msgspec.ValidationError as error:
        raise DocumentError([f"{document.at(_path_of(str(error)))}: {error}"], then=_CORRECT) from error
    secrets = dict(_secrets(document.value, ()))
    others = (one for one in _problems(entry, PurePath(origin)) if one[0] not in secrets)
    problems = [f"{document.at(place)}: {what}" for place, what in (*secrets.items(), *others)]
    if problems:
        raise DocumentError(problems, then=_CORRECT)
    return entry


def _list(known: tuple[str, ...]) -> str:
    return f"known clusters: {', '.join(known)}" if known else "no cluster is known yet"


def is_url(text: str) -> bool:
    """Tell whether `text` is scheme, host and perhaps a port, and nothing more."""
    try:
        parts = urlsplit(text)
        return bool(_URL.fullmatch(text) and parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def _path_of(message: str) -> tuple[str | int, ...]:
    match = re.search(r"at `\$(.*)`$", message)
    parts = re.findall(r"\[(\d+)\]|\.(\w+)", match[1] if match else "")
    return tuple(int(index) if index else key for index, key in parts)


def _secrets(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield where a secret stands, never the secret: what is taken is printed and journaled."""
    if isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _secrets(one, (*place, name))
    elif isinstance(value, str):
        field = place[-1]
        if field in _URLS and "@" in value:
            yield place, f"{field} names a user before the host; {_NO_USER}"
        elif field in _PATHS and _PASTED.search(value):
            yield place, f"{field} is the path of a file, not the {field} itself"


def _problems(entry: ClusterEntry, origin: PurePath) -> list[tuple[tuple[Any, ...], str]]:
    found: list[tuple[tuple[Any, ...], str]] = []
    if origin.suffix == ".yaml" and origin.stem != entry.cluster:
        # --cluster names the file, the question and the journal name the entry: they may not differ.
        found.append((("cluster",), f"the file is called {origin.name}, so this must be {origin.stem}"))
    if not _NAME.fullmatch(entry.cluster):
        found.append((("cluster",), f"{entry.cluster!r} is not a name (letters, digits, . _ -)"))
    members = entry.etcd.members
    if not members:
        found.append((("etcd", "members"), "a cluster has at least one etcd member"))
    for field in ("name", "client", "peer"):
        values = [getattr(member, field) for member in members]
        found.extend(
            (("etcd", "members", index, field), f"this {field} stands twice")
            for index, value in enumerate(values)
            if value in values[:index]
        )
    for index, member in enumerate(members):
        found.extend(
            (("etcd", "members", index, field), f"{field} is not a URL such as https://10.0.0.1:2379")
            for field, url in (("client", member.client), ("peer", member.peer), ("metrics", member.metrics))
            if url and not is_url(url)
        )
    found.extend(_kubernetes_problems(entry.kubernetes))
    access = entry.etcd
    if bool(access.cert) != bool(access.key):
        found.append((("etcd",), "cert and key belong together"))
    if entry.kubernetes is None and any(member.pod for member in members):
        found.append(
            (("etcd",), "a member's `pod` is reached through the API server: `kubernetes` is missing")
        )
    if any(member.client.startswith("https") and not member.pod for member in members) and not access.ca:
        found.append((("etcd",), "https endpoints need `ca`"))
    return found


def _kubernetes_problems(access: KubernetesAccess | None) -> list[tuple[tuple[Any, ...], str]]:
    if access is None:
        return []
    from sretool.clients.kubernetes import IN_CLUSTER

    if access.kubeconfig == IN_CLUSTER:
        return [(("kubernetes", "context"), f"{IN_CLUSTER} has no contexts")] if access.context else []
    if not PurePath(access.kubeconfig).is_absolute():
        problem = f"kubeconfig is neither an absolute path nor `{IN_CLUSTER}`"
        return [(("kubernetes", "kubeconfig"), problem)]
    return []
