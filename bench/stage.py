"""Where measures run: a home of their own, labs in it, and programs started with a stopwatch."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.model import WrongAnswerError
from sretool.lab import Lab, LabSpec, up
from sretool.lab import processes as lab_processes
from tests.support.etcd_cluster import hermetic_environment, hermetic_home, running_lab

ROOT = Path(__file__).parents[1]
RUNBOOKS = Path(__file__).parent / "runbooks"
_STOPWATCH = Path(__file__).with_name("stopwatch.py")
_LIMIT_SECONDS = 180.0
_STOP_SECONDS = 20.0


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A command that has ended. `peak_mb` is that of its largest process."""

    seconds: float
    peak_mb: float
    exit_code: int
    stdout: str
    stderr: str

    def require(self, *exit_codes: int) -> "Finished":
        """Return it; WrongAnswerError when it ended otherwise."""
        if self.exit_code not in exit_codes:
            last = (self.stderr or self.stdout).strip()[-300:]
            raise WrongAnswerError(f"exit {self.exit_code}, not {exit_codes}: {last}")
        return self


class Stage:
    """One temporary home: sretool's state and configuration, the labs, what commands print."""

    def __init__(self, home: Path, tell: Callable[[str], None]) -> None:
        self.home = home
        self.tell = tell
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            **hermetic_environment(home),
        }
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def lab(self, spec: LabSpec) -> Iterator[Lab]:
        """Start a lab and end it; sretool takes it as its only cluster."""
        with running_lab(self.home, spec) as lab:
            yield lab

    def sretool(self, *arguments: str) -> Finished:
        """Run sretool as it is installed."""
        return self.run([str(Path(sys.executable).with_name("sretool")), *arguments])

    def run(self, command: Sequence[str], *, stdin: str = "") -> Finished:
        """Run a command (an absolute path first); WrongAnswerError when it does not end."""
        folder = self.home / f"command-{next(self._numbers)}"
        folder.mkdir()
        paths = [folder / name for name in ("stdin", "stdout", "stderr", "report")]
        paths[0].write_text(stdin)
        watched = [sys.executable, "-I", "-S", str(_STOPWATCH), str(paths[3]), *command]
        with paths[0].open() as given, paths[1].open("w") as out, paths[2].open("w") as err:
            running = subprocess.Popen(
                watched,
                stdin=given,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )
            try:
                running.wait(_LIMIT_SECONDS)
            except BaseException as error:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise WrongAnswerError(f"{command[0]} did not end in {_LIMIT_SECONDS:g} s") from error
        if not paths[3].exists():
            raise WrongAnswerError(f"{command[0]} did not start: {paths[2].read_text()[-300:]}")
        seconds, peak, exit_code = paths[3].read_text().split()
        finished = Finished(
            seconds=float(seconds),
            peak_mb=int(peak) / 1024,
            exit_code=int(exit_code),
            stdout=paths[1].read_text(),
            stderr=paths[2].read_text(),
        )
        shutil.rmtree(folder)
        return finished

    def forget_runs(self) -> None:
        """Remove what earlier runs of sretool left: journals and snapshots."""
        for name in ("runs", "snapshots"):
            shutil.rmtree(self.home / "state" / "sretool" / name, ignore_errors=True)


class SavedLab:
    """The databases of a lab as they were, so that every run begins with the same files."""

    def __init__(self, lab: Lab, stage: Stage) -> None:
        self._lab = lab
        self._stage = stage
        self._folder = stage.home / f"saved-{lab.name}"
        self._stop()
        for member in lab.members:
            shutil.copytree(member.data_dir, self._folder / member.name)

    def restore(self) -> None:
        """Bring the saved databases back, on disk and not only in memory, and start the members."""
        self._stop()
        for member in self._lab.members:
            shutil.rmtree(member.data_dir)
            shutil.copytree(self._folder / member.name, member.data_dir)
        os.sync()
        up(self._lab.spec, home=hermetic_home(self._stage.home), progress=self._stage.tell)
        self._stage.forget_runs()

    def _stop(self) -> None:
        running = self._lab.running()
        for one in running:
            lab_processes.send(one, signal.SIGTERM)
        if not lab_processes.wait_gone(running, seconds=_STOP_SECONDS):
            raise WrongAnswerError(f"the members of {self._lab.name} do not end")


@contextlib.contextmanager
def open_stage(tell: Callable[[str], None]) -> Iterator[Stage]:
    """Give a stage in a temporary folder, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="sretool-bench-") as folder:
        yield Stage(Path(folder), tell)


def etcdctl(lab: Lab, *arguments: str, endpoints: Sequence[str] = ()) -> list[str]:
    """Return the command line of the lab's etcdctl for all members, or the endpoints given."""
    chosen = endpoints or [member.client_url for member in lab.members]
    tls = [f"--cacert={lab.ca}", f"--cert={lab.cert}", f"--key={lab.key}"]
    return [str(lab.bin_dir / "etcdctl"), *tls, f"--endpoints={','.join(chosen)}", *arguments]
