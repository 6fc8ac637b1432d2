"""Real etcd servers for tests: a lab of its own under the test's folder, with the user's built binaries."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sretool.lab import Lab, LabHome, LabSpec, down, up
from sretool.lab.certificates import Pair, create_authority, issue_client

# Read before any test makes the environment hermetic: building etcd for every test would take minutes.
_CACHE = LabHome.of_user().cache


def hermetic_home(base: Path) -> LabHome:
    """Return lab folders under `base`, with the cache of built etcd binaries of the person who tests."""
    return LabHome(state=base / "state" / "sretool", config=base / "config" / "sretool", cache=_CACHE)


def hermetic_environment(base: Path) -> dict[str, str]:
    """Return the variables by which a sretool started as a program uses `hermetic_home(base)`."""
    return {
        "XDG_STATE_HOME": str(base / "state"),
        "XDG_CONFIG_HOME": str(base / "config"),
        "XDG_CACHE_HOME": str(_CACHE.parent),
    }


@contextlib.contextmanager
def running_lab(base: Path, spec: LabSpec | None = None) -> Iterator[Lab]:
    """Start a lab under `base` and end it, whatever the test did to it.

    Two labs under one `base` need two names. The cluster entry is `lab.cluster_file`; sretool finds it when
    its environment has `hermetic_environment(base)`.
    """
    spec = spec or LabSpec()
    home = hermetic_home(base)
    try:
        yield up(spec, home=home, progress=tell)
    finally:
        down(spec.name, home)


def broken_client(
    lab: Lab, folder: Path, fault: Literal["expired", "unknown authority", "mismatched key"]
) -> Pair:
    """Return a client certificate and key that the lab's members must refuse."""
    authority = Pair(lab.ca, lab.ca_key)
    if fault == "expired":
        return issue_client(authority, folder, name="expired", expired=True)
    if fault == "unknown authority":
        return issue_client(create_authority(folder, name="another-ca"), folder, name="stranger")
    issued, other = (issue_client(authority, folder, name=name) for name in ("one", "other"))
    return Pair(issued.cert, other.key)


def tell(line: str) -> None:
    """Show progress (a first build takes its time) where pytest captures it."""
    sys.stderr.write(f"{line}\n")


def send(pid: int, number: int) -> None:
    """Signal one process. A member that is down has pid 0, and signalling 0 would stop the tests themselves."""
    assert pid > 0, "that process does not run"
    os.kill(pid, number)


def wait_stopped(pid: int) -> None:
    """A signal is on its way for a moment, in which etcd still answers."""
    for _ in range(500):
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        if all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats):
            return
        time.sleep(0.002)
    raise AssertionError(f"{pid} did not stop")
