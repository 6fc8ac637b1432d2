"""A lab's member reached by etcdctl: run here, as it runs in a pod."""

import subprocess
from collections.abc import Mapping
from typing import Any

from sretool.clients.command import CommandOutput
from sretool.clients.etcd import Connection, Endpoint
from sretool.clients.etcd.rpcs import DELETE_RANGE, PUT, TXN, Rpc
from sretool.clients.etcdctl import Etcdctl, EtcdctlConnection
from sretool.errors import NoAnswerError
from sretool.lab import Lab


class LocalEtcdctl:
    """Runs etcdctl as a program of this machine, and keeps what it was asked to run."""

    def __init__(self, lab: Lab) -> None:
        self._program = str(lab.bin_dir / "etcdctl")
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, words: tuple[str, ...], *, timeout_seconds: float) -> CommandOutput:
        self.ran.append(words)
        try:
            ended = subprocess.run(
                [self._program, *words[1:]], capture_output=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise NoAnswerError(f"{words[0]} did not end in {timeout_seconds:g} s") from error
        return CommandOutput(exit_code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)


class FilledByChannel(EtcdctlConnection):
    """Puts and deletes, which etcdctl is never asked for, go through a channel: a test fills etcd with them."""

    def __init__(self, *, channel: Connection, **more: Any) -> None:
        super().__init__(**more)
        self._channel = channel

    def unary(self, rpc: Rpc, fields: Mapping[str, Any], *, timeout_seconds: float, writes: bool) -> Any:
        if rpc in {PUT, DELETE_RANGE, TXN}:
            return self._channel.unary(rpc, fields, timeout_seconds=timeout_seconds, writes=writes)
        return super().unary(rpc, fields, timeout_seconds=timeout_seconds, writes=writes)


def etcdctl_of(lab: Lab, endpoint: Endpoint) -> Etcdctl:
    return Etcdctl(endpoint=endpoint.url, ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))


def etcdctl_connection(lab: Lab, endpoint: Endpoint, *, filled_by: Connection) -> EtcdctlConnection:
    return FilledByChannel(
        channel=filled_by,
        where=str(endpoint),
        etcdctl=etcdctl_of(lab, endpoint),
        run=LocalEtcdctl(lab),
    )
