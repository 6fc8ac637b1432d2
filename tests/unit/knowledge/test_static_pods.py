"""What the flags of static pods say: kubeadm's manifests, and the other shapes that are met."""

import pytest

from sretool.knowledge.static_pods import (
    ETCD,
    is_loopback,
    parse_static_pods,
    reachable_url,
)
from tests.support.kubeadm_pods import api_server_pod, etcd_pod

KUBEADM = {
    "advertise-client-urls": "https://192.0.2.11:2379",
    "initial-advertise-peer-urls": "https://192.0.2.11:2380",
    "initial-cluster": "cp1=https://192.0.2.11:2380",
    "listen-client-urls": "https://127.0.0.1:2379,https://192.0.2.11:2379",
}


def etcd(**spec):
    """Return the parsed etcd pod whose container is changed by `spec`."""
    pod = etcd_pod("cp1", flags=KUBEADM)
    pod["spec"]["containers"][0] |= spec
    (found,) = parse_static_pods([pod], ETCD)
    return found


def test_kubeadms_etcd():
    pod = etcd()
    assert (pod.pod, pod.namespace, pod.container, pod.node) == ("etcd-cp1", "kube-system", "etcd", "cp1")
    assert pod.address == "192.0.2.11"
    assert pod.urls("listen-client-urls") == ("https://127.0.0.1:2379", "https://192.0.2.11:2379")
    assert pod.flag("name") == "cp1"
    assert pod.flag("initial-cluster") == "cp1=https://192.0.2.11:2380"
    assert pod.host_path("trusted-ca-file") == "/etc/kubernetes/pki/etcd/ca.crt"
    assert (pod.flag("quota-backend-bytes"), pod.host_path("quota-backend-bytes")) == ("", "")


@pytest.mark.parametrize(
    ("container", "shape"),
    [
        ({"command": ["/usr/local/bin/etcd", "--data-dir=/var/lib/etcd"]}, "a path"),
        ({"command": ["etcd", "--data-dir", "/var/lib/etcd", "--client-cert-auth"]}, "two words"),
        ({"command": ["etcd", "-data-dir=/var/lib/etcd"]}, "one dash, which Go takes too"),
        ({"command": ["etcd"], "args": ["--data-dir=/var/lib/etcd"]}, "args"),
        ({"command": None, "args": ["--data-dir=/var/lib/etcd"]}, "the image's own entry point"),
        ({"command": ["/bin/sh", "-c", "exec etcd --name=a --data-dir=/var/lib/etcd 2>&1"]}, "a shell"),
        ({"command": ["etcd"], "env": [{"name": "ETCD_DATA_DIR", "value": "/var/lib/etcd"}]}, "environment"),
        (
            {
                "command": ["etcd", "--data-dir=/var/lib/etcd"],
                "env": [{"name": "ETCD_DATA_DIR", "value": "/elsewhere"}, {"name": "HOME"}],
            },
            "a flag wins over the environment",
        ),
    ],
)
def test_every_shape_of_command_line(container, shape):
    assert etcd(**container).flag("data-dir") == "/var/lib/etcd", shape


def test_a_flag_without_a_value_does_not_take_the_next_one():
    pod = etcd(command=["etcd", "--client-cert-auth", "--name=a"])
    assert (pod.flag("client-cert-auth"), pod.flag("name")) == ("", "a")


def test_paths_are_those_of_the_host():
    pod = etcd_pod(
        "cp1", flags={"trusted-ca-file": "/pki/ca.crt", "data-dir": "/data", "key-file": "/pkix/key"}
    )
    pod["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "etcd-certs", "mountPath": "/pki"},
        {"name": "etcd-data", "mountPath": "/data"},
        {"name": "not-from-the-host", "mountPath": "/pkix"},
    ]
    pod["spec"]["volumes"].append({"name": "not-from-the-host", "emptyDir": {}})
    (found,) = parse_static_pods([pod], ETCD)
    assert found.host_path("trusted-ca-file") == "/etc/kubernetes/pki/etcd/ca.crt"
    assert found.host_path("data-dir") == "/var/lib/etcd"
    assert found.host_path("key-file") == "/pkix/key"


def test_other_pods_are_no_etcd_and_order_is_by_node():
    pods = [etcd_pod("b", flags=KUBEADM), etcd_pod("a", flags=KUBEADM), api_server_pod("a", flags={})]
    unlabelled = etcd_pod("c", flags=KUBEADM)
    unlabelled["metadata"]["labels"] = None
    sidecar = etcd_pod("d", flags=KUBEADM)
    sidecar["spec"]["containers"][0] |= {"name": "exporter", "command": ["exporter"]}
    found = parse_static_pods([*pods, unlabelled, sidecar, {"metadata": {}}], ETCD)
    assert [pod.node for pod in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("http://127.0.0.1:2381", True),
        ("http://localhost:2381", True),
        ("http://[::1]:2381", True),
        ("http://192.0.2.11:2381", False),
        ("http://0.0.0.0:2381", False),
    ],
)
def test_loopback(url, there):
    assert is_loopback(url) is there


@pytest.mark.parametrize(
    ("url", "address", "reached"),
    [
        ("http://0.0.0.0:2381", "192.0.2.11", "http://192.0.2.11:2381"),
        ("http://[::]:2381", "2001:db8::1", "http://[2001:db8::1]:2381"),
        ("http://192.0.2.9:2381", "192.0.2.11", "http://192.0.2.9:2381"),
        ("http://0.0.0.0", "192.0.2.11", "http://192.0.2.11"),
    ],
)
def test_a_listener_on_every_address_is_reached_at_the_hosts(url, address, reached):
    assert reachable_url(url, address) == reached
