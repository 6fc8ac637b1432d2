"""Discovers a cluster through its API server, and remembers it in a cluster file."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sretool.clients.kubernetes.kubeconfig import KubeContext, default_kubeconfig, read_context
from sretool.clock import Deadline, SystemClock
from sretool.cluster import ClusterEntry, clusters_folder, require_cluster
from sretool.cluster.cluster_file import differences, render_cluster, write_cluster
from sretool.cluster.discovery import discover
from sretool.cluster.inventory import KubernetesAccess, list_clusters
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.errors import NotPermittedError, RefusedError, RemoteError
from sretool.model.checks import PathCheck, passed

SECONDS = 30.0
_FORBIDDEN = "(403"
_NEEDS = (
    "it needs to list pods there: kubectl -n kube-system create role sretool-discover --verb=list --resource=pods; "
    "kubectl -n kube-system create rolebinding sretool-discover --role=sretool-discover --user=USER"
)


class Discovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a discovery found, and what became of the cluster file: written, unchanged, or nothing."""

    cluster: str
    file: str
    outcome: str
    checks: tuple[PathCheck, ...]
    differences: tuple[str, ...] = ()


def discover_cluster(kubeconfig: str, context: str, name: str, *, force: bool) -> Discovered:
    """Return what was found, with the cluster file written; RefusedError when another one is in its place."""
    path = (Path(kubeconfig) if kubeconfig else default_kubeconfig()).expanduser().absolute()
    found = read_context(path, context)
    name = name or _name_for(found)
    folder = clusters_folder()
    file = folder / f"{name}.yaml"
    known = require_cluster(name) if name in list_clusters(folder) else None
    access = KubernetesAccess(kubeconfig=str(path), context=found.name)
    connection = KubernetesConnection(access)
    try:
        read = KubernetesReader(connection, deadline=Deadline(SystemClock(), SECONDS))
        discovery = discover(read, name, access, known=known)
    except RemoteError as error:
        if isinstance(error, NotPermittedError) and _FORBIDDEN in error.message:
            error.then = _NEEDS  # and not `cluster doctor`, which needs the file that is to be written
        if known is not None:
            error.then = f"{file} is as it was, for nights like this: sretool cluster status --cluster {name}"
        raise
    finally:
        connection.close()
    checks = (passed("kubeconfig", "context", f"{_words_of(found)} ({path})"), *discovery.checks)
    entry = discovery.entry
    if entry is None:
        return Discovered(cluster=name, file=str(file), outcome="nothing", checks=checks)
    changed = tuple(differences(known, entry)) if known else ()
    if known and not changed:
        return Discovered(cluster=name, file=str(file), outcome="unchanged", checks=checks)
    if known and not force:
        raise _refused(file, changed)
    write_cluster(file, _text_of(entry))
    return Discovered(cluster=name, file=str(file), outcome="written", checks=checks, differences=changed)


def lines_of(result: Discovered, checks: Sequence[str]) -> list[str]:
    """Return the rendered checks, and what became of the file."""
    if result.outcome == "nothing":
        return [*checks, f"{result.file} was not written: no member was found"]
    said = [f"{result.file}: {result.outcome}", *(f"  {one}" for one in result.differences)]
    return [*checks, *said, f"next: sretool cluster doctor --cluster {result.cluster}"]


def _refused(file: Path, changed: Sequence[str]) -> RefusedError:
    said = "\n".join(f"  {one}" for one in changed)
    return RefusedError(
        f"{file} says something else than was found; it was left as it is\n{said}",
        then="--force writes what was found; --name NAME writes it beside",
    )


def _text_of(entry: ClusterEntry) -> str:
    text = render_cluster(entry, first_line="Written by `sretool cluster discover`; yours to edit.")
    from sretool.cluster.inventory import parse_cluster

    if parse_cluster(text, origin=f"{entry.cluster}.yaml") != entry:
        raise RemoteError(f"what was found of {entry.cluster} cannot be written as a cluster file")
    return text


def _name_for(context: KubeContext) -> str:
    """Return a file name that says which cluster: its name in the kubeconfig, without what names may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", context.cluster).strip("-._")[:63] or "kubernetes"


def _words_of(context: KubeContext) -> str:
    plugin = f" ({context.plugin})" if context.plugin else ""
    return f"{context.name}: {context.server}, with {context.credentials}{plugin}"
