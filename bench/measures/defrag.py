"""Compact and defragment a 600 MB file under clients' eyes: against the careful and the naive way.

The file is at NOSPACE, for sretool compacts no etcd that has space.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.client import clients_of_every_member
from bench.filling import put_garbage_until_full, put_live
from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.programs import find_etcd_defrag
from bench.record import waited_seconds
from bench.stage import RUNBOOKS, Finished, SavedLab, Stage, etcdctl
from sretool.lab import Lab, LabSpec

Status = dict[str, Any]

_QUOTA = 600_000_000
_LIVE = 180_000_000
_CAREFUL, _NAIVE, _ETCD_DEFRAG = "compact --physical, leader last", "compact, defrag --cluster", "etcd-defrag"
_LEFT = 1.3  # a file this much larger than what lives in it was not defragmented


def cases(stage: Stage) -> Cases:
    tool = find_etcd_defrag()
    with stage.lab(LabSpec(name="defrag", quota_bytes=_QUOTA)) as lab:
        stage.tell("defrag: filling 600 MB")
        put_live(lab, size_bytes=_LIVE)
        put_garbage_until_full(lab)
        saved = SavedLab(lab, stage)
        sides: dict[str, Callable[[], Sample]] = {
            "sretool": lambda: _watched(stage, lab, lambda: ours(stage)),
            _CAREFUL: lambda: _watched(stage, lab, lambda: careful(stage, lab)),
            _NAIVE: lambda: _watched(stage, lab, lambda: naive(stage, lab), may_fail=True),
        }
        peer = _CAREFUL
        if tool is not None:
            peer = _ETCD_DEFRAG
            sides[peer] = lambda: _watched(stage, lab, lambda: etcd_defrag(stage, lab, tool))
        yield Case(
            name="600 MB, 180 MB live",
            sides=sides,
            rounds=5,
            prepare=saved.restore,
            goals=(
                Goal(quantity="failed_requests", limit=0, every_run=True),
                Goal(quantity="longest_gap_seconds", limit=1.1, against=peer),
                Goal(quantity="longest_gap_seconds", limit=0.4, against=_NAIVE),
                Goal(quantity="seconds_besides_settle", limit=1.1, against=peer),
            ),
            note="" if tool else "etcd-defrag is not in PATH: what it does, done by etcdctl, stands for it",
        )


def ours(stage: Stage) -> tuple[float, float]:
    """Return the seconds of the run, and those it waited for guards and to settle."""
    runbook = RUNBOOKS / "compact-defrag.yaml"
    # 9: the alarm is still raised afterwards, for this runbook does not disarm; nor do the peers.
    arguments = ("runbook", str(runbook), "--approve", "irreversible", "--output", "jsonl")
    finished = stage.sretool(*arguments).require(0, 9)
    return finished.seconds, waited_seconds(finished)


def careful(stage: Stage, lab: Lab) -> tuple[float, float]:
    """Do what etcd-defrag does: status of all, compact and wait for it, followers, the leader last."""
    status, seconds = _status(stage, lab)
    revision = status[0]["Status"]["header"]["revision"]
    followers_first = sorted(status, key=lambda one: _is_leader(one["Status"]))
    commands = [etcdctl(lab, "compact", "--physical", str(revision), "--command-timeout=120s")]
    commands += [
        etcdctl(lab, "defrag", "--command-timeout=120s", endpoints=[one["Endpoint"]])
        for one in followers_first
    ]
    return seconds + sum(stage.run(command).require(0).seconds for command in commands), 0.0


def naive(stage: Stage, lab: Lab) -> tuple[float, float]:
    """Do what most people type; it may fail, and often does."""
    status, seconds = _status(stage, lab)
    revision = str(status[0]["Status"]["header"]["revision"])
    ran = [stage.run(etcdctl(lab, "compact", revision)), stage.run(etcdctl(lab, "defrag", "--cluster"))]
    return seconds + sum(one.seconds for one in ran), 0.0


def etcd_defrag(stage: Stage, lab: Lab, tool: Path) -> tuple[float, float]:
    arguments = etcdctl(lab, "--compaction=true", "--command-timeout=120s")[1:]
    return stage.run([str(tool), *arguments]).require(0).seconds, 0.0


def _watched(
    stage: Stage, lab: Lab, side: Callable[[], tuple[float, float]], *, may_fail: bool = False
) -> Sample:
    with clients_of_every_member(lab) as clients:
        seconds, settle = side()
    if not may_fail:
        check(lab)
    failures = [failure for client in clients for failure in client.failures]
    for failure in failures:
        stage.tell(f"defrag: a client's request failed {failure}")
    return {
        "seconds": seconds,
        "seconds_besides_settle": seconds - settle,
        "longest_gap_seconds": max(client.longest_gap_seconds for client in clients),
        "failed_requests": float(len(failures)),
        "requests": float(sum(client.requests for client in clients)),
        "largest_file_mb": max(one.db_size_bytes or 0 for one in lab.status()) / 1e6,
    }


def check(lab: Lab) -> None:
    for member in lab.status():
        if (member.db_size_bytes or 0) > _LEFT * _LIVE:
            raise WrongAnswerError(f"{member.name} still has {member.db_size_bytes} bytes")


def _status(stage: Stage, lab: Lab) -> tuple[Sequence[Status], float]:
    finished: Finished = stage.run(etcdctl(lab, "endpoint", "status", "-w", "json")).require(0)
    return json.loads(finished.stdout), finished.seconds


def _is_leader(status: Status) -> bool:
    return bool(status["leader"] == status["header"]["member_id"])
