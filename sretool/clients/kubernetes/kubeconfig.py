"""Reads a kubeconfig's contexts without connecting or running anything: which server, whose credentials."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
    """One context of a kubeconfig; `credentials` says of what kind they are, `plugin` which command gives them,
    `verifies` whether the server's certificate is looked at (`insecure-skip-tls-verify`)."""

    name: str
    cluster: str
    server: str
    user: str
    credentials: str
    plugin: str = ""
    verifies: bool = True


def default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would take; UsageError where KUBECONFIG names several files."""
    given = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    if len(given) > 1:
        raise UsageError(f"KUBECONFIG names {len(given)} files", then="name one of them with --kubeconfig")
    return Path(given[0]) if given else Path("~/.kube/config").expanduser()


def read_context(kubeconfig: Path, context: str = "") -> KubeContext:
    """Return the context, the current one when none is named; UsageError says which contexts there are."""
    try:
        return _context_of(_plain(merge(str(kubeconfig))), kubeconfig, context)
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(
            f"the kubeconfig {kubeconfig} cannot be read: {error.strerror or error}",
            then="name another with --kubeconfig",
        ) from error
    except Exception as error:  # whatever the package, or we, trip over in somebody's file
        raise UsageError(f"the kubeconfig {kubeconfig} cannot be used: {why_unusable(error)}") from error


def merge(kubeconfig: str) -> Any:
    """Return the file as the package wraps it; OSError when it cannot be read, or is a pipe: it is read twice."""
    path = Path(kubeconfig)
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    path.open("rb").close()  # the package says of a missing file that there is no configuration
    if os.pathsep in kubeconfig:  # the package would take it for several files
        raise OSError(f"its path holds {os.pathsep!r}")
    return KubeConfigMerger(kubeconfig).config


def why_unusable(error: Exception) -> str:
    """Return what the package says of a kubeconfig, in one line: never the entry, which it quotes with its keys."""
    if isinstance(error, AttributeError | TypeError | LookupError):
        return "it is not laid out as a kubeconfig is"
    text = str(getattr(error, "strerror", None) or error or type(error).__name__)
    return " ".join(re.sub(r"/\{.*\}", "", text, flags=re.DOTALL).split())


def unusable_server(server: object) -> str:
    """Return why `server` is no API server's URL, empty when it is one. A password in it is not shown."""
    shown = repr(server) if "@" not in str(server) else "what it names, with a user before the host,"
    try:
        parts = urlsplit(str(server))
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        usable = usable and not any(part in str(server) for part in "?# ")
        if usable and parts.username is None:
            return ""
    except ValueError:  # a port that is no number, a bracket that is not closed
        pass
    return f"{shown} is not a server such as https://HOST:6443"


def _context_of(merged: Any, kubeconfig: Path, context: str) -> KubeContext:
    contexts = _named(merged, "contexts", "context")
    name = context or str(merged.get("current-context") or "")
    if name not in contexts:
        what = f"has no context {name!r}" if name else "has no current context"
        raise UsageError(
            f"the kubeconfig {kubeconfig} {what}",
            then=f"--context, one of: {', '.join(sorted(contexts)) or 'none is there'}",
        )
    cluster, user = (str(contexts[name].get(part) or "") for part in ("cluster", "user"))
    place = _named(merged, "clusters", "cluster").get(cluster, {})
    server = place.get("server") or ""
    if not server:
        raise UsageError(f"the context {name} of {kubeconfig} names no server")
    if problem := unusable_server(server):
        raise UsageError(f"the context {name} of {kubeconfig} cannot be used: {problem}")
    credentials = _named(merged, "users", "user").get(user, {})
    plugin = (credentials.get("exec") or {}).get("command", "")
    kind = next((words for field, words in _WAYS if credentials.get(field)), "no credentials")
    return KubeContext(
        name=name,
        cluster=cluster,
        server=str(server),
        user=user,
        credentials=kind,
        plugin=str(plugin),
        verifies=not place.get("insecure-skip-tls-verify"),
    )


def _named(merged: Any, plural: str, field: str) -> dict[str, Any]:
    return {one["name"]: one.get(field) or {} for one in merged.get(plural) or () if one.get("name")}


def _plain(node: Any) -> Any:
    """Return what the package wraps, at every level, as dicts and lists."""
    node = getattr(node, "value", node)
    if isinstance(node, dict):
        return {name: _plain(one) for name, one in node.items()}
    return [_plain(one) for one in node] if isinstance(node, list) else node
