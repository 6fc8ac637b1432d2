"""Finds a kubeadm-shaped control plane through its API server: members, certificates, metrics, key prefix."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from sretool.cluster.inventory import (
    ClusterEntry,
    EtcdAccess,
    InventoryMember,
    KubernetesAccess,
    PodAccess,
    is_url,
)
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.this_machine import is_here
from sretool.errors import masked
from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.static_pods import (
    API_SERVER,
    DEFAULT_PREFIX,
    ETCD,
    StaticPod,
    is_loopback,
    parse_static_pods,
    reachable_url,
)
from sretool.knowledge.words import listed
from sretool.model import Unknown
from sretool.model.checks import PathCheck, missing, passed, warned

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_STORAGE = {"etcd-servers": "", "etcd-prefix": DEFAULT_PREFIX, "etcd-servers-overrides": ""}
_KUBEADM = PurePosixPath("/etc/kubernetes/pki/etcd")


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: the entry, None where no member was, and every part in words."""

    entry: ClusterEntry | None
    checks: tuple[PathCheck, ...]


class _Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """Files by which etcd's clients show who they are, as the control-plane hosts call them."""

    ca: str
    cert: str
    key: str

    @property
    def files(self) -> tuple[str, str, str]:
        return self.ca, self.cert, self.key


def discover(
    read: KubernetesReader, name: str, access: KubernetesAccess, *, known: ClusterEntry | None = None
) -> Discovery:
    """Return the entry `name` of the cluster behind `access`; RemoteError when its pods cannot be listed.

    Certificates that the entry `known` names, and that are on this machine, are kept where no others are.
    """
    label = f"component in ({ETCD},{API_SERVER})"
    path = collection_path("v1", "pods", namespace="kube-system")
    pods = [pod for page in read.pages(path, label_selector=label) for pod in page]
    etcd, servers = parse_static_pods(pods, ETCD), parse_static_pods(pods, API_SERVER)
    checks = [*_nodes(read, etcd), *_storage(servers)]
    if not etcd:
        checks.append(_no_members(servers))
        return Discovery(entry=None, checks=tuple(checks))
    certificates = _find_certificates(etcd, servers, known)
    is_tls = any(_first_url(pod, "advertise-client-urls").startswith("https") for pod in etcd)
    checks.append(_certificate_check(certificates, etcd, servers) if is_tls else _plain_text())
    by_pod = is_tls and certificates is None
    members: list[InventoryMember] = []
    for pod in etcd:
        member = _member(pod, by_pod=by_pod)
        if problem := _unusable(member, members):
            then = f"see the flags of pod {pod.pod}; the member is left out of the cluster file"
            checks.append(missing(f"{member.name} (pod {pod.pod})", "URLs", problem, then))
            continue
        members.append(member)
        checks += _member_checks(pod, member)
    if not members:
        return Discovery(entry=None, checks=tuple(checks))
    ca, cert, key = certificates.files if certificates and is_tls else ("", "", "")
    entry = ClusterEntry(
        cluster=name,
        etcd=EtcdAccess(members=tuple(members), ca=ca, cert=cert, key=key),
        kubernetes=msgspec.structs.replace(
            access,
            etcd_prefix=_agreed(servers, "etcd-prefix"),
            etcd_overrides=_agreed(servers, "etcd-servers-overrides"),
        ),
    )
    return Discovery(entry=entry, checks=tuple(checks))


# -- the control plane -----------------------------------------------------------------------------------


def _nodes(read: KubernetesReader, etcd: Sequence[StaticPod]) -> Iterator[PathCheck]:
    nodes = read.objects(collection_path("v1", "nodes"), label_selector=_CONTROL_PLANE)
    where = "control plane"
    if isinstance(nodes, Unknown):
        yield missing(where, "nodes", nodes.reason, "without them a node whose etcd is gone is not noticed")
        return
    names = sorted(str((one.get("metadata") or {}).get("name")) for one in nodes)
    if not names:
        yield missing(where, "nodes", f"no node has the label {_CONTROL_PLANE}", "is this a managed cluster?")
        return
    yield passed(where, "nodes", listed(names))
    without = sorted(set(names) - {pod.node for pod in etcd})
    if without and etcd:
        then = "its kubelet or its manifest is gone: see /etc/kubernetes/manifests/etcd.yaml there"
        yield warned(where, "etcd pods", f"none on {listed(without)}", then)


def _storage(servers: Sequence[StaticPod]) -> Iterator[PathCheck]:
    where = "API servers"
    if not servers:
        then = "where they run in another way, write etcd_prefix into the cluster file by hand"
        yield missing(where, "pods", "no static pod of kube-apiserver in kube-system", then)
        return
    yield passed(where, "pods", listed([one.node or one.pod for one in servers]))
    for flag, default in (
        ("etcd-servers", ""),
        ("etcd-prefix", DEFAULT_PREFIX),
        ("etcd-servers-overrides", ""),
    ):
        given = {one.node: one.flag(flag) or default for one in servers}
        said = "; ".join(f"{node}: {value or 'none'}" for node, value in given.items())
        if len(set(given.values())) == 1:
            said = next(iter(given.values())) or "none"
        elif flag != "etcd-servers":  # each may talk to its own member
            yield warned(where, flag, masked(said), "they must agree: until then it is taken as not known")
            continue
        yield passed(where, flag, masked(said))


def _no_members(servers: Sequence[StaticPod]) -> PathCheck:
    urls = sorted({url for one in servers for url in one.urls("etcd-servers")})
    then = "write the cluster file by hand: name, client and peer URL of each member (etcdctl member list)"
    found = "no static pod of etcd in kube-system"
    return missing(
        "etcd", "members", f"{found}; the API servers use {masked(listed(urls))}" if urls else found, then
    )


def _agreed(servers: Sequence[StaticPod], flag: str) -> str:
    values = {one.flag(flag) or _STORAGE[flag] for one in servers}
    return values.pop() if len(values) == 1 else ""


# -- members ---------------------------------------------------------------------------------------------


def _member(pod: StaticPod, *, by_pod: bool) -> InventoryMember:
    return InventoryMember(
        name=pod.flag("name") or pod.node or pod.pod,
        client=_first_url(pod, "advertise-client-urls"),
        peer=_first_url(pod, "initial-advertise-peer-urls"),
        metrics=_metrics(pod, by_pod=by_pod),
        data_dir=_data_dir(pod),
        pod=_pod_access(pod) if by_pod else None,
    )


def _urls(pod: StaticPod, flag: str) -> list[str]:
    """Return what of a flag is a URL: a manifest with a slip in it may be why we were called."""
    return [url for url in pod.urls(flag) if is_url(url) and "$" not in url]


def _first_url(pod: StaticPod, flag: str) -> str:
    return next(iter(_urls(pod, flag)), "")


def _unusable(member: InventoryMember, before: Sequence[InventoryMember]) -> str:
    """Return why the member cannot be in the cluster file, empty when it can."""
    if not member.client or not member.peer:
        return "no URL in --advertise-client-urls or in --initial-advertise-peer-urls"
    other = next(
        (
            one.name
            for one in before
            if member.name == one.name or member.client == one.client or member.peer == one.peer
        ),
        "",
    )
    return f"its name or a URL of its is that of {other} too" if other else ""


def _metrics(pod: StaticPod, *, by_pod: bool) -> str:
    """Return where metrics are besides the client port: on loopback only for that host, or through the pod."""
    urls = _urls(pod, "listen-metrics-urls")
    if by_pod:
        return next(iter(urls), "")
    open_to_all = [reachable_url(url, pod.address) for url in urls if not is_loopback(url)]
    return next(iter([*open_to_all, *(urls if is_here(pod.address) else ())]), "")


def _data_dir(pod: StaticPod) -> str:
    """Return the data directory where it is on this machine: elsewhere nobody can read its free space."""
    path = pod.host_path("data-dir")
    return path if path and is_here(pod.address) and Path(path).is_dir() else ""


def _pod_access(pod: StaticPod) -> PodAccess:
    loopback = [url for url in _urls(pod, "listen-client-urls") if is_loopback(url)]
    endpoint = next(iter([*loopback, *_urls(pod, "advertise-client-urls")]), "")
    given = PodAccess(name=pod.pod, namespace=pod.namespace, container=pod.container, endpoint=endpoint)
    ca = pod.flag("trusted-ca-file")
    if PurePosixPath(ca).parent == _KUBEADM:  # there kubeadm keeps a client certificate for its probes
        return msgspec.structs.replace(given, ca=ca)
    return msgspec.structs.replace(given, ca=ca, cert=pod.flag("cert-file"), key=pod.flag("key-file"))


def _member_checks(pod: StaticPod, member: InventoryMember) -> Iterator[PathCheck]:
    where = f"{member.name} ({member.client})"
    way = f"etcdctl in pod {pod.pod}" if member.pod else "directly"
    yield passed(where, "reached", f"{way}; peer {member.peer}, on node {pod.node}")
    listed_urls = ", ".join(pod.urls("listen-metrics-urls")) or "none"
    if member.metrics:
        yield passed(where, "metrics", member.metrics)
    elif member.pod or pod.flag("listen-client-http-urls"):
        then = "without metrics nothing is defragmented: run sretool on that host, or forward the port"
        yield missing(
            where, "metrics", f"--listen-metrics-urls: {listed_urls}, not reachable from here", then
        )
    else:
        yield passed(where, "metrics", f"on the client port (--listen-metrics-urls: {listed_urls})")
    if not member.data_dir:
        then = "a defragmentation from here is refused unattended; at a terminal: --accept disk-free"
        found = f"{pod.host_path('data-dir') or 'the data directory'} is not on this machine"
        yield missing(where, "disk", found, then)


# -- certificates ----------------------------------------------------------------------------------------


def _find_certificates(
    etcd: Sequence[StaticPod], servers: Sequence[StaticPod], known: ClusterEntry | None
) -> _Certificates | None:
    """Return the first certificates that this machine has and may read."""
    remembered = []
    if known is not None and known.etcd.cert:
        remembered = [_Certificates(ca=known.etcd.ca, cert=known.etcd.cert, key=known.etcd.key)]
    candidates = [*remembered, *_candidates(etcd, servers)]
    readable = (one for one in candidates if all(os.access(file, os.R_OK) for file in one.files))
    return next(readable, None)


def _candidates(etcd: Iterable[StaticPod], servers: Iterable[StaticPod]) -> Iterator[_Certificates]:
    """Yield the API server's own, then kubeadm's for probes, then the member's, which is good for both sides."""
    for one in servers:
        files = [one.host_path(f"etcd-{part}") for part in ("cafile", "certfile", "keyfile")]
        if all(files):
            yield _Certificates(ca=files[0], cert=files[1], key=files[2])
    for one in etcd:
        ca = one.host_path("trusted-ca-file")
        if ca:
            probe = str(PurePosixPath(ca).parent / "healthcheck-client")
            yield _Certificates(ca=ca, cert=f"{probe}.crt", key=f"{probe}.key")
            yield _Certificates(ca=ca, cert=one.host_path("cert-file"), key=one.host_path("key-file"))


def _certificate_check(
    found: _Certificates | None, etcd: Sequence[StaticPod], servers: Sequence[StaticPod]
) -> PathCheck:
    if found is not None:
        return passed("etcd", "certificates", f"{found.cert} on this machine")
    first = next(_candidates(etcd, servers), None)
    names = ", ".join(first.files) if first else "a client certificate"
    there = first is not None and any(Path(file).exists() for file in first.files)
    why = "this user may not read them" if there else "not on this machine"
    then = (
        "etcd is asked by etcdctl in its pods, which can do less; for all of it run sretool on a control-plane "
        "host, or copy the three files here, name them in the cluster file (ca, cert, key), then discover --force"
    )
    return missing("etcd", "certificates", f"{names}: {why}", then)


def _plain_text() -> PathCheck:
    return warned(
        "etcd", "certificates", "etcd serves without TLS", "whoever reaches its port owns the cluster"
    )
