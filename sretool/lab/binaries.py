"""etcd, etcdctl and etcdutl for a lab: built once into the cache from a pinned module, or found."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from sretool.errors import UsageError
from sretool.lab.builds import Program, build
from sretool.lab.spec import RELEASES, LabSpec
from sretool.lab.versions import version_of

_NAMED = "etcd Version: "


class Binaries(msgspec.Struct, frozen=True):
    """The three programs, and the version the server tells of itself (3.6.16)."""

    etcd: Path
    etcdctl: Path
    etcdutl: Path
    version: str


def require_binaries(
    spec: LabSpec, *, cache: Path, lab_dir: Path, progress: Callable[[str], None]
) -> Binaries:
    """Return the programs for `spec`: by path, from the cache, from PATH, or built now (20 to 60 s).

    UsageError when `spec.etcd` is no etcd, RefusedError when nothing can be built.
    """
    if not spec.etcd:
        return _of_version(spec.version, cache=cache, lab_dir=lab_dir, progress=progress)
    etcd = Path(spec.etcd)
    version = version_of(etcd, named=_NAMED)
    if not version:
        raise UsageError(f"{etcd} is no etcd: it does not answer --version as etcd does")
    beside = {name: _beside(etcd, name) for name in ("etcdctl", "etcdutl")}
    if all(beside.values()):
        return Binaries(etcd, beside["etcdctl"], beside["etcdutl"], version)  # type: ignore[arg-type]  # all() just said so
    default = _of_version(LabSpec().version, cache=cache, lab_dir=lab_dir, progress=progress)
    return Binaries(etcd, beside["etcdctl"] or default.etcdctl, beside["etcdutl"] or default.etcdutl, version)


def _of_version(version: str, *, cache: Path, lab_dir: Path, progress: Callable[[str], None]) -> Binaries:
    release = RELEASES[version]
    program = Program(
        title="etcd",
        release=release,
        module=f"etcd-{version}",
        names=("etcd", "etcdctl", "etcdutl"),
        takes="20 to 60 s",
        timeout_seconds=900,
        otherwise="or hand over a binary with --etcd PATH",
    )
    folder = program.folder(cache)
    if not folder.is_dir():
        in_path = _in_path(version)
        if in_path is not None:
            return in_path
        build(program, cache=cache, lab_dir=lab_dir, progress=progress)
    return Binaries(folder / "etcd", folder / "etcdctl", folder / "etcdutl", release)


def _in_path(version: str) -> Binaries | None:
    found = {name: shutil.which(name) for name in ("etcd", "etcdctl", "etcdutl")}
    etcd, etcdctl, etcdutl = found.values()
    if not etcd or not etcdctl or not etcdutl:
        return None
    its_own = version_of(Path(etcd), named=_NAMED)
    if its_own.rpartition(".")[0] != version:
        return None
    return Binaries(Path(etcd), Path(etcdctl), Path(etcdutl), its_own)


def _beside(etcd: Path, name: str) -> Path | None:
    path = etcd.parent / name
    return path if os.access(path, os.X_OK) else None
