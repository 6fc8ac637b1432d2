"""Building a lab's programs once into the cache, from a pinned Go module that is package data."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from sretool.errors import RefusedError
from sretool.lab.processes import marked_environment
from sretool.lab.toolchain import build_environment, require_toolchain

_TOLD_EVERY_SECONDS = 5
_NICENESS = 15  # a build takes minutes of every core; whatever else is at work goes first
_SCRATCH = ".building"
_MODULES = Path(__file__).parent / "modules"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A multi-call program: its module, the names it is called by (the first is the file), how long it takes.

    `linked` are Go variables that the linker sets, as `package.variable=value`.
    """

    title: str
    release: str
    module: str
    names: tuple[str, ...]
    takes: str
    timeout_seconds: float
    otherwise: str
    linked: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """What a person calls it, as etcd 3.6.16."""
        return f"{self.title} {self.release}"

    def folder(self, cache: Path) -> Path:
        """Return the folder of the built program and of its other names."""
        return cache / "bin" / f"{self.title.lower()}-{self.release}"


def build(program: Program, *, cache: Path, lab_dir: Path, progress: Callable[[str], None]) -> None:
    """Build the program into `program.folder(cache)`, which is there whole or not at all.

    RefusedError when there is no toolchain, or when go fails.
    """
    toolchain = require_toolchain()
    folder = program.folder(cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent, program.named, progress) as lock:
        if folder.is_dir():
            return  # built by another meanwhile
        scratch = folder.parent / _SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        module = scratch / "module"
        shutil.copytree(_MODULES / program.module, module)
        programs = scratch / folder.name
        programs.mkdir()
        progress(f"building {program.named} with Go {toolchain.version}, once: {program.takes}")
        flags = " ".join(["-s -w", *(f"-X {one}" for one in program.linked)])
        target = str(programs / program.names[0])
        arguments = [str(toolchain.go), "build", "-trimpath", "-ldflags", flags, "-o", target, "."]
        environment = marked_environment(lab_dir, build_environment()) | {"GOTMPDIR": str(scratch)}
        with tempfile.TemporaryFile("w+") as words:
            # The build inherits the lock: should this sretool be killed, the lock lasts as long as the build.
            started = subprocess.Popen(
                arguments,
                cwd=module,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=environment,
                pass_fds=[lock],
            )
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, started.pid, _NICENESS)
            seconds = _wait(started, program, words, progress)
        for name in program.names[1:]:
            (programs / name).symlink_to(program.names[0])
        programs.rename(folder)
        shutil.rmtree(scratch, ignore_errors=True)
        progress(f"built {program.named} in {seconds:.0f} s: {folder}")


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


def _wait(
    started: subprocess.Popen[bytes], program: Program, words: IO[str], progress: Callable[[str], None]
) -> float:
    """Wait for `go build`, telling that it goes on; return its seconds, RefusedError with go's last words."""
    began = time.monotonic()
    with started:
        try:
            while started.poll() is None and (elapsed := time.monotonic() - began) < program.timeout_seconds:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(timeout=_TOLD_EVERY_SECONDS)
                    break
                progress(f"building {program.named}: {elapsed + _TOLD_EVERY_SECONDS:.0f} s")
        finally:
            started.kill()
    if started.returncode != 0:
        words.seek(0)
        said = [line.strip() for line in words if line.strip() and not line.startswith("go: downloading")]
        why = " | ".join(said[-3:]) or f"go ended with {started.returncode}"
        raise RefusedError(
            f"{program.named} could not be built: {why}",
            then=f"the Go modules come from GOPROXY (go env GOPROXY); {program.otherwise}",
        )
    return time.monotonic() - began


@contextlib.contextmanager
def _locked(folder: Path, named: str, progress: Callable[[str], None]) -> Iterator[int]:
    """Hold the cache folder's lock: one build at a time, released by the kernel when its holder dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another sretool is building; waiting for it before {named}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
