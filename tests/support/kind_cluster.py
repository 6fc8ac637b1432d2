"""A kind cluster that is running: its nodes by `docker`, its kubectl in a node, what is copied out of it."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from sretool.clients.etcd import Endpoint, EtcdWrites, Put, TlsFiles, connect
from sretool.errors import RejectedError
from tests.support.sretool_cli import TIME_LIMIT_SECONDS

ETCD_PKI = "/etc/kubernetes/pki/etcd"
_HEALTH_CHECK = ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key")


class KindCluster:
    """The cluster `name`, whose administrator's kubeconfig on this machine is `kubeconfig`."""

    def __init__(self, name, kubeconfig):
        self.name, self.kubeconfig = name, kubeconfig
        label = f"label=io.x-k8s.kind.cluster={name}"
        listed = _run("docker", "ps", "--filter", label, "--format", "{{.Names}}").split()
        self.nodes = sorted(node for node in listed if "control-plane" in node)

    def kubectl(self, *arguments, given=None):
        """Run kubectl as the administrator, in a node that has it anyway; return what it printed."""
        command = (
            "kubectl",
            "--kubeconfig",
            "/etc/kubernetes/admin.conf",
            "--request-timeout=60s",
            *arguments,
        )
        return _run("docker", "exec", "-i", self.nodes[0], *command, given=given)

    def read(self, *arguments):
        """Return what `kubectl get` finds."""
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def create(self, *objects):
        """Create the objects, all in one request to kubectl."""
        self.kubectl("create", "-f", "-", given="\n---\n".join(json.dumps(one) for one in objects))

    def audited(self, since=()):
        """Return the audit log's records, of every API server, that are not in `since`."""
        known = {one["auditID"] for one in since}
        records = []
        for node in self.nodes:
            whole, _, _ = _run("docker", "exec", node, "cat", "/var/log/kubernetes/audit.log").rpartition(
                "\n"
            )
            records += [json.loads(line) for line in whole.splitlines()]
        return [one for one in records if one["auditID"] not in known]

    def deployment(self, namespace, *, replicas, cpu="", name="web"):
        """Return a Deployment of pods that do nothing, from an image that every node has: the pause image."""
        node, *_ = self.read("nodes")["items"]
        images = [one for image in node["status"]["images"] for one in image["names"] if "/pause:" in one]
        container = {"name": name, "image": images[0], "resources": {"requests": {"cpu": cpu} if cpu else {}}}
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
            },
        }

    def wait_until(self, holds, what, seconds=90):
        """Wait until `holds()`; AssertionError saying `what` was waited for."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, f"{what}: not so after {seconds} s"
            time.sleep(0.5)

    def copy_etcd_certificates(self, folder):
        """Copy the CA and the health check's client certificate out of a node."""
        folder.mkdir()
        for name in _HEALTH_CHECK:
            _run("docker", "cp", f"{self.nodes[0]}:{ETCD_PKI}/{name}", str(folder / name))
        return [folder / name for name in _HEALTH_CHECK]

    def published_etcd(self, node):
        """Return the URL of the node's etcd on this machine."""
        return f"https://{_run('docker', 'port', node, '2379/tcp').splitlines()[0]}"

    def fill_etcd(self, certificates):
        """Write the same keys again and again, far from Kubernetes' own, until etcd raises NOSPACE."""
        ca, cert, key = map(str, certificates)
        node = self.nodes[0]
        value = b"x" * 11_000  # a hundred of them stay below etcd's limit of a request, 1.5 MiB
        puts = [Put(key=b"/filling/%d" % number, value=value) for number in range(100)]
        endpoint = Endpoint(node, self.published_etcd(node))
        full = pytest.raises(RejectedError, match="database space exceeded")
        with connect(endpoint, TlsFiles(ca, cert, key)) as connection, full:
            while True:
                EtcdWrites(connection).txn([], puts, timeout_seconds=30.0)

    def data_folder(self, node):
        """Return where the node's etcd keeps its data on this machine; empty when docker's volumes are elsewhere."""
        where = '{{range .Mounts}}{{if eq .Destination "/var"}}{{.Source}}{{end}}{{end}}'
        folder = Path(_run("docker", "inspect", "-f", where, node).strip()) / "lib" / "etcd"
        return str(folder) if folder.is_dir() else ""

    def address(self, node):
        """Return the node's address in kind's network."""
        return _run("docker", "inspect", "-f", "{{.NetworkSettings.Networks.kind.IPAddress}}", node).strip()


def autoscaler(namespace, *, replicas, name="web"):
    """Return an autoscaler whose minimum is the runaway: it needs no metrics, and puts back what is taken."""
    target = {"type": "Utilization", "averageUtilization": 80}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": replicas,
            "maxReplicas": replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def writes_of(agent, audited):
    """Return the requests of `agent` that changed something: no read, no dry run, no access review."""
    return [
        (one["verb"], one["requestURI"])
        for one in audited
        if one.get("userAgent", "").startswith(agent)
        and one["verb"] not in ("get", "list", "watch")
        and "dryRun=All" not in one["requestURI"]
        and not re.search(r"/self\w+reviews$", one["requestURI"])
    ]


def _run(*command, given=None):
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_SECONDS
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stderr}"
    return done.stdout
