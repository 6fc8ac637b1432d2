"""Faults of a member's server: stopped, killed, frozen."""

import signal

from sretool.errors import RefusedError, StateError
from sretool.lab import processes
from sretool.lab.faults.options import FaultOptions
from sretool.lab.lab import Lab
from sretool.lab.members import last_words
from sretool.lab.processes import Running
from sretool.lab.spec import LabMember

_STOP_SECONDS = 15.0
_FREEZE_SECONDS = 2.0
_HEALTHY_SECONDS = 15.0


def require_running(lab: Lab, member: LabMember) -> Running:
    """Return the member's server; RefusedError when it does not run."""
    running = lab.find_running(member.name)
    if running is None:
        raise RefusedError(
            f"{member.name} of the lab {lab.name} does not run", then=f"sretool lab up --name {lab.name}"
        )
    return running


def stop(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Stop the server as an orderly shutdown does (SIGTERM)."""
    end(lab, require_running(lab, member), signal.SIGTERM)
    return "stopped"


def kill(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Kill the server as a crash does (SIGKILL)."""
    end(lab, require_running(lab, member), signal.SIGKILL)
    return "killed"


def start(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Start the server again and wait for its health, which it cannot have without a quorum."""
    lab.start(member)
    return f"started, {_health(lab, member)}"


def freeze(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Freeze the server: its connections stay open, and nothing answers (SIGSTOP)."""
    processes.send(require_running(lab, member), signal.SIGSTOP)

    def is_frozen() -> bool:
        running = lab.find_running(member.name)
        return running is not None and running.frozen

    if not processes.wait_until(is_frozen, seconds=_FREEZE_SECONDS):
        raise StateError(f"{member.name} of the lab {lab.name} does not freeze")
    return "frozen"


def thaw(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Let a frozen server go on."""
    processes.send(require_running(lab, member), signal.SIGCONT)
    return f"goes on, {_health(lab, member)}"


def end(lab: Lab, running: Running, number: signal.Signals) -> None:
    """End a program of the lab by this signal; StateError when it still runs after a while."""
    processes.send(running, number)
    if running.frozen:
        processes.send(running, signal.SIGCONT)
    if not processes.wait_gone([running], seconds=_STOP_SECONDS):
        raise StateError(f"{running.role} of the lab {lab.name} (pid {running.pid}) does not end")


def _health(lab: Lab, member: LabMember) -> str:
    if lab.becomes_healthy(member, seconds=_HEALTHY_SECONDS):
        return "healthy"
    return f"but is not healthy: {last_words(member) or 'no answer'}"
