"""Which version a program found on this machine is, by its own word."""

import re
import subprocess
from pathlib import Path

_ANSWER_SECONDS = 20


def version_of(program: Path, *, named: str) -> str:
    """Return the version after `named` in what the program answers to --version; empty when it is none of that."""
    try:
        answer = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(rf"^{re.escape(named)}(\d+\.\d+\.\d+)", answer.stdout, re.MULTILINE)
    return match[1] if match else ""
