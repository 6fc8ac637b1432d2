"""Reads a kubeconfig's contexts without connecting or running anything: which server, whose credentials."""

import os
from pathlib import Path
from typing import Any

import msgspec
from kubernetes.config.kube_config import KubeConfigMerger

from sretool.errors import UsageError

_WAYS = (
    ("exec", "the exec plugin"),
    ("client-certificate", "a client certificate"),
    ("client-certificate-data", "a client certificate"),
    ("token", "a token"),
    ("tokenFile", "a token"),
    ("auth-provider", "an auth provider"),
    ("username", "a password"),
)


class KubeContext(msgspec.Struct, frozen=True, kw_only=True):
    """One context of a kubeconfig; `credentials` says of what kind they are, `plugin` which command gives them."""

    name: str
    cluster: str
    server: str
    user: str
    credentials: str
    plugin: str = ""


def default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would take; UsageError where KUBECONFIG names several files."""
    given = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    if len(given) > 1:
        raise UsageError(f"KUBECONFIG names {len(given)} files", then="name one of them with --kubeconfig")
    return Path(given[0]) if given else Path("~/.kube/config").expanduser()


def read_context(kubeconfig: Path, context: str = "") -> KubeContext:
    """Return the context, the current one when none is named; UsageError says which contexts there are."""
    try:
        kubeconfig.open("rb").close()
        merged = _plain(KubeConfigMerger(str(kubeconfig)).config)
    except OSError as error:
        raise UsageError(
            f"the kubeconfig {kubeconfig} cannot be read: {error.strerror}",
            then="name another with --kubeconfig",
        ) from error
    except Exception as error:  # whatever the package trips over in somebody's file
        why = " ".join(str(error).split())
        raise UsageError(f"the kubeconfig {kubeconfig} cannot be used: {why}") from error
    contexts = _named(merged, "contexts", "context")
    name = context or str(merged.get("current-context") or "")
    if name not in contexts:
        what = f"has no context {name!r}" if name else "has no current context"
        raise UsageError(
            f"the kubeconfig {kubeconfig} {what}", then=f"--context, one of: {', '.join(sorted(contexts))}"
        )
    cluster, user = (str(contexts[name].get(part) or "") for part in ("cluster", "user"))
    server = str(_named(merged, "clusters", "cluster").get(cluster, {}).get("server") or "")
    if not server:
        raise UsageError(f"the context {name} of {kubeconfig} names no server")
    credentials = _named(merged, "users", "user").get(user, {})
    plugin = (credentials.get("exec") or {}).get("command", "")
    kind = next((words for field, words in _WAYS if credentials.get(field)), "no credentials")
    return KubeContext(
        name=name, cluster=cluster, server=server, user=user, credentials=kind, plugin=str(plugin)
    )


def _named(merged: Any, plural: str, field: str) -> dict[str, Any]:
    return {one["name"]: one.get(field) or {} for one in merged.get(plural) or () if one.get("name")}


def _plain(node: Any) -> Any:
    """Return what the package wraps, at every level, as dicts and lists."""
    node = getattr(node, "value", node)
    if isinstance(node, dict):
        return {name: _plain(one) for name, one in node.items()}
    return [_plain(one) for one in node] if isinstance(node, list) else node
