"""Real etcd clusters of every supported version, and clients on them."""

import contextlib
import importlib.util
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sretool.clients.etcd import Endpoint, EtcdReads, EtcdWrites, TlsFiles, connect
from sretool.clients.etcd.gates import SendsRequests
from sretool.errors import RemoteError
from sretool.lab import Lab, LabSpec
from tests.support.etcd_cluster import running_lab, send, wait_stopped
from tests.support.etcdctl import etcdctl_connection

VERSIONS = ("3.4", "3.5", "3.6", "3.7")
CALL = 5.0  # seconds for a call that should succeed at once
_QUICK = ("--heartbeat-interval=50", "--election-timeout=500")  # elections in half of the usual time
_DEBIANS_ETCD = Path("/usr/bin/etcd")


class Cluster:
    """A running lab, with one connection, reader and writer for each member."""

    def __init__(self, lab: Lab, version: str, connections: Sequence[SendsRequests]) -> None:
        self.lab = lab
        self.version = tuple(int(part) for part in version.split("."))
        self.members = lab.members
        self.tls = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))
        self.connections = connections
        self.reads = [EtcdReads(one) for one in connections]
        self.writes = [EtcdWrites(one) for one in connections]
        # Asked before any test compacts: the answer of an etcd that never has.
        self.first_compact_revision = self.reads[0].compact_revision_by_watch(timeout_seconds=CALL)

    def endpoint(self, index: int) -> Endpoint:
        return Endpoint(self.members[index].name, self.members[index].client_url)

    def pid(self, index: int) -> int:
        """0, which would signal the tests themselves, never gets out of here."""
        pid = self.lab.members[index].pid
        assert pid > 0, f"{self.members[index].name} does not run"
        return pid

    def leader(self) -> int:
        for _ in range(100):
            statuses = [one.status(timeout_seconds=CALL) for one in self.reads]
            leads = [index for index, status in enumerate(statuses) if status.is_leader]
            if leads and len({status.leader for status in statuses}) == 1:
                return leads[0]
            time.sleep(0.05)
        raise AssertionError("the members do not agree on a leader")

    def follower(self) -> int:
        return (self.leader() + 1) % len(self.reads)

    @contextmanager
    def frozen(self, *indexes: int) -> Iterator[None]:
        pids = [self.pid(index) for index in indexes]
        try:
            for pid in pids:
                send(pid, signal.SIGSTOP)
                wait_stopped(pid)
            yield
        finally:
            for pid in pids:
                send(pid, signal.SIGCONT)
            self.leader()

    def stop(self, index: int) -> None:
        """Kill a member and wait until its port is closed, which is after the process is a zombie."""
        send(self.pid(index), signal.SIGKILL)
        endpoint = self.endpoint(index)
        for _ in range(200):
            try:
                socket.create_connection((endpoint.host, endpoint.port), 1).close()
            except ConnectionRefusedError:
                return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"{endpoint} was killed and still accepts")

    @contextmanager
    def killed(self, index: int) -> Iterator[None]:
        self.stop(index)
        try:
            yield
        finally:
            self.restart(index)

    def restart(self, index: int) -> None:
        self.lab.start(self.members[index])
        for _ in range(200):
            with contextlib.suppress(RemoteError), connect(self.endpoint(index), self.tls) as fresh:
                if EtcdReads(fresh).status(timeout_seconds=1).leader:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.members[index].name} was started and does not answer")


def spec_of(version: str, *, members: int, quota_bytes: int = 0) -> LabSpec:
    """3.4 is not built by the lab: it is the one that Debian 12 has."""
    name = f"contract-{version.replace('.', '-')}-{members}"
    if version != "3.4":
        return LabSpec(name=name, members=members, version=version, quota_bytes=quota_bytes, flags=_QUICK)
    if not _DEBIANS_ETCD.exists() or "Version: 3.4" not in _told_version():
        pytest.skip("needs etcd 3.4: apt-get install etcd-server, on Debian 12")
    return LabSpec(name=name, members=members, etcd=str(_DEBIANS_ETCD), quota_bytes=quota_bytes, flags=_QUICK)


def _told_version() -> str:
    command = [str(_DEBIANS_ETCD), "--version"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


@contextmanager
def running_cluster(base: Path, spec: LabSpec, version: str, client: str) -> Iterator[Cluster]:
    with running_lab(base, spec) as lab, ExitStack() as stack:
        tls = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))
        endpoints = [Endpoint(member.name, member.client_url) for member in lab.members]
        if client == "python-etcd3":
            from sretool.clients.etcd.python_etcd3 import connection_over, python_etcd3_client

            theirs = [
                stack.enter_context(python_etcd3_client(one, tls, timeout_seconds=CALL)) for one in endpoints
            ]
            connections = [connection_over(*pair) for pair in zip(theirs, endpoints, strict=True)]
        elif client == "etcdctl":
            channels = [stack.enter_context(connect(one, tls)) for one in endpoints]
            connections = [
                etcdctl_connection(lab, one, filled_by=channel)
                for one, channel in zip(endpoints, channels, strict=True)
            ]
        else:
            connections = [stack.enter_context(connect(one, tls)) for one in endpoints]
        yield Cluster(lab, version, connections)


CLIENTS = (*((version, "own") for version in VERSIONS), ("3.6", "python-etcd3"), ("3.6", "etcdctl"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hold every client to a test that takes `cluster`, except etcdctl where it needs a channel of its own."""
    if "cluster" in metafunc.fixturenames:
        is_by_channel = metafunc.definition.get_closest_marker("by_channel") is not None
        clients = [one for one in CLIENTS if not (is_by_channel and one[1] == "etcdctl")]
        metafunc.parametrize("cluster", clients, ids="-".join, indirect=True, scope="module")


def require_etcd3() -> None:
    if importlib.util.find_spec("etcd3") is None:
        pytest.skip("needs python-etcd3: pip install 'sretool[etcd3]'")


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members with TLS, shared by the tests of a module; each test leaves every member up."""
    version, client = request.param
    if client == "python-etcd3":
        require_etcd3()
    base = tmp_path_factory.mktemp(re.sub(r"\W", "-", f"{version}-{client}"))
    with running_cluster(base, spec_of(version, members=3), version, client) as running:
        yield running


@pytest.fixture(scope="module", params=VERSIONS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One member with TLS and a quota of 16 MiB."""
    base = tmp_path_factory.mktemp("small")
    spec = spec_of(request.param, members=1, quota_bytes=16 << 20)
    with running_cluster(base, spec, request.param, "own") as running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> bytes:
    """A key prefix that no other test uses."""
    return f"/{request.node.name}/".encode()
