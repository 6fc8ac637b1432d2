"""Every command of the tutorial is executed, in order, and ends as the page says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.etcd_cluster import hermetic_environment
from tests.support.sretool_cli import ROOT

PAGE = ROOT / "docs" / "tutorial" / "nospace.md"
COMMAND = re.compile(r"^\$ (?P<command>sretool .*)$(?:\n# exit (?P<code>\d+))?", re.MULTILINE)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_tutorial_works_as_written(tmp_path):
    commands = COMMAND.findall(PAGE.read_text())
    assert len(commands) >= 10
    environment = os.environ | hermetic_environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    try:
        for command, code in commands:
            done = run(shlex.split(command)[1:], environment, tmp_path)
            assert done.returncode == int(code or 0), f"$ {command}\n{done.stdout}{done.stderr}"
    finally:
        run(["lab", "down", "--all"], environment, tmp_path)


def run(arguments: list[str], environment, folder: Path):
    return subprocess.run(
        [sys.executable, "-m", "sretool", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=150,
        cwd=folder,
        env=environment,
        check=False,
    )
