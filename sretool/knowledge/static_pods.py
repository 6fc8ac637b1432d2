"""What the static pods of a control plane say: which flags etcd and the API server were started with.

Pods are the API's JSON as dicts, as kubeadm's mirror pods have it: the label `component`, flags in `command`
or `args`, hostPath volumes. Sources: kubeadm `app/phases/etcd/local.go`, `controlplane/manifests.go`; kubelet
mirror pods (annotation `kubernetes.io/config.mirror`).
"""

import itertools
import shlex
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

ETCD, API_SERVER = "etcd", "kube-apiserver"
DEFAULT_PREFIX = "/registry"  # the API server's, where --etcd-prefix is not given
_SHELL = ("-c", "-ec", "-xc")
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")

Object = Mapping[str, Any]


class StaticPod(msgspec.Struct, frozen=True, kw_only=True):
    """One program of the control plane: the pod and node it runs in, its flags, paths as its host has them."""

    program: str
    pod: str
    namespace: str
    container: str
    node: str
    address: str
    flags: Mapping[str, str]
    mounts: Mapping[str, str] = {}

    def flag(self, name: str) -> str:
        """Return the flag's value, empty where it is not given."""
        return self.flags.get(name, "")

    def urls(self, name: str) -> tuple[str, ...]:
        """Return the values of a flag that is a list."""
        return tuple(one.strip() for one in self.flag(name).split(",") if one.strip())

    def host_path(self, name: str) -> str:
        """Return the path that a flag names, as it is called on the pod's host; empty where it is not given."""
        path = self.flag(name)
        for mount in sorted(self.mounts, key=len, reverse=True):
            if path == mount or path.startswith(f"{mount.rstrip('/')}/"):
                return self.mounts[mount].rstrip("/") + path[len(mount.rstrip("/")) :]
        return path


def parse_static_pods(pods: Iterable[Object], program: str) -> tuple[StaticPod, ...]:
    """Return the pods that run `program` (`etcd`, `kube-apiserver`), sorted by node."""
    found = [pod for one in pods if (pod := _parse(one, program)) is not None]
    return tuple(sorted(found, key=lambda pod: (pod.node, pod.pod)))


def is_loopback(url: str) -> bool:
    """Tell whether `url` can only be reached from its own host."""
    host = urlsplit(url).hostname or ""
    return host.startswith(_LOOPBACK)


def reachable_url(url: str, address: str) -> str:
    """Return `url` with the host's `address` where it names every address (0.0.0.0, ::)."""
    parts = urlsplit(url)
    if parts.hostname not in ("0.0.0.0", "::") or not address:  # noqa: S104 - read, not listened on
        return url
    host = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"


def _parse(pod: Object, program: str) -> StaticPod | None:
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if (meta.get("labels") or {}).get("component") != program:
        return None
    status = pod.get("status") or {}
    for container in spec.get("containers") or ():
        flags = _flags(container, program)
        if flags is not None:
            return StaticPod(
                program=program,
                pod=meta.get("name", ""),
                namespace=meta.get("namespace", ""),
                container=container.get("name", ""),
                node=spec.get("nodeName", ""),
                address=status.get("hostIP", ""),
                flags=flags,
                mounts=_mounts(container, spec),
            )
    return None


def _flags(container: Object, program: str) -> dict[str, str] | None:
    """Return the flags of `program`, None where the container starts something else."""
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if any(" " in word for word in words):  # sh -c "exec etcd --name=…"
        words = [part for word in words for part in _split(word)]
    before = list(itertools.takewhile(lambda word: not word.startswith("-") or word in _SHELL, words))
    start = next((index for index, word in enumerate(before) if word.rpartition("/")[2] == program), None)
    if start is None and container.get("name") != program:
        return None
    flags = _environment(container) if program == ETCD else {}
    rest = words if start is None else words[start + 1 :]
    for index, word in enumerate(rest):
        if not word.startswith("-"):
            continue
        name, is_given, value = word.lstrip("-").partition("=")
        following = rest[index + 1] if index + 1 < len(rest) else ""
        flags[name] = value if is_given else "" if following.startswith("-") else following
    return flags


def _split(word: str) -> list[str]:
    try:
        return shlex.split(word)
    except ValueError:  # a quotation that does not end
        return word.split()


def _environment(container: Object) -> dict[str, str]:
    """Return what etcd takes from its environment: ETCD_DATA_DIR is --data-dir; a flag wins."""
    return {
        one["name"].removeprefix("ETCD_").lower().replace("_", "-"): one.get("value") or ""
        for one in container.get("env") or ()
        if one.get("name", "").startswith("ETCD_")
    }


def _mounts(container: Object, spec: Object) -> dict[str, str]:
    hosts = {
        volume["name"]: volume["hostPath"].get("path", "")
        for volume in spec.get("volumes") or ()
        if volume.get("hostPath")
    }
    return {
        mount["mountPath"]: hosts[mount["name"]]
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") in hosts and not mount.get("subPath")
    }
