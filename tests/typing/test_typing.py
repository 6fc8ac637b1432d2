"""What must, and what must not, type-check: a line that must not says so with `# error: CODE`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases"


def wanted():
    """Return (file, line, code) of every error that the cases ask for."""
    return {
        (path.name, number, code)
        for path in CASES.glob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for code in re.findall(r"# error: ([a-z-]+)$", line)
    }


@pytest.mark.timeout(120)
def test_the_type_checker_finds_these_errors_and_no_others():
    """One run over all cases, on the repository's own cache: seconds, and half a minute without it."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary", str(CASES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = re.findall(r"^\S*?([^/\s]+\.py):(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert wanted() == {(name, int(line), code) for name, line, code in found}, done.stdout + done.stderr
    assert len(wanted()) > 10
