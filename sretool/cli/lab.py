"""`sretool lab`: a real local control plane to rehearse on, and faults to break it with."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sretool.cli import streams

if TYPE_CHECKING:
    from sretool.lab import Lab, MemberStatus

_DEFAULT = "lab"


def _quantity(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    from sretool.step.units import Quantity

    try:
        return None if text is None else int(Quantity.parse(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _name_option(about: str) -> Callable[[Any], Any]:
    return click.option("--name", default=_DEFAULT, show_default=True, help=about)


@click.group()
def lab() -> None:
    """Start, break and end a real local etcd, or a whole control plane, as processes on loopback addresses."""


@lab.command()
@_name_option("Name of the lab, and of its cluster.")
@click.option("--members", type=int, help="1, 3 or 5 members; 3 without it.")
@click.option("--version", help="etcd 3.5, 3.6 or 3.7, built once if need be; 3.6 without it.")
@click.option("--etcd", type=click.Path(path_type=Path), help="An etcd binary of your own, 3.4 or later.")
@click.option(
    "--quota", "quota_bytes", callback=_quantity, metavar="SIZE", help="Database quota, such as 64Mi."
)
@click.option(
    "--peer-proxy", is_flag=True, default=None, help="A proxy before each peer port, for the fault `delay`."
)
@click.option(
    "--kubernetes",
    is_flag=True,
    default=None,
    help="An API server, controller-manager and scheduler too, built once if need be (5 minutes).",
)
@click.option(
    "--nodes", type=int, help="Nodes that are Ready without a kubelet: pods are bound, not started."
)
def up(name: str, etcd: Path | None, **chosen: Any) -> None:
    """Start a lab, or the members of it that are down, as they were started before."""
    import msgspec

    from sretool import lab as labs

    home = labs.LabHome.of_user()
    there = labs.open_lab(name, home).spec if name in labs.complete_labs(home) else labs.LabSpec(name=name)
    chosen["etcd"] = str(etcd.absolute()) if etcd else None
    given = {field: value for field, value in chosen.items() if value is not None}
    spec = msgspec.structs.replace(there, **given)
    began = time.monotonic()
    started = labs.up(spec, home=home, progress=_tell)
    streams.say([f"{_headline(started)}: healthy after {time.monotonic() - began:.1f} s"])


@lab.command()
@_name_option("The lab to end.")
@click.option("--all", "every", is_flag=True, help="End every lab.")
def down(name: str, every: bool) -> None:
    """End a lab: its processes, its faults, its files and its cluster entry."""
    from sretool import lab as labs

    home = labs.LabHome.of_user()
    names = labs.labs(home) if every else [name]
    for one in names:
        streams.say([f"{one}: ended, nothing is left" if labs.down(one, home) else f"there is no lab {one}"])
    if not names:
        streams.say(["there is no lab"])


@lab.command()
@click.option("--name", default="", help="One lab; without it, all of them.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str, output: str) -> None:
    """Show each member: whether it runs, its role, its sizes, the faults in force."""
    from sretool import lab as labs

    home = labs.LabHome.of_user()
    found = [labs.open_lab(one, home) for one in ([name] if name else labs.complete_labs(home))]
    if output == "json":
        _echo_json(found)
        return
    for one in found:
        streams.say([_headline(one)])
        for member in one.status():
            streams.say([f"  {_member_line(member)}"])
        for component in one.component_status():
            streams.say([f"  {component.name}  {component.state}"])
        if one.faults:
            streams.say([f"  faults: {', '.join(one.faults)}"])
    if not found:
        streams.say(["there is no lab; sretool lab up starts one"])


@lab.command()
@_name_option("The lab to break.")
@click.argument("fault", default="")
@click.argument("member", default="")
@click.option("--undo", is_flag=True, help="Undo the fault.")
@click.option("--percent", type=float, help="loss: share of the packets; 30 without it, 100 is a partition.")
@click.option("--milliseconds", type=click.IntRange(min=1), help="slow-disk (100), delay (200).")
@click.option(
    "--size", "size_bytes", callback=_quantity, metavar="SIZE", help="fragment: free space to leave (64Mi)."
)
@click.option(
    "--with",
    "content",
    type=click.Choice(["garbage", "live"]),
    default="garbage",
    show_default=True,
    help="fill: keys that are overwritten again and again, or that stay.",
)
@click.option("--prefix", default="", help="fill, fragment: where the keys are written.")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="event-flood: events (100000); runaway: replicas (500); bare-namespaces (100); not-ready (1).",
)
@click.option("--namespace", "namespaces", multiple=True, help="event-flood (several), runaway: where.")
@click.option("--reason", "reasons", multiple=True, help="event-flood: reasons (FailedScheduling).")
@click.option("--minutes", type=click.IntRange(min=1), help="event-flood: made over so many minutes (10).")
def fault(name: str, fault: str, member: str, undo: bool, **chosen: Any) -> None:
    """Raise FAULT, on MEMBER if it is one of etcd, or undo it; without both, list the faults and their needs."""
    from sretool import lab as labs
    from sretool.lab import faults

    if not fault:
        _list_faults()
        return
    given = {field: value for field, value in chosen.items() if value not in (None, "", ())}
    options = faults.FaultOptions(**given, progress=_tell)
    opened = labs.open_lab(name, labs.LabHome.of_user())
    act = faults.undo_fault if undo else faults.raise_fault
    said = act(opened, fault, member, options)
    streams.say([f"{name} {member}: {said}" if member else f"{name}: {said}"])


def _list_faults() -> None:
    from sretool.lab.faults import FAULTS

    for one in FAULTS.values():
        streams.say([f"{one.name:<15} {one.summary}"])
        if one.options:
            streams.say([f"{'':<15} takes {' '.join(one.options)}"])
        if one.needs:
            streams.say([f"{'':<15} needs {one.needs}"])


def _tell(line: str) -> None:
    streams.tell([line])


def _headline(lab: "Lab") -> str:
    members = lab.members
    last = f"-{members[-1].address.rpartition('.')[2]}" if len(members) > 1 else ""
    addresses = f"{members[0].address}{last}"
    quota = f", quota {lab.spec.quota_bytes >> 20} MiB" if lab.spec.quota_bytes else ""
    count = f"{len(members)} member{'s' if len(members) > 1 else ''}"
    kubernetes = f", Kubernetes {lab.record.kubernetes} on {lab.components[0].url}" if lab.components else ""
    return f"{lab.name}: {count} of etcd {lab.record.version} on {addresses}{quota}{kubernetes}"


def _member_line(member: "MemberStatus") -> str:
    from sretool.knowledge.words import show_bytes

    parts = [f"{member.name}  {member.state:<8}"]
    if member.role:
        parts.append(f"{member.role:<9}")
    if member.db_size_bytes is not None and member.db_in_use_bytes is not None:
        parts.append(f"{show_bytes(member.db_size_bytes)}, in use {show_bytes(member.db_in_use_bytes)}")
    if member.faults:
        parts.append(f"faults: {', '.join(member.faults)}")
    return "  ".join(parts)


def _echo_json(found: "list[Lab]") -> None:
    import msgspec

    answer = [
        {
            "name": one.name,
            "etcd": one.record.version,
            "cluster_file": str(one.cluster_file),
            "members": one.status(),
            "kubernetes": one.component_status(),
            "faults": one.faults,
        }
        for one in found
    ]
    streams.say(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode().splitlines())
