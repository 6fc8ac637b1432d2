"""Bring a lab up, open it, take it down; nothing of it survives `down`, whenever anything was killed."""

import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sretool.errors import NoAnswerError, RefusedError, StateError, UsageError
from sretool.lab import processes
from sretool.lab.binaries import require_binaries
from sretool.lab.builds import remove_unfinished_builds
from sretool.lab.cluster_entry import is_cluster_entry_of, render_cluster_entry
from sretool.lab.control_plane import API_SERVER, DEFAULT_ACCOUNT, not_ready, wait_for
from sretool.lab.directory import (
    LabRecord,
    locked,
    read_faults,
    read_record,
    unfinished,
    write_faults,
    write_record,
    write_whole,
)
from sretool.lab.kubernetes_binaries import COMPONENTS, require_kubernetes
from sretool.lab.lab import Lab
from sretool.lab.loopback import claim_again, free_block
from sretool.lab.members import last_words
from sretool.lab.network import remove_packet_rules
from sretool.lab.nodes import ensure_nodes
from sretool.lab.spec import LabHome, LabSpec, check_name, check_spec

_HEALTHY_SECONDS = 40.0
_READY_SECONDS = 60.0
_UNDONE_BY_UP = ("stop", "kill", "freeze", "api-down")


def up(spec: LabSpec, *, home: LabHome, progress: Callable[[str], None]) -> Lab:
    """Start the lab, or the members of it that are down, and return it when every member is healthy.

    RefusedError when the name stands for another lab or cluster, or when etcd cannot be had;
    NoAnswerError when a member does not become healthy.
    """
    check_spec(spec)
    try:
        return _up(spec, home, progress)
    except OSError as error:
        raise _unusable(error) from error


def _up(spec: LabSpec, home: LabHome, progress: Callable[[str], None]) -> Lab:
    lab_dir = home.lab_dir(spec.name).absolute()
    entry = home.cluster_file(spec.name)
    if entry.exists() and not is_cluster_entry_of(entry, lab_dir):
        raise RefusedError(f"{entry} describes a cluster that is no lab", then="choose another --name")
    lab_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(lab_dir) as exists:
        if not exists:
            raise RefusedError(f"the lab {spec.name} was taken down meanwhile", then="run the command again")
        record, claim = read_record(lab_dir), None
        if record is None:
            record, claim = _prepare_whole(spec, lab_dir, home=home, progress=progress)
        if record.spec != spec:
            raise RefusedError(
                f"the lab {spec.name} exists and differs: {_difference(record.spec, spec)}",
                then=f"sretool lab down --name {spec.name}, or choose another --name",
            )
        lab = Lab(record, home)
        _start_missing(lab, claim)
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_whole(entry, _entry(lab).encode())
        _wait_healthy(lab)
        if spec.kubernetes:
            _wait_ready(lab)
            ensure_nodes(lab)
    return lab


def open_lab(name: str, home: LabHome) -> Lab:
    """Return the lab `name`; UsageError when there is none."""
    check_name(name)
    record = read_record(home.lab_dir(name))
    if record is None:
        there = ", ".join(complete_labs(home)) or "none"
        raise UsageError(f"there is no lab {name} (labs: {there})", then=f"sretool lab up --name {name}")
    return Lab(record, home)


def labs(home: LabHome) -> list[str]:
    """Return the names of all labs, also of one whose start was cut short."""
    folder = home.state / "labs"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def complete_labs(home: LabHome) -> list[str]:
    """Return the names of the labs that can be opened."""
    return [name for name in labs(home) if read_record(home.lab_dir(name)) is not None]


def down(name: str, home: LabHome) -> bool:
    """Undo the lab's faults, end its processes, remove its files; False when there was nothing at all.

    StateError when a process cannot be ended or a file cannot be removed.
    """
    check_name(name)
    try:
        return _down(name, home)
    except OSError as error:
        raise _unusable(error) from error


def _down(name: str, home: LabHome) -> bool:
    lab_dir = home.lab_dir(name).absolute()
    with locked(lab_dir) as exists:
        found = bool(processes.find(lab_dir))
        if found and not processes.end_all(lab_dir):
            pids = ", ".join(str(one.pid) for one in processes.find(lab_dir))
            raise StateError(f"processes of the lab {name} do not end: {pids}", then="look at them with ps")
        # After the end of its processes: whatever an interrupted `up` still had to do is done or dead.
        block = _block(lab_dir)
        if block is not None:
            remove_packet_rules(block)
        remove_unfinished_builds(home.cache)
        entry = home.cluster_file(name)
        unfinished(entry).unlink(missing_ok=True)
        if is_cluster_entry_of(entry, lab_dir):
            entry.unlink(missing_ok=True)
            found = True
        if exists:
            shutil.rmtree(lab_dir)
    return exists or found


def _unusable(error: OSError) -> StateError:
    return StateError(f"{error.filename or 'the state of the lab'} cannot be used: {error.strerror or error}")


def _block(lab_dir: Path) -> int | None:
    try:
        record = read_record(lab_dir)
    except StateError:
        return None
    return record.block if record else None


def _prepare_whole(
    spec: LabSpec, lab_dir: Path, *, home: LabHome, progress: Callable[[str], None]
) -> tuple[LabRecord, socket.socket]:
    try:
        return _prepare(spec, lab_dir, home=home, progress=progress)
    except BaseException:
        shutil.rmtree(lab_dir, ignore_errors=True)  # nothing runs yet
        raise


def _prepare(
    spec: LabSpec, lab_dir: Path, *, home: LabHome, progress: Callable[[str], None]
) -> tuple[LabRecord, socket.socket]:
    """Write everything a lab needs before its first process, its record last; return it with the claim of its
    addresses."""
    from sretool.lab.certificates import create_authority, issue_client, issue_server
    from sretool.lab.kubernetes_files import write_kubernetes_files

    binaries = require_binaries(spec, cache=home.cache, lab_dir=lab_dir, progress=progress)
    kubernetes = (
        require_kubernetes(cache=home.cache, lab_dir=lab_dir, progress=progress) if spec.kubernetes else None
    )
    block, claim = free_block(taken=_blocks(home))
    record = LabRecord(
        spec=spec,
        version=binaries.version,
        block=block,
        kubernetes=kubernetes.version if kubernetes else "",
    )
    lab = Lab(record, home)
    for folder in (lab.tls_dir, lab.bin_dir, lab_dir / "data", lab_dir / "log"):
        shutil.rmtree(folder, ignore_errors=True)  # what a killed `up` began
        folder.mkdir(mode=0o700)
    for name in ("etcd", "etcdctl", "etcdutl"):
        (lab.bin_dir / name).symlink_to(getattr(binaries, name))
    authority = create_authority(lab.tls_dir)
    issue_client(authority, lab.tls_dir, name="client")
    for member in lab.members:
        issue_server(authority, lab.tls_dir, name=member.name, addresses=(member.address, "127.0.0.1"))
    if kubernetes:
        for name in COMPONENTS:
            (lab.bin_dir / name).symlink_to(kubernetes.folder / name)
        server = lab.components[0]
        write_kubernetes_files(
            lab.directory, name=lab.name, address=server.address, server=server.url, etcd_ca=authority
        )
    write_record(lab_dir, record)
    return record, claim


def _entry(lab: Lab) -> str:
    return render_cluster_entry(
        lab.name,
        lab.members,
        lab_dir=lab.directory,
        ca=lab.ca,
        cert=lab.cert,
        key=lab.key,
        kubeconfig=lab.kubeconfig,
    )


def _blocks(home: LabHome) -> set[int]:
    """Return the blocks of this person's labs, also of those whose members are all down."""
    found = (_block(home.lab_dir(name)) for name in labs(home))
    return {block for block in found if block is not None}


def _difference(there: LabSpec, wanted: LabSpec) -> str:
    fields = [name for name in LabSpec.__struct_fields__ if getattr(there, name) != getattr(wanted, name)]
    return ", ".join(f"{name} is {getattr(there, name)!r}, not {getattr(wanted, name)!r}" for name in fields)


def _start_missing(lab: Lab, claim: socket.socket | None) -> None:
    """Start what does not run, wake what is frozen, and forget the faults that this undoes."""
    running = lab.running()
    claim = claim or (None if running else claim_again(lab.record.block))
    if claim is None and not running:
        raise RefusedError(
            f"the addresses of the lab {lab.name} (127.0.{lab.record.block}.x) are in use by another lab",
            then=f"end that one, or this one: sretool lab down --name {lab.name}",
        )
    try:
        for member in lab.members:
            lab.start(member, claim=claim)
        lab.start_components(API_SERVER, claim=claim)
    finally:
        if claim is not None:
            claim.close()
    faults = read_faults(lab.directory)
    kept = tuple(one for one in faults if one.fault not in _UNDONE_BY_UP)
    if kept != faults:
        write_faults(lab.directory, kept)


def _wait_healthy(lab: Lab) -> None:
    """Wait for every member at once; NoAnswerError names the one that is not, and its log's last error."""
    interrupted = threading.Event()
    members = lab.members
    with ThreadPoolExecutor(len(members)) as pool:
        try:
            healthy = list(
                pool.map(
                    lambda member: lab.becomes_healthy(
                        member, seconds=_HEALTHY_SECONDS, interrupted=interrupted
                    ),
                    members,
                )
            )
        finally:
            interrupted.set()  # a Ctrl-C ends the waiting threads too
    for member, good in zip(members, healthy, strict=True):
        if not good:
            raise NoAnswerError(
                f"{member.name} of the lab {lab.name} is not healthy: {last_words(member) or 'no answer'}",
                endpoint=member.client_url,
                then=f"its log is {member.log_path}; sretool lab down --name {lab.name} removes the lab",
            )


def _wait_ready(lab: Lab) -> None:
    """Wait for the API server, start what needs it, wait for that; NoAnswerError with what the logs say."""
    ready = (
        wait_for(lab.record, lab.directory, "/readyz", seconds=_READY_SECONDS)
        # Not before: the controller-manager ends when its role has not been written yet.
        and lab.become_well(seconds=_READY_SECONDS)
        and wait_for(lab.record, lab.directory, DEFAULT_ACCOUNT, seconds=_READY_SECONDS)
    )
    if not ready:
        raise not_ready(lab.components, lab.name)
