"""A lab that exists: its members, its certificates, its etcdctl, what it tells of itself."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from sretool.errors import NoAnswerError, StateError, UsageError
from sretool.lab import control_plane, processes
from sretool.lab.control_plane import ComponentStatus
from sretool.lab.delays import proxy_arguments
from sretool.lab.directory import LabRecord, read_faults
from sretool.lab.kubernetes_files import kubeconfig_path
from sretool.lab.loopback import (
    BEHIND_PROXY_PORT,
    CLIENT_PORT,
    METRICS_PORT,
    PEER_PORT,
    wait_until_closed,
)
from sretool.lab.members import (
    MemberStatus,
    bytes_of,
    etcd_arguments,
    is_healthy,
    members_of,
    read_metrics,
    role_of,
)
from sretool.lab.processes import Running
from sretool.lab.rest import Api
from sretool.lab.spec import LabComponent, LabHome, LabMember, LabSpec

_LOOK_SECONDS = 0.03


class _Role(NamedTuple):
    """A program of the lab: its role, its command line, and where it listens."""

    name: str
    arguments: list[str]
    listens: list[tuple[str, int]]


class Lab:
    """A lab on disk, and whatever of it runs now; nothing is held open."""

    def __init__(self, record: LabRecord, home: LabHome) -> None:
        self.record = record
        self.directory = home.lab_dir(record.spec.name).absolute()
        self.cluster_file = home.cluster_file(record.spec.name)

    @property
    def name(self) -> str:
        return self.record.spec.name

    @property
    def spec(self) -> LabSpec:
        return self.record.spec

    @property
    def bin_dir(self) -> Path:
        """The folder with this lab's `etcd`, `etcdctl` and `etcdutl`."""
        return self.directory / "bin"

    @property
    def tls_dir(self) -> Path:
        return self.directory / "tls"

    @property
    def ca(self) -> Path:
        return self.tls_dir / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.tls_dir / "ca.key"

    @property
    def cert(self) -> Path:
        return self.tls_dir / "client.crt"

    @property
    def key(self) -> Path:
        return self.tls_dir / "client.key"

    @property
    def members(self) -> tuple[LabMember, ...]:
        """The members, with the pids they have now."""
        pids = {one.role: one.pid for one in self.running()}
        return tuple(
            msgspec.structs.replace(member, pid=pids.get(member.name, 0))
            for member in members_of(self.record, self.directory)
        )

    def member(self, name: str) -> LabMember:
        """Return the member `name`; UsageError names those there are."""
        for member in self.members:
            if member.name == name:
                return member
        there = ", ".join(member.name for member in members_of(self.record, self.directory))
        raise UsageError(f"the lab {self.name} has no member {name!r}: it has {there}")

    @property
    def kubeconfig(self) -> Path | None:
        """The administrator's kubeconfig, its context named as the lab; None without Kubernetes."""
        return kubeconfig_path(self.directory) if self.spec.kubernetes else None

    @property
    def components(self) -> tuple[LabComponent, ...]:
        """The Kubernetes programs, the API server first; none without Kubernetes."""
        return control_plane.components_of(self.record, self.directory)

    def api(self) -> Api:
        """Return the administrator's way to the API server; UsageError without Kubernetes."""
        self.require_kubernetes()
        return control_plane.open_api(self.record, self.directory)

    def require_kubernetes(self) -> None:
        """Raise UsageError unless this lab was started with Kubernetes."""
        if not self.spec.kubernetes:
            raise UsageError(
                f"the lab {self.name} was started without Kubernetes",
                then=f"sretool lab down --name {self.name}, then sretool lab up --name {self.name} --kubernetes",
            )

    def running(self) -> list[Running]:
        """Return the lab's live processes; the role of a member's server is the member's name."""
        return processes.find(self.directory)

    def find_running(self, role: str) -> Running | None:
        """Return the live process with this role, if there is one."""
        return next((one for one in self.running() if one.role == role), None)

    def start(self, member: LabMember, *, claim: socket.socket | None = None) -> None:
        """Start the member's server (and proxy) unless it runs; wake it if it is frozen."""
        members = members_of(self.record, self.directory)
        own_port = BEHIND_PROXY_PORT if self.spec.peer_proxy else PEER_PORT
        roles = [
            _Role(
                member.name,
                etcd_arguments(self.record, member, members, lab_dir=self.directory),
                [(member.address, port) for port in (CLIENT_PORT, METRICS_PORT, own_port)],
            )
        ]
        if self.spec.peer_proxy:
            arguments = proxy_arguments(member, members, self.directory)
            roles.insert(0, _Role(f"proxy-{member.name}", arguments, [(member.address, PEER_PORT)]))
        self._start(roles, claim)

    def start_components(self, *names: str, claim: socket.socket | None = None) -> None:
        """Start these Kubernetes programs (all without names) unless they run; wake those that are frozen."""
        members = members_of(self.record, self.directory)
        self._start(
            [
                _Role(
                    one.name,
                    control_plane.component_arguments(one, members, self.directory),
                    [(one.address, one.port)],
                )
                for one in self.components
                if not names or one.name in names
            ],
            claim,
        )

    def become_well(self, *, seconds: float) -> bool:
        """Start what is missing of Kubernetes until all of it is well; False when it is not within `seconds`.

        Again and again, because a program whose lease has run out may still be on its way out.
        """

        def all_well() -> bool:
            self.start_components()
            return all(one.state == "running" for one in self.component_status())

        return processes.wait_until(all_well, seconds=seconds, every=0.1)

    def _start(self, roles: Sequence[_Role], claim: socket.socket | None) -> None:
        running = {one.role: one for one in self.running()}
        for role in roles:
            there = running.get(role.name)
            if there is None:
                wait_until_closed(role.listens)  # one that was killed a moment ago may still hold them
                self.spawn(role.arguments, role=role.name, claim=claim)
            elif there.frozen:
                processes.send(there, signal.SIGCONT)

    def spawn(self, arguments: list[str], *, role: str, claim: socket.socket | None = None) -> int:
        """Start a program that belongs to this lab and ends with it; return its pid."""
        try:
            return processes.start(
                arguments,
                lab_dir=self.directory,
                role=role,
                log_path=self.directory / "log" / f"{role}.log",
                inherit=claim.fileno() if claim else None,
            )
        except OSError as error:
            raise StateError(f"{arguments[0]} cannot be started: {error.strerror}") from error

    def becomes_healthy(
        self, member: LabMember, *, seconds: float, interrupted: threading.Event | None = None
    ) -> bool:
        """Wait until the member serves clients; False after `seconds`, when it has ended, or on `interrupted`."""
        deadline = time.monotonic() + seconds
        while not is_healthy(member):
            over = time.monotonic() > deadline or (interrupted is not None and interrupted.is_set())
            if over or self.find_running(member.name) is None:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def etcdctl(
        self, *arguments: str, stdin: str = "", timeout_seconds: float = 30.0
    ) -> subprocess.CompletedProcess[str]:
        """Run this lab's etcdctl against all its members; NoAnswerError when it takes too long.

        `--endpoints` among the arguments chooses others.
        """
        endpoints = ",".join(member.client_url for member in members_of(self.record, self.directory))
        chosen = (
            [] if any(one.startswith("--endpoints") for one in arguments) else [f"--endpoints={endpoints}"]
        )
        command = [
            str(self.bin_dir / "etcdctl"),
            f"--cacert={self.ca}",
            f"--cert={self.cert}",
            f"--key={self.key}",
            *chosen,
            *arguments,
        ]
        try:
            return subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",  # Kubernetes' objects are no text
                timeout=timeout_seconds,
                check=False,
                env={},  # no ETCDCTL_* of the caller: a flag and its variable together are an error
            )
        except subprocess.TimeoutExpired as error:
            raise NoAnswerError(f"etcdctl {arguments[0]} did not end in {timeout_seconds:g} s") from error
        except OSError as error:
            raise StateError(f"{command[0]} cannot be started: {error.strerror}") from error

    def status(self) -> tuple[MemberStatus, ...]:
        """Read every member at once: running, frozen or down, its role and sizes, the faults in force."""
        running = {one.role: one for one in self.running()}
        faults = read_faults(self.directory)

        def status_of(member: LabMember) -> MemberStatus:
            there = running.get(member.name)
            metrics = read_metrics(member) if there and not there.frozen else {}
            return MemberStatus(
                name=member.name,
                client_url=member.client_url,
                pid=there.pid if there else 0,
                state=processes.state_of(there, answers=bool(metrics)),
                role=role_of(metrics),
                db_size_bytes=bytes_of(metrics, "etcd_mvcc_db_total_size_in_bytes"),
                db_in_use_bytes=bytes_of(metrics, "etcd_mvcc_db_total_size_in_use_in_bytes"),
                faults=tuple(one.fault for one in faults if one.member == member.name),
            )

        members = members_of(self.record, self.directory)
        with ThreadPoolExecutor(len(members)) as pool:
            return tuple(pool.map(status_of, members))

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that are in force on no member, but on Kubernetes."""
        return tuple(one.fault for one in read_faults(self.directory) if not one.member)

    def component_status(self) -> tuple[ComponentStatus, ...]:
        """Ask every Kubernetes program whether it is well; empty without Kubernetes."""
        running = {one.role: one for one in self.running()}

        def status_of(component: LabComponent) -> ComponentStatus:
            there = running.get(component.name)
            well = there and not there.frozen and control_plane.is_well(component, self.directory)
            return ComponentStatus(
                name=component.name,
                url=component.url,
                pid=there.pid if there else 0,
                state=processes.state_of(there, answers=bool(well)),
            )

        return tuple(status_of(one) for one in self.components)
