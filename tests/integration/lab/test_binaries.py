"""Where a lab's etcd comes from: a pinned module, PATH, or a path."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sretool.errors import RefusedError, UsageError
from sretool.lab import LabSpec
from sretool.lab.binaries import require_binaries
from sretool.lab.spec import RELEASES
from sretool.lab.toolchain import require_toolchain
from tests.support.etcd_cluster import hermetic_home, running_lab, tell

pytestmark = pytest.mark.real


def require(spec: LabSpec, cache: Path):
    return require_binaries(spec, cache=cache, lab_dir=cache / "no-lab", progress=tell)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", RELEASES)
def test_every_version_comes_up_and_speaks_for_itself(tmp_path, version):
    with running_lab(tmp_path, LabSpec(version=version)) as lab:
        for program in ("etcd --version", "etcdctl version", "etcdutl version"):
            name, argument = program.split()
            answer = subprocess.run(
                [lab.bin_dir / name, argument], capture_output=True, text=True, check=True
            )
            assert f"{name} version: {RELEASES[version]}".lower() in answer.stdout.lower()
        assert lab.etcdctl("put", "/key", "value").returncode == 0
        assert sorted(one.role for one in lab.status()) == ["follower", "follower", "leader"]


def test_an_etcd_in_path_of_the_wanted_minor_version_is_taken(tmp_path, monkeypatch):
    built = require(LabSpec(), hermetic_home(tmp_path).cache)
    monkeypatch.setenv("PATH", str(built.etcd.parent))
    assert require(LabSpec(), tmp_path).etcd == built.etcd


def test_an_etcd_in_path_of_another_minor_version_is_not_taken(tmp_path, monkeypatch):
    built = require(LabSpec(), hermetic_home(tmp_path).cache)
    monkeypatch.setenv("PATH", str(built.etcd.parent))
    (tmp_path / "bin").write_text("a file where the build belongs")
    with pytest.raises((RefusedError, OSError)):
        require(LabSpec(version="3.7"), tmp_path)


def test_a_binary_by_path_runs_with_the_etcdctl_beside_it(tmp_path):
    built = require(LabSpec(), hermetic_home(tmp_path).cache)
    folder = tmp_path / "own"
    folder.mkdir()
    for path in (built.etcd, built.etcdctl, built.etcdutl):
        (folder / path.name).symlink_to(path.resolve())
    own = require(LabSpec(etcd=str(folder / "etcd")), tmp_path)
    assert (own.etcdctl, own.version) == (folder / "etcdctl", RELEASES["3.6"])


def test_a_binary_by_path_alone_gets_the_labs_etcdctl(tmp_path):
    cache = hermetic_home(tmp_path).cache
    built = require(LabSpec(), cache)
    (tmp_path / "etcd").symlink_to(built.etcd.resolve())
    own = require(LabSpec(etcd=str(tmp_path / "etcd")), cache)
    assert own.etcdctl == built.etcdctl


@pytest.mark.parametrize("path", ["/bin/true", "/no/such/etcd", "/etc/passwd"])
def test_a_path_that_is_no_etcd_is_refused(tmp_path, path):
    with pytest.raises(UsageError, match=f"{path} is no etcd"):
        require(LabSpec(etcd=path), tmp_path)


def test_without_a_toolchain_the_refusal_names_the_extra(tmp_path):
    with pytest.raises(RefusedError, match="there is none in PATH") as raised:
        require_toolchain({"PATH": str(tmp_path)}, package="no_such_package")
    assert "sretool[lab]" in raised.value.then


def test_a_toolchain_that_is_too_old_is_named(tmp_path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    go.chmod(0o755)
    with pytest.raises(RefusedError, match=r"needs Go 1\.26 or later: .*/go is 1\.19\.8"):
        require_toolchain({"PATH": str(tmp_path)}, package="no_such_package")


def test_the_toolchain_of_a_python_package_is_found(tmp_path, monkeypatch):
    package = tmp_path / "packaged_go"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    go = package / "bin" / "go"
    go.write_text("#!/bin/sh\necho go version go1.26.9 linux/amd64\n")
    go.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    toolchain = require_toolchain({"PATH": ""}, package="packaged_go")
    assert (toolchain.go, toolchain.version) == (go, "1.26.9")


def fake_go(folder: Path, build: str) -> None:
    """Put a `go` into `folder` that knows its version and runs `build` (shell; $out is the program to write)."""
    folder.mkdir(exist_ok=True)
    go = folder / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = version ] && { echo go version go1.26.9 linux/amd64; exit; }\n'
        f'while [ "$1" != -o ]; do shift; done; out=$2\n{build}\n'
    )
    go.chmod(0o755)


def path_with(folder: Path) -> str:
    return os.pathsep.join([str(folder), "/usr/bin", "/bin"])


def test_a_build_that_fails_says_what_go_said(tmp_path, monkeypatch):
    fake_go(tmp_path / "go", "echo go: downloading x >&2; echo 'dial tcp: no route to host' >&2; exit 1")
    monkeypatch.setenv("PATH", path_with(tmp_path / "go"))
    with pytest.raises(RefusedError, match=r"3\.7\.3 could not be built: dial tcp: no route to host"):
        require(LabSpec(version="3.7"), tmp_path / "cache")


def test_two_at_once_build_once(tmp_path, monkeypatch):
    fake_go(tmp_path / "go", f"echo built >> {tmp_path}/builds; sleep 0.5; echo program > $out")
    monkeypatch.setenv("PATH", path_with(tmp_path / "go"))
    with ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(lambda version: require(LabSpec(version=version), tmp_path / "cache"), ["3.7"] * 2)
        )
    assert both[0] == both[1]
    assert both[0].etcdctl.read_text() == "program\n"
    assert (tmp_path / "builds").read_text() == "built\n"
    assert sorted(path.name for path in (tmp_path / "cache" / "bin").iterdir()) == ["etcd-3.7.3"]


def test_a_build_whose_sretool_was_killed_is_waited_for_and_made_again(tmp_path, monkeypatch):
    """Otherwise both would write the same file."""
    began, ended = tmp_path / "began", tmp_path / "ended"
    fake_go(tmp_path / "go", f"echo >> {began}; sleep 1; echo program > $out; echo >> {ended}")
    monkeypatch.setenv("PATH", path_with(tmp_path / "go"))
    program = (
        "from pathlib import Path\nimport sys\nfrom sretool.lab import LabSpec\n"
        "from sretool.lab.binaries import require_binaries\n"
        "require_binaries(LabSpec(version='3.7'), cache=Path(sys.argv[1]), lab_dir=Path('/no-lab'), progress=print)\n"
    )
    cache = tmp_path / "cache"
    with subprocess.Popen([sys.executable, "-c", program, str(cache)], stdout=subprocess.DEVNULL) as killed:
        while not began.exists():
            time.sleep(0.01)
        killed.kill()
    told: list[str] = []
    require_binaries(LabSpec(version="3.7"), cache=cache, lab_dir=tmp_path, progress=told.append)
    assert "another sretool is building" in told[0]
    assert began.read_text().count("\n") == ended.read_text().count("\n") == 2
