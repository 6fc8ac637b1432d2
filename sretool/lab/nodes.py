"""Nodes without kubelets: objects that hold the state they were given, because nobody reports another.

Pods are scheduled onto them and bound, and then stay Pending: nobody starts them, unless `report_running`
says so. Nobody confirms their end either: a pod with a grace period stays Terminating.
"""

import datetime as dt
from typing import Any

from sretool.lab.lab import Lab

_NODES = "/api/v1/nodes"
_CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110"}


def ensure_nodes(lab: Lab) -> None:
    """Create the Node objects of the lab's specification that are missing, Ready, with 8 CPUs and 16 GiB."""
    if not lab.spec.nodes:
        return
    with lab.api() as api:
        there = {one["metadata"]["name"] for one in api.items(_NODES)}
        for number in range(1, lab.spec.nodes + 1):
            if node_name(number) not in there:
                api.ensure(_NODES, _node(node_name(number), lab.record.kubernetes))


def set_ready(lab: Lab, name: str, *, ready: bool) -> None:
    """Report the node as Ready or NotReady, as its kubelet would."""
    body = {"status": {"conditions": [_condition(ready=ready)]}}
    with lab.api() as api:
        api.patch(f"{_NODES}/{name}/status", body, kind="strategic")


def report_running(lab: Lab, namespace: str) -> int:
    """Report every bound pod of the namespace as Running and Ready, as its kubelet would; return how many."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    status = {
        "phase": "Running",
        "startTime": _now(),
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": _now()}
            for kind in ("Initialized", "ContainersReady", "Ready")
        ],
    }
    with lab.api() as api:
        bound = api.items(pods, fieldSelector="spec.nodeName!=,status.phase=Pending")
        for pod in bound:
            api.patch(f"{pods}/{pod['metadata']['name']}/status", {"status": status}, kind="strategic")
    return len(bound)


def node_name(number: int) -> str:
    """Return the name of the node with this number, from 1."""
    return f"node-{number}"


def _node(name: str, version: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "conditions": [_condition(ready=True)],
            "nodeInfo": {
                "kubeletVersion": f"v{version}",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "machineID": name,
                "systemUUID": name,
                "bootID": name,
                "kernelVersion": "",
                "osImage": "no kubelet",
                "containerRuntimeVersion": "none://",
                "kubeProxyVersion": "",
            },
        },
    }


def _condition(*, ready: bool) -> dict[str, str]:
    return {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "KubeletReady" if ready else "KubeletNotReady",
        "message": "set by sretool lab: no kubelet runs here",
        "lastHeartbeatTime": _now(),
        "lastTransitionTime": _now(),
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
