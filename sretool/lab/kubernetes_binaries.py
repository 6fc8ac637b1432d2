"""kube-apiserver, kube-controller-manager and kube-scheduler for a lab: found on this machine, or built once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from sretool.lab.builds import Program, build
from sretool.lab.versions import version_of

RELEASE = "1.34.4"
"""The Kubernetes release that is built; its module is under `modules/`."""

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

_MAJOR, _MINOR, _ = RELEASE.split(".")
_VERSION = "k8s.io/component-base/version"
_PROGRAM = Program(
    title="Kubernetes",
    release=RELEASE,
    module=f"kubernetes-{_MAJOR}.{_MINOR}",
    names=COMPONENTS,
    takes="about 5 minutes on two cores",
    timeout_seconds=3600,
    otherwise="or name a folder with the three programs in KUBEBUILDER_ASSETS",
    linked=(
        f"{_VERSION}.gitVersion=v{RELEASE}",
        f"{_VERSION}.gitMajor={_MAJOR}",
        f"{_VERSION}.gitMinor={_MINOR}",
    ),
)


class KubernetesBinaries(msgspec.Struct, frozen=True):
    """The folder with the three programs, and the version the API server tells of itself (1.34.4)."""

    folder: Path
    version: str


def require_kubernetes(*, cache: Path, lab_dir: Path, progress: Callable[[str], None]) -> KubernetesBinaries:
    """Return the programs from KUBEBUILDER_ASSETS, the cache, PATH, or built now (about 5 minutes).

    A place counts only when all three are there. RefusedError when nothing can be built.
    """
    folder = _PROGRAM.folder(cache)
    for place in (os.environ.get("KUBEBUILDER_ASSETS", ""), str(folder), *_path()):
        if place and all(os.access(Path(place) / name, os.X_OK) for name in COMPONENTS):
            version = version_of(Path(place) / COMPONENTS[0], named="Kubernetes v")
            if version:
                return KubernetesBinaries(Path(place).absolute(), version)
    build(_PROGRAM, cache=cache, lab_dir=lab_dir, progress=progress)
    return KubernetesBinaries(folder, RELEASE)


def _path() -> list[str]:
    found = shutil.which(COMPONENTS[0])
    return [str(Path(found).parent)] if found else []
