"""Tests on a real kind cluster that runs already; `make test-kind` starts one and says here which it is."""

import json
import os
from pathlib import Path

import pytest

from tests.support.kind_cluster import KindCluster
from tests.support.sretool_cli import Sretool

KUBECONFIG = os.environ.get("SRETOOL_TEST_KIND_KUBECONFIG", "")
NAME = os.environ.get("SRETOOL_TEST_KIND_NAME", "")

collect_ignore_glob = [] if KUBECONFIG and NAME else ["*"]

ENTRY = """\
cluster: kind
etcd:
  ca: {ca}
  cert: {cert}
  key: {key}
  members:
{members}
kubernetes:
  kubeconfig: {kubeconfig}
"""
MEMBER = """\
    - name: {node}
      client: {client}
      peer: https://{address}:2380
      data_dir: {data}
"""


@pytest.fixture(scope="session")
def kind():
    return KindCluster(NAME, KUBECONFIG)


@pytest.fixture(scope="session")
def certificates(kind, tmp_path_factory):
    """The CA, and the client certificate and key of etcd's health check, copied out of a node."""
    return kind.copy_etcd_certificates(tmp_path_factory.mktemp("copied") / "pki")


@pytest.fixture(scope="session")
def sretool(kind, certificates, tmp_path_factory):
    """sretool that reaches etcd by its published ports, with certificates copied out of a node."""
    base = tmp_path_factory.mktemp("published")
    ca, cert, key = certificates
    members = "".join(
        MEMBER.format(
            node=node,
            client=kind.published_etcd(node),
            address=kind.address(node),
            data=json.dumps(kind.data_folder(node)),
        )
        for node in kind.nodes
    )
    entry = ENTRY.format(
        ca=ca, cert=cert, key=key, members=members, kubeconfig=Path(kind.kubeconfig).absolute()
    )
    folder = base / "config" / "sretool" / "clusters"
    folder.mkdir(parents=True)
    (folder / "kind.yaml").write_text(entry)
    return Sretool(base, "kind")


@pytest.fixture
def namespaces(kind):
    """Creates namespaces by name, and removes them with all that is in them."""
    made = []

    def create(*names):
        made.extend(names)
        kind.create(
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names)
        )

    yield create
    if made:
        kind.kubectl("delete", "namespace", *made, "--timeout=90s")
