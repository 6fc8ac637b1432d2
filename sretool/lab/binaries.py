"""etcd, etcdctl and etcdutl for a lab: built once into the cache from a pinned module, or found."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from sretool.errors import RefusedError, UsageError
from sretool.lab.processes import marked_environment
from sretool.lab.spec import RELEASES, LabSpec
from sretool.lab.toolchain import build_environment, require_toolchain

_BUILD_SECONDS = 900
_TOLD_EVERY_SECONDS = 5
_SCRATCH = ".building"
_MODULES = Path(__file__).parent / "modules"


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
    version = _read_version(etcd)
    if not version:
        raise UsageError(f"{etcd} is no etcd: it does not answer --version as etcd does")
    beside = {name: _beside(etcd, name) for name in ("etcdctl", "etcdutl")}
    if all(beside.values()):
        return Binaries(etcd, beside["etcdctl"], beside["etcdutl"], version)  # type: ignore[arg-type]  # all() just said so
    default = _of_version(LabSpec().version, cache=cache, lab_dir=lab_dir, progress=progress)
    return Binaries(etcd, beside["etcdctl"] or default.etcdctl, beside["etcdutl"] or default.etcdutl, version)


def _of_version(version: str, *, cache: Path, lab_dir: Path, progress: Callable[[str], None]) -> Binaries:
    release = RELEASES[version]
    folder = cache / "bin" / f"etcd-{release}"
    if not folder.is_dir():
        in_path = _in_path(version)
        if in_path is not None:
            return in_path
        _build(release, folder, lab_dir=lab_dir, progress=progress)
    return Binaries(folder / "etcd", folder / "etcdctl", folder / "etcdutl", release)


def _in_path(version: str) -> Binaries | None:
    found = {name: shutil.which(name) for name in ("etcd", "etcdctl", "etcdutl")}
    etcd, etcdctl, etcdutl = found.values()
    if not etcd or not etcdctl or not etcdutl:
        return None
    its_own = _read_version(Path(etcd))
    if its_own.rpartition(".")[0] != version:
        return None
    return Binaries(Path(etcd), Path(etcdctl), Path(etcdutl), its_own)


def _beside(etcd: Path, name: str) -> Path | None:
    path = etcd.parent / name
    return path if os.access(path, os.X_OK) else None


def _read_version(etcd: Path) -> str:
    try:
        answer = subprocess.run(
            [str(etcd), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"etcd Version: (\d+\.\d+\.\d+)", answer.stdout)
    return match[1] if match else ""


def _build(release: str, folder: Path, *, lab_dir: Path, progress: Callable[[str], None]) -> None:
    toolchain = require_toolchain()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent, release, progress) as lock:
        if folder.is_dir():
            return  # built by another meanwhile
        scratch = folder.parent / _SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        module = scratch / "module"
        shutil.copytree(_MODULES / f"etcd-{release.rpartition('.')[0]}", module)
        programs = scratch / folder.name
        programs.mkdir()
        progress(f"building etcd {release} with Go {toolchain.version}, once: 20 to 60 s")
        arguments = [
            str(toolchain.go),
            "build",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            str(programs / "etcd"),
            ".",
        ]
        environment = marked_environment(lab_dir, build_environment()) | {"GOTMPDIR": str(scratch)}
        with tempfile.TemporaryFile("w+") as words:
            # The build inherits the lock: should this sretool be killed, the lock lasts as long as the build.
            build = subprocess.Popen(
                arguments,
                cwd=module,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=environment,
                pass_fds=[lock],
            )
            seconds = _wait(build, release, words, progress)
        for name in ("etcdctl", "etcdutl"):
            (programs / name).symlink_to("etcd")
        programs.rename(folder)
        shutil.rmtree(scratch, ignore_errors=True)
        progress(f"built etcd {release} in {seconds:.0f} s: {folder}")


def _wait(
    build: subprocess.Popen[bytes], release: str, words: IO[str], progress: Callable[[str], None]
) -> float:
    """Wait for `go build`, telling that it goes on; return its seconds, RefusedError with go's last words."""
    began = time.monotonic()
    with build:
        try:
            while build.poll() is None and (elapsed := time.monotonic() - began) < _BUILD_SECONDS:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    build.wait(timeout=_TOLD_EVERY_SECONDS)
                    break
                progress(f"building etcd {release}: {elapsed + _TOLD_EVERY_SECONDS:.0f} s")
        finally:
            build.kill()
    if build.returncode != 0:
        words.seek(0)
        said = [line.strip() for line in words if line.strip() and not line.startswith("go: downloading")]
        why = " | ".join(said[-3:]) or f"go ended with {build.returncode}"
        raise RefusedError(
            f"etcd {release} could not be built: {why}",
            then="the Go modules come from GOPROXY (go env GOPROXY); or hand over a binary with --etcd PATH",
        )
    return time.monotonic() - began


def remove_unfinished_builds(cache: Path) -> None:
    """Remove what a killed build left, unless one is at work now."""
    scratch = cache / "bin" / _SCRATCH
    if not scratch.is_dir():
        return
    descriptor = os.open(scratch.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(scratch, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path, release: str, progress: Callable[[str], None]) -> Iterator[int]:
    """Hold the cache folder's lock: one build at a time, released by the kernel when its holder dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another sretool is building; waiting for it before etcd {release}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
