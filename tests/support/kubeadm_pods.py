"""Static pods as kubeadm writes them and the kubelet mirrors them, with flags of a lab's etcd or given ones."""


def etcd_pod(
    name,
    *,
    node="",
    flags,
    host_ip="192.0.2.11",
    certificates="/etc/kubernetes/pki/etcd",
    data_dir="/var/lib/etcd",
):
    """Return the mirror pod of etcd on `node`; `flags` are added to kubeadm's or replace them."""
    node = node or name
    given = {
        "name": name,
        "data-dir": data_dir,
        "cert-file": f"{certificates}/server.crt",
        "key-file": f"{certificates}/server.key",
        "trusted-ca-file": f"{certificates}/ca.crt",
        "client-cert-auth": "true",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "snapshot-count": "10000",
    } | flags
    mounts = {"etcd-data": data_dir, "etcd-certs": certificates}
    return _pod("etcd", node, given, mounts, host_ip)


def api_server_pod(node, *, flags, host_ip="192.0.2.11", certificates="/etc/kubernetes/pki"):
    """Return the mirror pod of the API server on `node`."""
    given = {
        "advertise-address": host_ip,
        "etcd-cafile": f"{certificates}/etcd/ca.crt",
        "etcd-certfile": f"{certificates}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{certificates}/apiserver-etcd-client.key",
        "etcd-servers": "https://127.0.0.1:2379",
    } | flags
    return _pod("kube-apiserver", node, given, {"k8s-certs": certificates}, host_ip)


def _pod(program, node, flags, mounts, host_ip):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{program}-{node}",
            "namespace": "kube-system",
            "labels": {"component": program, "tier": "control-plane"},
            "annotations": {"kubernetes.io/config.source": "file"},
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "containers": [
                {
                    "name": program,
                    "image": f"registry.k8s.io/{program}:3.6.5-0",
                    "command": [program, *(f"--{name}={value}" for name, value in flags.items())],
                    "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
                }
            ],
            "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in mounts.items()],
        },
        "status": {"hostIP": host_ip, "phase": "Running"},
    }


def mirror(api, pod):
    """Create the pod and give it its status, as a kubelet does for what it mirrors."""
    path = "/api/v1/namespaces/kube-system/pods"
    api.create(path, {key: value for key, value in pod.items() if key != "status"})
    api.patch(f"{path}/{pod['metadata']['name']}/status", {"status": pod["status"]})
