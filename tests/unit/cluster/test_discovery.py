"""What discovery makes of static pods whose manifests are broken: that may be why it was called."""

import os
import subprocess
import sys
from typing import Any

import pytest

from sretool.clock import Deadline, SystemClock
from sretool.cluster.discovery import Discovery, discover
from sretool.cluster.inventory import KubernetesAccess
from sretool.cluster.kubernetes_connection import KubernetesConnection
from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.cluster.this_machine import is_here
from tests.support.http_stub import Reply, serve, write_kubeconfig
from tests.support.kubeadm_pods import api_server_pod, etcd_pod


@pytest.fixture
def discovered(tmp_path):
    """Return what is found where kube-system holds `pods`, and `nodes` are the control plane's."""

    def run(*pods: Any, nodes: Any = ()) -> Discovery:
        def reply(asked):
            return Reply(body={"items": list(pods if "/pods" in asked.path else nodes)})

        with serve(reply) as (_, url):
            access = KubernetesAccess(kubeconfig=write_kubeconfig(tmp_path / "kubeconfig", url))
            connection = KubernetesConnection(access)
            try:
                read = KubernetesReader(connection, deadline=Deadline(SystemClock(), 30))
                return discover(read, "found", access)
            finally:
                connection.close()

    return run


def pod(number, **changed):
    flags = {
        "advertise-client-urls": f"https://10.0.0.{number}:2379",
        "initial-advertise-peer-urls": f"https://10.0.0.{number}:2380",
        "listen-client-urls": f"https://127.0.0.1:2379,https://10.0.0.{number}:2379",
    }
    more = {name.replace("_", "-"): value for name, value in changed.items()}
    return etcd_pod(f"m{number}", node=f"cp{number}", flags=flags | more)


def said(found, path):
    return [(one.state, one.found) for one in found.checks if one.path == path]


@pytest.mark.parametrize(
    "broken",
    [
        {"advertise_client_urls": ""},
        {"advertise_client_urls": "htps//10.0.0.2:2379"},
        {"advertise_client_urls": "https://[::1"},
        {"advertise_client_urls": "https://10.0.0.2:abc"},
        {"advertise_client_urls": "https://$(POD_IP):2379"},
        {"initial_advertise_peer_urls": ""},
        {"advertise_client_urls": "https://10.0.0.1:2379"},
        {"name": "m1"},
    ],
)
def test_a_member_that_cannot_be_asked_is_left_out_and_named_and_the_others_are_found(discovered, broken):
    found = discovered(pod(1), pod(2, **broken), pod(3))
    assert [one.client for one in found.entry.etcd.members] == [
        "https://10.0.0.1:2379",
        "https://10.0.0.3:2379",
    ]
    ((state, _),) = said(found, "URLs")
    assert state == "MISSING"
    assert any("pod etcd-cp2" in one.then and "left out" in one.then for one in found.checks)


def test_a_password_in_a_manifest_is_not_told(discovered):
    servers = ("https://me:pa55word@10.0.0.1:2379", "https://you:pa55word@10.0.0.1:2379")
    pods = [api_server_pod(f"cp{index}", flags={"etcd-servers": one}) for index, one in enumerate(servers)]
    metrics = {"listen_metrics_urls": servers[0], "advertise_client_urls": servers[0]}
    for found in (discovered(*pods), discovered(*pods, pod(1), pod(2, **metrics))):
        assert "https://(masked)@10.0.0.1:2379" in str(found.checks)
        assert "pa55word" not in str(found)


def test_where_no_member_can_be_asked_there_is_no_entry(discovered):
    assert discovered(pod(1, advertise_client_urls="")).entry is None


@pytest.mark.parametrize("url", ["http://[::1", "http://0.0.0.0:abc", "2381"])
def test_metrics_that_are_no_url_are_missing_and_nothing_else_is(discovered, url):
    found = discovered(
        pod(1, listen_metrics_urls=url, listen_client_urls="https://[::,https://10.0.0.1:2379")
    )
    (member,) = found.entry.etcd.members
    assert (member.metrics, member.pod.endpoint) == ("", "https://10.0.0.1:2379")
    ((state, words),) = said(found, "metrics")
    assert state == "MISSING"
    assert url in words


def test_an_answer_without_names_is_no_bug(discovered):
    assert discovered(pod(1), nodes=[{}, {"metadata": None}]).entry is not None


def test_an_address_is_here_where_the_kernel_would_use_it_itself():
    assert is_here("127.0.0.1")
    assert is_here("127.0.10.11")
    assert not any(is_here(one) for one in ("192.0.2.11", "", "node-1", "0.0.0.0", "2001:db8::1"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_that_any_address_can_be_bound_makes_none_of_them_ours():
    """As on control-plane hosts that share a floating address."""
    script = (
        "import socket\n"
        "from sretool.cluster.this_machine import is_here\n"
        "socket.socket(type=socket.SOCK_DGRAM).bind(('192.0.2.11', 0))\n"
        "print(is_here('192.0.2.11'))\n"
    )
    setup = "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", f'{setup} && exec "$0" -c "$1"', sys.executable, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "False\n", done.stderr
