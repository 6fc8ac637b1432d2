"""The peers' programs: found in PATH, or built once into the user's cache from a pinned Go module."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sretool.lab import LabHome
from sretool.lab.toolchain import build_environment, require_toolchain

_MODULES = Path(__file__).parent / "modules"
_BUILD_SECONDS = 900


def require_kubectl(tell: Callable[[str], None]) -> Path:
    """Return kubectl: of PATH, else built from the module under `modules/` (two minutes, once)."""
    found = shutil.which("kubectl")
    return Path(found) if found else _build("kubectl", tell)


def find_etcd_defrag() -> Path | None:
    """Return etcd-defrag where PATH has it."""
    found = shutil.which("etcd-defrag")
    return Path(found) if found else None


def _build(name: str, tell: Callable[[str], None]) -> Path:
    module = _MODULES / name
    release = re.search(r"k8s\.io/kubectl v(\S+)", (module / "go.mod").read_text())
    folder = LabHome.of_user().cache / "bin" / f"{name}-{release[1] if release else 'unknown'}"
    program = folder / name
    if program.exists():
        return program
    toolchain = require_toolchain()
    tell(f"building {folder.name} with Go {toolchain.version}, once: about two minutes")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.building"
    subprocess.run(
        [str(toolchain.go), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(unfinished), "."],
        cwd=module,
        env=build_environment(),
        stdin=subprocess.DEVNULL,
        timeout=_BUILD_SECONDS,
        check=True,
    )
    unfinished.rename(program)
    return program
