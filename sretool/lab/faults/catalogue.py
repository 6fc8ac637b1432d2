"""Every fault a lab knows; raising one is recorded before it is done, and until it is undone."""

from collections.abc import Callable

import msgspec

from sretool.errors import LockHeldError, RefusedError, UsageError
from sretool.lab.directory import RaisedFault, locked, read_faults, write_faults
from sretool.lab.faults import database, disk, events, kubernetes, network, servers
from sretool.lab.faults.options import FaultOptions
from sretool.lab.lab import Lab
from sretool.lab.spec import LabMember

Act = Callable[[Lab, LabMember, FaultOptions], str]
LabAct = Callable[[Lab, FaultOptions], str]


def _whole_lab(act: LabAct) -> Act:
    """Return the act of a fault that concerns no member."""
    return lambda lab, _member, options: act(lab, options)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault: what it is, what it needs, the options it reads, how it is raised and undone.

    One that is not `lasting` is a deed (the database is full); nothing keeps it in force. `of_member` tells
    whether it is raised on an etcd member or on the lab's Kubernetes.
    """

    name: str
    summary: str
    inject: Act
    undo: Act
    needs: str = ""
    options: tuple[str, ...] = ()
    lasting: bool = True
    of_member: bool = True


_KUBERNETES = (
    Fault(
        name="api-down",
        summary="kill the API server",
        inject=_whole_lab(kubernetes.api_down),
        undo=_whole_lab(kubernetes.api_up),
        needs="--kubernetes",
        of_member=False,
    ),
    Fault(
        name="event-flood",
        summary="write 100,000 events into etcd as the API server does",
        inject=_whole_lab(events.flood),
        undo=_whole_lab(events.drain),
        needs="--kubernetes",
        options=("--count", "--namespace", "--reason", "--minutes"),
        lasting=False,
        of_member=False,
    ),
    Fault(
        name="runaway",
        summary="let an autoscaler make 500 replicas that fit on no node",
        inject=_whole_lab(kubernetes.runaway),
        undo=_whole_lab(kubernetes.undo_runaway),
        needs="--kubernetes",
        options=("--count", "--namespace"),
        of_member=False,
    ),
    Fault(
        name="bare-namespaces",
        summary="create namespaces without quotas",
        inject=_whole_lab(kubernetes.bare_namespaces),
        undo=_whole_lab(kubernetes.undo_bare_namespaces),
        needs="--kubernetes",
        options=("--count",),
        lasting=False,
        of_member=False,
    ),
    Fault(
        name="not-ready",
        summary="report nodes as NotReady",
        inject=_whole_lab(kubernetes.nodes_not_ready),
        undo=_whole_lab(kubernetes.nodes_ready),
        needs="--kubernetes --nodes",
        options=("--count",),
        of_member=False,
    ),
)

FAULTS = {
    fault.name: fault
    for fault in (
        Fault(name="stop", summary="stop the server in good order", inject=servers.stop, undo=servers.start),
        Fault(name="kill", summary="kill the server", inject=servers.kill, undo=servers.start),
        Fault(name="freeze", summary="freeze the server", inject=servers.freeze, undo=servers.thaw),
        Fault(
            name="fill",
            summary="fill the database to NOSPACE",
            inject=database.fill,
            undo=database.empty,
            options=("--with", "--prefix"),
            lasting=False,
        ),
        Fault(
            name="fragment",
            summary="leave so much free space in every database file",
            inject=database.fragment,
            undo=database.empty,
            options=("--size", "--prefix"),
            lasting=False,
        ),
        Fault(
            name="slow-disk",
            summary="hold up each fsync of the server",
            inject=disk.slow_disk,
            undo=disk.normal_disk,
            needs="strace, and root or ptrace_scope=0",
            options=("--milliseconds",),
        ),
        Fault(
            name="loss",
            summary="lose a share of its peer packets",
            inject=network.loss,
            undo=network.no_loss,
            needs="nft and root",
            options=("--percent",),
        ),
        Fault(
            name="delay",
            summary="delay its peer traffic, each way",
            inject=network.delay,
            undo=network.no_delay,
            needs="a lab started with --peer-proxy",
            options=("--milliseconds",),
        ),
        *_KUBERNETES,
    )
}


def raise_fault(lab: Lab, name: str, member: str = "", options: FaultOptions | None = None) -> str:
    """Raise the fault on the member and return what is now so, in a few words.

    A fault of Kubernetes names no member.

    RefusedError when it is in force already, or what it needs is missing; UsageError for an unknown name.
    """
    fault = _require_fault(name)
    there = _require_place(lab, fault, member)
    with locked(lab.directory) as exists:
        if not exists:
            raise LockHeldError(f"the lab {lab.name} was taken down meanwhile")
        before = read_faults(lab.directory)
        if any((one.fault, one.member) == (name, member) for one in before):
            raise RefusedError(
                f"{name} is in force on {member or 'Kubernetes'} of the lab {lab.name} already",
                then=" ".join(
                    ["sretool lab fault --name", lab.name, name, *([member] * bool(member)), "--undo"]
                ),
            )
        if fault.lasting:
            write_faults(lab.directory, (*before, RaisedFault(fault=name, member=member)))
        try:
            return fault.inject(lab, there, options or FaultOptions())
        except (RefusedError, UsageError):  # before anything was done
            write_faults(lab.directory, before)
            raise


def undo_fault(lab: Lab, name: str, member: str = "", options: FaultOptions | None = None) -> str:
    """Undo the fault, in force or not, and return what is now so."""
    fault = _require_fault(name)
    there = _require_place(lab, fault, member)
    with locked(lab.directory) as exists:
        if not exists:
            raise LockHeldError(f"the lab {lab.name} was taken down meanwhile")
        result = fault.undo(lab, there, options or FaultOptions())
        kept = tuple(one for one in read_faults(lab.directory) if (one.fault, one.member) != (name, member))
        write_faults(lab.directory, kept)
        return result


def _require_fault(name: str) -> Fault:
    if name not in FAULTS:
        raise UsageError(f"there is no fault {name!r}", then=f"faults: {', '.join(FAULTS)}")
    return FAULTS[name]


def _require_place(lab: Lab, fault: Fault, member: str) -> LabMember:
    """Return the member; any one for a fault of Kubernetes, which may name none."""
    if fault.of_member:
        if not member:
            raise UsageError(
                f"on which member? sretool lab fault {fault.name} MEMBER", then="members are m1, m2, m3"
            )
        return lab.member(member)
    lab.require_kubernetes()
    if member:
        raise UsageError(f"{fault.name} concerns the whole lab, not {member}")
    return lab.members[0]
