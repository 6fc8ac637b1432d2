"""The first finding of `sretool runbook etcd-latency --plan`, on a database near its quota; no tool does it."""

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.filling import put_live
from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.stage import ROOT, Stage
from sretool.lab import LabSpec

_WINDOW_SECONDS = 2
_QUOTA = 128 << 20
_COMMAND = ("runbook", "etcd-latency", "--plan", "-p", f"window={_WINDOW_SECONDS}s", "--output", "jsonl")


def cases(stage: Stage) -> Cases:
    with stage.lab(LabSpec(name="first", quota_bytes=_QUOTA)) as lab:
        put_live(lab, size_bytes=_QUOTA * 85 // 100)
        yield Case(
            name="first finding",
            sides={"sretool": lambda: ours(stage)},
            goals=(Goal(quantity="first_finding_seconds", limit=1.0),),
            note=f"the window of {_WINDOW_SECONDS} s taken off where it came before",
        )


def ours(stage: Stage) -> Sample:
    """Read the events as they come: when each is printed, not when sretool says it happened."""
    command = [str(Path(sys.executable).with_name("sretool")), *_COMMAND]
    first = plan = None
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=stage.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stdout or ():
            now = time.perf_counter() - began
            event = json.loads(line)
            if first is None and event.get("findings"):
                first = now - (_WINDOW_SECONDS if now > _WINDOW_SECONDS else 0)
            if event["event"] == "planready":
                plan = now - _WINDOW_SECONDS
                check(event["plan"])
        said = running.stderr.read() if running.stderr else ""
    if first is None or plan is None:
        raise WrongAnswerError(f"exit {running.returncode}, no finding or no plan: {said[-300:]}")
    return {
        "first_finding_seconds": first,
        "plan_besides_window_seconds": plan,
        "whole_seconds": time.perf_counter() - began,
    }


def check(plan: dict[str, list[dict[str, str]]]) -> None:
    if not any("quota" in finding["sentence"] for finding in plan["findings"]):
        raise WrongAnswerError(f"nothing is found about the quota: {plan['findings']}")
