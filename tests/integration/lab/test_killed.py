"""`sretool lab up` and `down` are killed in the middle; `lab down` leaves nothing, `lab up` goes on."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sretool.lab import Lab, LabHome, LabSpec, down, open_lab, processes, up
from sretool.lab.directory import locked, unfinished
from sretool.lab.processes import Running, find, send
from tests.support.etcd_cluster import hermetic_environment, hermetic_home, running_lab, tell

pytestmark = [pytest.mark.real, pytest.mark.faults]

COMMAND = [sys.executable, "-c", "from sretool.cli.lab import lab; lab()"]


def start(base: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = os.environ | hermetic_environment(base) | variables
    return subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_when(child: subprocess.Popen[bytes], reached: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Kill the command as soon as it has come so far."""
    deadline = time.monotonic() + seconds
    with child:
        while not reached():
            assert child.poll() is None, "the command ended before the point was reached"
            assert time.monotonic() < deadline
        child.kill()


def assert_nothing_is_left(base: Path) -> None:
    lab_dir = hermetic_home(base).lab_dir("lab")
    assert processes.find(lab_dir) == []
    assert [path for path in base.rglob("*") if not path.is_dir()] == []
    assert not lab_dir.exists()


POINTS: dict[str, Callable[[Path, Path], bool]] = {
    "folder": lambda lab_dir, entry: lab_dir.exists(),
    "authority": lambda lab_dir, entry: (lab_dir / "tls" / "ca.crt").exists(),
    "certificates": lambda lab_dir, entry: (lab_dir / "tls" / "m2.key").exists(),
    "record": lambda lab_dir, entry: (lab_dir / "lab.json").exists(),
    "first process": lambda lab_dir, entry: bool(find(lab_dir)),
    "all processes": lambda lab_dir, entry: len(find(lab_dir)) == 6,
    "cluster entry": lambda lab_dir, entry: entry.exists(),
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("then", ["down", "up"])
def test_up_is_killed(tmp_path, point, then):
    home = hermetic_home(tmp_path)
    child = start(tmp_path, "up", "--peer-proxy")
    kill_when(child, lambda: POINTS[point](home.lab_dir("lab"), home.cluster_file("lab")))
    try:
        if then == "up":
            lab = up(LabSpec(peer_proxy=True), home=home, progress=tell)
            assert lab.etcdctl("put", "/key", "value").returncode == 0
            assert len(find(lab.directory)) == 6
    finally:
        down("lab", home)
    assert_nothing_is_left(tmp_path)


KUBERNETES_POINTS: dict[str, Callable[[Path, Path], bool]] = {
    "certificates": lambda lab_dir, entry: (lab_dir / "kubeconfig").exists(),
    "API server": lambda lab_dir, entry: any(one.role == "kube-apiserver" for one in find(lab_dir)),
    "all processes": lambda lab_dir, entry: len(find(lab_dir)) == 4,
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", KUBERNETES_POINTS)
@pytest.mark.parametrize("then", ["down", "up"])
def test_up_with_kubernetes_is_killed(tmp_path, point, then):
    home = hermetic_home(tmp_path)
    child = start(tmp_path, "up", "--kubernetes", "--members", "1")
    reached = KUBERNETES_POINTS[point]
    kill_when(child, lambda: reached(home.lab_dir("lab"), home.cluster_file("lab")), seconds=800)
    try:
        if then == "up":
            lab = up(LabSpec(kubernetes=True, members=1), home=home, progress=tell)
            assert len(find(lab.directory)) == 4
            with lab.api() as api:
                assert api.items("/api/v1/namespaces")
    finally:
        down("lab", home)
    assert_nothing_is_left(tmp_path)


def test_what_a_kill_left_of_the_cluster_entry_goes_with_the_lab(tmp_path):
    home = hermetic_home(tmp_path)
    half = unfinished(home.cluster_file("lab"))
    half.parent.mkdir(parents=True)
    half.write_text("cluster: la")
    down("lab", home)
    assert not half.exists()


@pytest.mark.parametrize("milliseconds", [60, 110, 140, 170, 200, 250])
def test_up_is_killed_at_any_moment(tmp_path, milliseconds):
    child = start(tmp_path, "up")
    with child:
        time.sleep(milliseconds / 1000)
        child.kill()
    down("lab", hermetic_home(tmp_path))
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("milliseconds", [80, 100, 120, 140])
def test_down_is_killed_and_finishes_when_run_again(tmp_path, milliseconds):
    with running_lab(tmp_path, LabSpec(members=3)):
        child = start(tmp_path, "down")
        with child:
            time.sleep(milliseconds / 1000)
            child.kill()
        down("lab", hermetic_home(tmp_path))
        assert_nothing_is_left(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go toolchain in PATH")
def test_a_build_that_is_killed_is_ended_and_removed_by_down(tmp_path):
    home = hermetic_home(tmp_path)
    cache = tmp_path / "cache"
    lab_dir = home.lab_dir("lab")
    child = start(tmp_path, "up", XDG_CACHE_HOME=str(cache))
    kill_when(child, lambda: any(one.role == "build" for one in find(lab_dir)))
    assert any(one.role == "build" for one in find(lab_dir)), "go goes on when sretool is killed"
    down("lab", LabHome(state=home.state, config=home.config, cache=cache / "sretool"))
    assert find(lab_dir) == []
    assert not lab_dir.exists()
    assert [path for path in (cache / "sretool").rglob("*") if not path.is_dir()] == []


def test_down_waits_for_an_up_that_is_at_work(tmp_path):
    home = hermetic_home(tmp_path)
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        with locked(lab.directory):
            child = start(tmp_path, "down")
            time.sleep(0.5)
            assert child.poll() is None
            assert open_lab("lab", home).members[0].pid
        assert child.wait(timeout=20) == 0
        assert_nothing_is_left(tmp_path)


def test_a_process_that_has_the_pid_of_an_ended_one_is_not_signalled():
    """A pid alone names nobody: it is compared with the time its process was started."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            remembered = Running(pid=stranger.pid, started=1, role="m1", frozen=False)
            assert not send(remembered, signal.SIGKILL)
            with pytest.raises(subprocess.TimeoutExpired):
                stranger.wait(timeout=0.3)
        finally:
            stranger.kill()


def test_a_process_without_the_labs_mark_is_left_alone(tmp_path):
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        stranger = start_stranger(lab)
        with stranger:
            try:
                down("lab", hermetic_home(tmp_path))
                with pytest.raises(subprocess.TimeoutExpired):
                    stranger.wait(timeout=0.3)
            finally:
                stranger.kill()


def start_stranger(lab: Lab) -> subprocess.Popen[bytes]:
    """Start a process that looks like the lab's in its arguments, and carries another lab's mark."""
    environment = {"SRETOOL_LAB": f"{lab.directory}-2", "SRETOOL_LAB_ROLE": "m1", "PATH": os.environ["PATH"]}
    return subprocess.Popen(["sleep", "60"], env=environment)


def test_a_server_is_found_from_the_moment_on_at_which_it_was_started(tmp_path: Path) -> None:
    for _ in range(50):
        pid = processes.start(["/bin/sleep", "60"], lab_dir=tmp_path, role="m1", log_path=tmp_path / "log")
        try:
            assert [(one.pid, one.role) for one in find(tmp_path)] == [(pid, "m1")]
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_a_server_that_cannot_run_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    processes.start(["/bin/false"], lab_dir=tmp_path, role="m1", log_path=tmp_path / "log")
    assert time.monotonic() - began < processes.EXEC_SECONDS


def test_a_server_holds_no_lock_that_the_shell_of_its_caller_handed_down(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock, (tmp_path / "claim").open("w") as claim:
        os.set_inheritable(lock.fileno(), True)
        pid = processes.start(
            ["/bin/sleep", "60"],
            lab_dir=tmp_path,
            role="m1",
            log_path=tmp_path / "log",
            inherit=claim.fileno(),
        )

    def held() -> set[str]:
        found = set()
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add(str(path.readlink()))
        return found

    expected = {"/dev/null", str(tmp_path / "log"), str(tmp_path / "claim")}
    try:
        # The program opens its libraries for a moment when it begins; what it inherited it would hold to its end.
        assert processes.wait_until(lambda: held() == expected, seconds=5, every=0.01), held()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
