"""A quota and defaults in a thousand namespaces, and again with nothing to do: against `kubectl apply`."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.programs import require_kubectl
from bench.stage import Stage
from sretool.clients.kubernetes import Connection, KubernetesReads, KubernetesWrites
from sretool.lab import LabSpec
from sretool.lab.kubernetes_files import kubeconfig_path

_COUNT = 1000
_NAMES = tuple(f"team-{number:04}" for number in range(_COUNT))
_HARD = {"pods": "100", "requests.cpu": "20"}
_REQUESTS = {"cpu": "100m"}
_KINDS = ("limitranges", "resourcequotas")
_LIMIT_SECONDS = 30.0
_THREADS = 8
_KUBECTL = "kubectl apply --server-side"


def cases(stage: Stage) -> Cases:
    kubectl = require_kubectl(stage.tell)
    with stage.lab(LabSpec(name="quotas", kubernetes=True)) as lab:
        connection = Connection(str(kubeconfig_path(lab.directory)))
        try:
            stage.tell(f"quota-rollout: making {_COUNT} namespaces")
            _make_namespaces(connection)
            manifest = stage.home / "quotas.json"
            manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(_objects())}))
            sides = {
                "sretool": partial(ours, stage, connection),
                _KUBECTL: partial(peer, stage, connection, kubectl, kubeconfig_path(lab.directory), manifest),
            }
            yield Case(
                name=f"{_COUNT} namespaces, none has any",
                sides=sides,
                rounds=3,
                prepare=partial(_clear, connection),
                goals=(Goal(quantity="seconds", limit=0.6, against=_KUBECTL),),
                note="sretool plans, asks the server first, and looks at every object afterwards; kubectl does not",
            )
            ours(stage, connection)  # the fields are now sretool's too: nothing is to do for either
            yield Case(
                name=f"{_COUNT} namespaces, all have them",
                sides=sides,
                rounds=3,
                goals=(Goal(quantity="seconds", limit=0.05, against=_KUBECTL),),
            )
        finally:
            connection.close()


def ours(stage: Stage, connection: Connection) -> Sample:
    given = {
        "namespaces": "team-*",
        "hard": ",".join(f"{name}={limit}" for name, limit in _HARD.items()),
        "default_requests": ",".join(f"{name}={amount}" for name, amount in _REQUESTS.items()),
    }
    params = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    finished = stage.sretool("runbook", "quota-rollout", *params, "--approve", "reversible").require(0)
    check(connection)
    return {"seconds": finished.seconds, "peak_mb": finished.peak_mb}


def peer(stage: Stage, connection: Connection, kubectl: Path, kubeconfig: Path, manifest: Path) -> Sample:
    command = [str(kubectl), f"--kubeconfig={kubeconfig}", "apply", "--server-side", "-f", str(manifest)]
    finished = stage.run(command).require(0)
    check(connection)
    return {"seconds": finished.seconds, "peak_mb": finished.peak_mb}


def check(connection: Connection) -> None:
    """Every namespace has both objects."""
    reads = KubernetesReads(connection)
    for kind in _KINDS:
        pages = reads.pages(f"/api/v1/{kind}", timeout_seconds=_LIMIT_SECONDS)
        there = {one["metadata"]["namespace"] for page in pages for one in page}
        if missing := set(_NAMES) - there:
            raise WrongAnswerError(f"{len(missing)} namespaces have no {kind}")


def _objects() -> Iterable[dict[str, Any]]:
    limits = [{"type": "Container", "defaultRequest": _REQUESTS}]
    specs = {"LimitRange": {"limits": limits}, "ResourceQuota": {"hard": _HARD}}
    for name in _NAMES:
        for kind, spec in specs.items():
            metadata = {"name": "sretool", "namespace": name}
            yield {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}


def _make_namespaces(connection: Connection) -> None:
    writes = KubernetesWrites(connection)

    def make(name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        writes.post("/api/v1/namespaces", body, timeout_seconds=_LIMIT_SECONDS)

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(make, [*_NAMES, "beside"]))  # a selection of all namespaces is refused


def _clear(connection: Connection) -> None:
    writes = KubernetesWrites(connection)

    def clear(name: str) -> None:
        for kind in _KINDS:
            path = f"/api/v1/namespaces/{name}/{kind}"
            writes.delete_collection(path, limit=500, timeout_seconds=_LIMIT_SECONDS)

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(clear, _NAMES))
