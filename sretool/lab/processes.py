"""The processes of a lab: started in their own session, found by a mark in their environment, ended.

Nothing on disk says which process belongs to a lab: a record can be lost or stale, and a recorded pid can
be somebody else's by now. The kernel's copy of the environment cannot.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

LAB = "SRETOOL_LAB"
ROLE = "SRETOOL_LAB_ROLE"
EXEC_SECONDS = 2.0
_KEPT = ("PATH", "HOME", "PYTHONPATH")


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A live process of a lab; `started` (ticks since boot) tells it from a later one with its pid."""

    pid: int
    started: int
    role: str
    frozen: bool


def start(
    arguments: Sequence[str], *, lab_dir: Path, role: str, log_path: Path, inherit: int | None = None
) -> int:
    """Start a program in its own session, output appended to `log_path`; return its pid.

    Of the caller's files only `inherit` stays open in it: a lock or a pipe that a shell has handed down would be
    held as long as the server lives. Its environment is clean, so that no `ETCD_*` variable of the caller
    reaches it. OSError when the program cannot be executed.
    """
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    if inherit is not None:
        os.set_inheritable(inherit, True)
    pid = os.posix_spawn(
        arguments[0],
        list(arguments),
        environment | {LAB: str(lab_dir), ROLE: role},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *((os.POSIX_SPAWN_CLOSE, one) for one in _handed_down() if one != inherit),
        ],
        setsid=True,
        # A caller that ignores SIGINT (nohup, a CI step in the background) must not pass that on.
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        setsigmask=[],
    )
    # The call returns before the kernel has set the new environment up: until then `find` would miss it.
    wait_until(lambda: _has_mark(pid), seconds=EXEC_SECONDS, every=0.0005)
    return pid


def find(lab_dir: Path) -> list[Running]:
    """Return the live processes of the lab in `lab_dir`, of this user, sorted by role."""
    mark = f"{LAB}={lab_dir}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid != os.geteuid():
                continue
            variables = Path(entry.path, "environ").read_bytes().split(b"\0")
            if mark in variables:
                found.append(_running(int(entry.name), variables))
        except (OSError, LookupError):
            continue  # gone meanwhile, or not ours to read
    return sorted(found, key=lambda one: (one.role, one.pid))


def state_of(running: Running | None, *, answers: bool) -> str:
    """Return the state of a program as a word: down, frozen, running, or silent when it does not answer."""
    if running is None:
        return "down"
    if running.frozen:
        return "frozen"
    return "running" if answers else "silent"


def send(running: Running, number: signal.Signals) -> bool:
    """Send a signal to this very process and its group; False when it is gone (or its pid another's)."""
    if _reaped(running.pid) or _started(running.pid) != running.started:
        return False
    try:
        if os.getpgid(running.pid) == running.pid:
            os.killpg(running.pid, number)
        else:
            os.kill(running.pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(runnings: Sequence[Running], *, seconds: float) -> bool:
    """Wait until all of them are gone; False when one still lives after `seconds`."""
    return wait_until(
        lambda: all(_reaped(one.pid) or _started(one.pid) != one.started for one in runnings), seconds=seconds
    )


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """Ask `condition` every `every` seconds; False when it is not met within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def end_all(lab_dir: Path, *, seconds: float = 10.0) -> bool:
    """Kill every process of the lab, also one that starts meanwhile; False when one is still there."""

    def none_left() -> bool:
        left = find(lab_dir)
        for one in left:
            send(one, signal.SIGKILL)
        wait_gone(left, seconds=0.5)
        return not left

    return wait_until(none_left, seconds=seconds)


def marked_environment(lab_dir: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with the lab's mark, for a program that is waited for (a build)."""
    return dict(environment) | {LAB: str(lab_dir), ROLE: "build"}


def _running(pid: int, variables: Sequence[bytes]) -> Running:
    stat = _stat(pid)
    named = dict(one.split(b"=", 1) for one in variables if b"=" in one)
    role = named.get(ROLE.encode(), b"").decode()
    # t: strace holds it; its main thread stays there only when the process is frozen.
    return Running(pid=pid, started=stat.started, role=role, frozen=stat.state in "Tt")


def _handed_down() -> list[int]:
    """Return the open files that a program started now would inherit, besides the standard ones."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile: the one that lists them is
            if int(entry.name) > 2 and os.get_inheritable(int(entry.name)):
                found.append(int(entry.name))
    return found


def _has_mark(pid: int) -> bool:
    """Tell whether the environment of a process that was just started can be read, or it has ended already."""
    try:
        return bool(Path(f"/proc/{pid}/environ").read_bytes()) or _started(pid) is None
    except OSError:
        return True


class _Stat(NamedTuple):
    state: str
    threads: int
    started: int


def _stat(pid: int) -> _Stat:
    """Return fields 3, 20 and 22 of proc_pid_stat(5), which follow the name in parentheses."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
    return _Stat(fields[0], int(fields[17]), int(fields[19]))


def _started(pid: int) -> int | None:
    """Return when the process was started; None when it has ended.

    A main thread that is a zombie has not ended while other threads still hold its ports and files.
    """
    try:
        stat = _stat(pid)
    except (OSError, LookupError):
        return None
    return None if stat.state in "ZX" and stat.threads <= 1 else stat.started


def _reaped(pid: int) -> bool:
    """Collect the process if it is our own child and has ended: a zombie keeps its pid."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
