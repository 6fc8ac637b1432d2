"""A slow disk under one member: strace holds up each of its fsyncs."""

import re
import shutil
import signal
from pathlib import Path

from sretool.errors import RefusedError
from sretool.lab import processes
from sretool.lab.faults.options import FaultOptions
from sretool.lab.faults.servers import require_running
from sretool.lab.lab import Lab
from sretool.lab.spec import LabMember

_DEFAULT_MILLISECONDS = 100
_ATTACH_SECONDS = 10.0


def slow_disk(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Delay each fsync and fdatasync of the server, so that its own fsync metrics show a slow disk."""
    strace = shutil.which("strace")
    if strace is None:
        raise RefusedError(
            "slowing the disk needs strace, which is not in PATH", then="apt-get install strace"
        )
    milliseconds = options.milliseconds or _DEFAULT_MILLISECONDS
    server = require_running(lab, member).pid
    role = _role(member)
    log = lab.directory / "log" / f"{role}.log"
    log.unlink(missing_ok=True)
    calls = "fsync,fdatasync"
    inject = f"inject={calls}:delay_enter={milliseconds * 1000}"
    arguments = [
        strace,
        "-f",
        "-q",
        "-p",
        str(server),
        "-e",
        f"trace={calls}",
        "-e",
        inject,
        "-o",
        "/dev/null",
    ]
    tracer = lab.spawn(arguments, role=role)

    def attached_or_ended() -> bool:
        return _is_traced(server, tracer) or _has_ended(tracer)

    processes.wait_until(attached_or_ended, seconds=_ATTACH_SECONDS)
    if not _is_traced(server, tracer):
        _end(lab, member)
        said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        why = said[-1] if said else "no reason given"
        raise RefusedError(
            f"strace does not attach to {member.name} (pid {server}): {why}",
            then="it needs root, or kernel.yama.ptrace_scope=0",
        )
    return f"each fsync takes {milliseconds} ms longer"


def normal_disk(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Let the server's fsyncs through again."""
    _end(lab, member)
    return "each fsync takes its own time"


def _end(lab: Lab, member: LabMember) -> None:
    tracer = lab.find_running(_role(member))
    if tracer is None:
        return
    processes.send(tracer, signal.SIGINT)  # strace detaches in good order
    if not processes.wait_gone([tracer], seconds=_ATTACH_SECONDS):
        processes.send(tracer, signal.SIGKILL)  # the kernel detaches
        processes.wait_gone([tracer], seconds=_ATTACH_SECONDS)


def _role(member: LabMember) -> str:
    return f"slow-disk-{member.name}"


def _has_ended(pid: int) -> bool:
    """Say whether the process is over. Its environment, by which a lab knows its processes, is not there yet in
    the moment between fork and exec."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _is_traced(server: int, tracer: int) -> bool:
    """Say whether every thread of the server has this tracer."""
    traced = []
    for path in Path(f"/proc/{server}/task").glob("*/status"):
        try:
            state = path.read_text()
        except OSError:  # this thread has just ended
            continue
        traced.append(re.search(rf"^TracerPid:\s+{tracer}$", state, re.MULTILINE) is not None)
    return bool(traced) and all(traced)
