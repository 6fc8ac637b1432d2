"""sretool as a person or a scheduler runs it: a process of its own, with a home of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sretool.lab.processes import wait_until

ROOT = Path(__file__).parents[2]
TIME_LIMIT_SECONDS = 110


class Sretool:
    """Runs the command line with `base`'s cluster entries, where `running_lab(base, …)` puts its own.

    `state` is where runs, locks and snapshots go; that of the labs when it is not given.
    """

    def __init__(self, base: Path, cluster: str, *, state: Path | None = None):
        self.state = state or base / "state"
        self.cluster = cluster
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(base),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CONFIG_HOME": str(base / "config"),
            "SRETOOL_CLUSTER": cluster,
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }

    def __call__(self, *arguments, crash="", env=None, seconds=TIME_LIMIT_SECONDS, **kwargs):
        """Run `sretool ARGUMENTS`, with `crash` under SIGKILL at that point; return the finished process.

        It may take `seconds`, which is no more than what tells a hang.
        """
        command = [sys.executable, "-m", "sretool"]
        if crash:
            command = [sys.executable, "-m", "tests.support.crashing", crash]
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            cwd=ROOT,
            env=self.environment | (env or {}),
            **kwargs,
        )

    def start(self, *arguments, env=None):
        """Start `sretool ARGUMENTS` in the background and return the process."""
        return subprocess.Popen(
            [sys.executable, "-m", "sretool", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=self.environment | (env or {}),
        )

    def journal(self, run_id=""):
        """Return the records of a run (the newest when none is named)."""
        runs = sorted((self.state / "sretool" / "runs").glob(f"{run_id}*/journal.jsonl"))
        return [json.loads(line) for line in runs[-1].read_text().splitlines()]

    def wait_for_record(self, kind, *, verb="", seconds=60):
        """Wait until the newest run's journal has a record of `kind`, of a change with `verb` if that is given."""

        def is_there():
            try:
                records = self.journal()
            except (IndexError, ValueError):  # not begun, or a line half written
                return False
            return any(one["kind"] == kind and verb in ("", one["body"].get("verb")) for one in records)

        assert wait_until(is_there, seconds=seconds), f"no record {kind} {verb} in {seconds} s"

    def run_ids(self):
        return sorted(path.name for path in (self.state / "sretool" / "runs").glob("*"))
