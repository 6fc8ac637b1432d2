"""Faults of Kubernetes: its API server down, a runaway deployment, namespaces without quotas, nodes NotReady."""

import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sretool.errors import NoAnswerError, NotFoundError, RefusedError, UsageError
from sretool.lab import processes
from sretool.lab.control_plane import API_SERVER, wait_for
from sretool.lab.faults.options import FaultOptions
from sretool.lab.faults.servers import end
from sretool.lab.lab import Lab
from sretool.lab.nodes import node_name, set_ready
from sretool.lab.rest import Api

NAMESPACES = "/api/v1/namespaces"
FAULT_LABEL = "sretool.lab/fault"
"""Carried by each namespace that a fault made, so that its undo finds it."""

WORKLOAD = "web"
"""The name of the runaway deployment and of its HorizontalPodAutoscaler."""

_RUNAWAY = "runaway"
_BARE = "bare"
_BEFORE, _AFTER = 50, 500
_BARE_NAMESPACES = 100
_CONNECTIONS = 4
_READY_SECONDS = 60.0
_SCALED_SECONDS = 90.0
_GONE_SECONDS = 600.0


def api_down(lab: Lab, _options: FaultOptions) -> str:
    """Kill the API server; controller-manager and scheduler end by themselves when their leases run out.

    Killed, because an orderly shutdown waits ten seconds for their watches; its state is all in etcd.
    """
    running = lab.find_running(API_SERVER)
    if running is None:
        raise RefusedError(f"the API server of the lab {lab.name} does not run")
    end(lab, running, signal.SIGKILL)
    return "the API server is down"


def api_up(lab: Lab, _options: FaultOptions) -> str:
    """Start the API server again, and what ended without it."""
    lab.start_components(API_SERVER)
    if not wait_for(lab.record, lab.directory, "/readyz", seconds=_READY_SECONDS):
        return "the API server is started, but is not ready"
    if not lab.become_well(seconds=_READY_SECONDS):
        return f"the API server is ready, and not all else: sretool lab status --name {lab.name}"
    return "Kubernetes is ready"


def runaway(lab: Lab, options: FaultOptions) -> str:
    """Let an autoscaler raise a deployment from 50 to 500 replicas that no node can hold."""
    namespace = options.namespaces[0] if options.namespaces else _RUNAWAY
    wanted = options.count or _AFTER
    began = time.monotonic()
    with lab.api() as api:
        ensure_namespaces(api, [namespace], fault="runaway")
        deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        api.create(deployments, _deployment(min(_BEFORE, wanted)))
        api.create(
            f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", _autoscaler(wanted)
        )

        def is_scaled() -> bool:
            status = api.get(f"{deployments}/{WORKLOAD}")["status"]
            return int(status.get("replicas", 0)) >= wanted

        if not processes.wait_until(is_scaled, seconds=_SCALED_SECONDS, every=0.2):
            raise NoAnswerError(
                f"the autoscaler has not made {wanted} replicas of {namespace}/{WORKLOAD} in"
                f" {_SCALED_SECONDS:g} s",
                then=f"does the controller-manager run? sretool lab status --name {lab.name}",
            )
    seconds = time.monotonic() - began
    return f"{namespace}/{WORKLOAD} has {wanted} replicas that fit on no node, after {seconds:.1f} s"


def bare_namespaces(lab: Lab, options: FaultOptions) -> str:
    """Create namespaces without a ResourceQuota or LimitRange."""
    count = options.count or _BARE_NAMESPACES
    names = [f"{_BARE}-{number:04d}" for number in range(1, count + 1)]
    began = time.monotonic()
    lab.require_kubernetes()

    def create(part: list[str]) -> None:
        with lab.api() as api:
            ensure_namespaces(api, part, fault="bare-namespaces")

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(create, [names[start::_CONNECTIONS] for start in range(_CONNECTIONS)]))
    return f"{count} namespaces {names[0]} to {names[-1]} without quotas, in {time.monotonic() - began:.1f} s"


def nodes_not_ready(lab: Lab, options: FaultOptions) -> str:
    """Report nodes as NotReady, the last ones of the lab first."""
    lab.require_kubernetes()
    count = options.count or 1
    if not 0 < count <= lab.spec.nodes:
        raise UsageError(f"the lab {lab.name} has {lab.spec.nodes} nodes, not {count}")
    names = [node_name(lab.spec.nodes - number) for number in range(count)]
    for name in names:
        set_ready(lab, name, ready=False)
    return f"NotReady: {', '.join(names)}"


def nodes_ready(lab: Lab, _options: FaultOptions) -> str:
    """Report every node as Ready."""
    lab.require_kubernetes()
    for number in range(1, lab.spec.nodes + 1):
        set_ready(lab, node_name(number), ready=True)
    return f"{lab.spec.nodes} nodes are Ready"


def ensure_namespaces(api: Api, names: Iterable[str], *, fault: str) -> None:
    """Create the namespaces that are missing, marked as made by this fault."""
    for name in names:
        metadata = {"name": name, "labels": {FAULT_LABEL: fault}}
        api.ensure(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def remove_namespaces(lab: Lab, *, fault: str) -> str:
    """Remove every namespace that this fault made, and wait until the controller-manager has emptied them."""
    with lab.api() as api:
        made = [
            one["metadata"]["name"] for one in api.items(NAMESPACES, labelSelector=f"{FAULT_LABEL}={fault}")
        ]
        for name in made:
            api.delete(f"{NAMESPACES}/{name}")

        def all_gone() -> bool:
            while made and _is_gone(api, made[-1]):
                made.pop()
            return not made

        count = len(made)
        if not processes.wait_until(all_gone, seconds=_GONE_SECONDS, every=0.2):
            raise NoAnswerError(
                f"{len(made)} of {count} namespaces are still being removed after {_GONE_SECONDS:g} s",
                then=f"does the controller-manager run? sretool lab status --name {lab.name}",
            )
    return f"{count} namespace{'' if count == 1 else 's'} removed"


def undo_runaway(lab: Lab, _options: FaultOptions) -> str:
    """Remove the deployment, its autoscaler and its namespace."""
    return remove_namespaces(lab, fault="runaway")


def undo_bare_namespaces(lab: Lab, _options: FaultOptions) -> str:
    """Remove the namespaces."""
    return remove_namespaces(lab, fault="bare-namespaces")


def _is_gone(api: Api, name: str) -> bool:
    try:
        api.get(f"{NAMESPACES}/{name}")
    except NotFoundError:
        return True
    return False


def _deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": WORKLOAD}
    container = {
        "name": "app",
        "image": "registry.invalid/app:1",
        "resources": {"requests": {"cpu": "1000", "memory": "1Ti"}},
    }
    # Without a kubelet nobody confirms the end of a bound pod: no grace, so that it is removed at once.
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": WORKLOAD, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _autoscaler(replicas: int) -> dict[str, Any]:
    """Return an autoscaler whose minimum is the runaway: it needs no metrics, and puts back what is taken."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": WORKLOAD},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKLOAD},
            "minReplicas": replicas,
            "maxReplicas": replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    }
