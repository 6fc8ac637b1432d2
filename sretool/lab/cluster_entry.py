"""The cluster entry of a lab: the file by which the rest of sretool reaches it."""

import json
from collections.abc import Sequence
from pathlib import Path

from sretool.lab.spec import LabMember


def render_cluster_entry(
    name: str,
    members: Sequence[LabMember],
    *,
    lab_dir: Path,
    ca: Path,
    cert: Path,
    key: Path,
    kubeconfig: Path | None = None,
) -> str:
    """Return the entry as YAML; its first line says which lab it belongs to.

    The kubeconfig's context has the lab's name; None for a lab without Kubernetes.
    """
    lines = [
        _owner(lab_dir),
        f"cluster: {name}",
        "etcd:",
        *(f"  {field}: {quoted(path)}" for field, path in (("ca", ca), ("cert", cert), ("key", key))),
        "  members:",
    ]
    for member in members:
        lines += [
            f"    - name: {member.name}",
            f"      client: {member.client_url}",
            f"      peer: {member.peer_url}",
            f"      metrics: {member.metrics_url}",
            f"      data_dir: {quoted(member.data_dir)}",
        ]
    if kubeconfig is not None:
        lines += ["kubernetes:", f"  kubeconfig: {quoted(kubeconfig)}", f"  context: {name}"]
    return "\n".join(lines) + "\n"


def is_cluster_entry_of(entry: Path, lab_dir: Path) -> bool:
    """Say whether the file was written for this lab, and may be replaced or removed with it."""
    try:
        return entry.read_text(encoding="utf-8", errors="replace").startswith(_owner(lab_dir) + "\n")
    except OSError:
        return False


def _owner(lab_dir: Path) -> str:
    return f"# Written by `sretool lab up`, removed by `sretool lab down`: {lab_dir}"


def quoted(path: Path) -> str:
    """Return a path as a YAML scalar; a JSON string is one, whatever the path contains."""
    text = str(path)
    return (
        text
        if text.replace("/", "").replace("-", "").replace(".", "").replace("_", "").isalnum()
        else json.dumps(text)
    )
