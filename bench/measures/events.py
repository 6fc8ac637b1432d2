"""A flood of events: who writes them, and their deletion by both doors, against kubectl."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.client import open_connection
from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.programs import require_kubectl
from bench.stage import Stage
from sretool.clients.etcd import EtcdReads, prefix_end
from sretool.clients.kubernetes import Connection, KubernetesReads
from sretool.errors import SretoolError
from sretool.knowledge.pace import p99
from sretool.lab import Lab, LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from sretool.lab.kubernetes_files import kubeconfig_path

_FLOOD = 100_000
_SPACES = tuple(f"team-{number:02}" for number in range(50))
_IN_FIFTY, _IN_ONE, _SCALED_FROM = 5_000, 3_000, 5_000
_REASON = "FailedScheduling"
_EVENTS = b"/registry/events/"
_PROBE_KEY = b"compact_rev_key"
_SMALL = "/api/v1/namespaces/kube-system"
_PAUSE_SECONDS, _REQUEST_SECONDS = 0.02, 20.0
_IDLE_SECONDS = 10.0  # as long as the deletion takes, for the worst of a longer time is worse
_GET, _DELETE = "kubectl get events -A", "kubectl delete events --all --wait=false"
_SCALED = f"{_DELETE}, {_SCALED_FROM} scaled to {_FLOOD}"


def cases(stage: Stage) -> Cases:
    kubectl = [str(require_kubectl(stage.tell))]
    with stage.lab(LabSpec(name="events", kubernetes=True)) as lab:
        kubectl.append(f"--kubeconfig={kubeconfig_path(lab.directory)}")
        _flood(lab, _FLOOD, *_SPACES)
        yield Case(
            name="report of 100,000 events",
            sides={"sretool": partial(our_report, stage), _GET: partial(their_report, stage, kubectl)},
            rounds=3,
            goals=(
                Goal(quantity="seconds", limit=0.1, against=_GET),
                Goal(quantity="peak_mb", limit=0.3, against=_GET),
            ),
        )
        undo_fault(lab, "event-flood")
        yield _through_api(stage, lab, kubectl, count=_IN_FIFTY, spaces=_SPACES, limit=0.55)
        yield _through_api(stage, lab, kubectl, count=_IN_ONE, spaces=_SPACES[:1], limit=0.8)
        yield Case(
            name="100,000 deleted in etcd, the API server down",
            sides={
                "sretool": partial(our_deletion_in_etcd, stage, lab),
                _SCALED: partial(their_deletion_scaled, stage, lab, kubectl),
            },
            rounds=3,
            goals=(
                Goal(quantity="seconds", limit=0.02, against=_SCALED),
                Goal(quantity="others_p99_seconds", limit=0.1),
                Goal(quantity="others_worst_to_idle", limit=2.0),
            ),
            note=f"seconds: the whole command; kubectl deletes {_SCALED_FROM}, scaled to {_FLOOD}; "
            f"others: linearizable reads of etcd, without deletion for {_IDLE_SECONDS:g} s",
        )


def our_report(stage: Stage) -> Sample:
    finished = stage.sretool("runbook", "event-flood", "--plan", "--output", "json").require(9)
    sentences = [one["sentence"] for one in json.loads(finished.stdout)["found"]]
    if not any(int(one.split()[0]) >= _FLOOD for one in sentences if " events, " in one):
        raise WrongAnswerError(f"the flood was not counted: {sentences}")
    return {"seconds": finished.seconds, "peak_mb": finished.peak_mb}


def their_report(stage: Stage, kubectl: list[str]) -> Sample:
    finished = stage.run([*kubectl, "get", "events", "-A"]).require(0)
    if finished.stdout.count("\n") < _FLOOD:
        raise WrongAnswerError("kubectl did not list all events")
    return {"seconds": finished.seconds, "peak_mb": finished.peak_mb}


def our_deletion(stage: Stage, lab: Lab, spaces: tuple[str, ...]) -> float:
    given = {"namespaces": ",".join(spaces), "reasons": _REASON, "while_written": "true"}
    params = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    finished = stage.sretool("runbook", "event-flood", *params, "--approve", "irreversible").require(0)
    _require_gone(lab, spaces)
    return finished.seconds


def their_deletion(stage: Stage, lab: Lab, kubectl: list[str], spaces: tuple[str, ...]) -> float:
    where = ["-A"] if len(spaces) > 1 else [f"--namespace={spaces[0]}"]
    finished = stage.run([*kubectl, "delete", "events", "--all", "--wait=false", *where]).require(0)
    _require_gone(lab, spaces)
    return finished.seconds


def our_deletion_in_etcd(stage: Stage, lab: Lab) -> Sample:
    _flood(lab, _FLOOD, *_SPACES)
    raise_fault(lab, "api-down")
    try:
        with open_connection(lab, lab.members[0]) as connection:
            reads = EtcdReads(connection)

            def ask() -> None:
                reads.range_page(_PROBE_KEY, limit=1, timeout_seconds=_REQUEST_SECONDS)

            with _client(ask) as idle:
                time.sleep(_IDLE_SECONDS)
            with _client(ask) as took:
                seconds = our_deletion(stage, lab, _SPACES)
    finally:
        undo_fault(lab, "api-down")
    return {
        "seconds": seconds,
        "others_p99_seconds": p99(took),
        "others_worst_seconds": max(took),
        "others_worst_to_idle": max(took) / max(idle),
    }


def their_deletion_scaled(stage: Stage, lab: Lab, kubectl: list[str]) -> Sample:
    _flood(lab, _SCALED_FROM, *_SPACES)
    seconds = their_deletion(stage, lab, kubectl, _SPACES)
    return {"seconds": seconds * _FLOOD / _SCALED_FROM}


def _through_api(
    stage: Stage, lab: Lab, kubectl: list[str], *, count: int, spaces: tuple[str, ...], limit: float
) -> Case:
    def watched(delete: Callable[[], float]) -> Sample:
        connection = Connection(str(kubeconfig_path(lab.directory)))
        reads = KubernetesReads(connection)
        try:
            with _client(partial(reads.get, _SMALL, timeout_seconds=_REQUEST_SECONDS)) as took:
                seconds = delete()
        finally:
            connection.close()
        return {"seconds": seconds, "others_p99_seconds": p99(took), "others_worst_seconds": max(took)}

    return Case(
        name=f"{count} deleted through the API, {len(spaces)} namespace{'' if len(spaces) == 1 else 's'}",
        sides={
            "sretool": lambda: watched(partial(our_deletion, stage, lab, spaces)),
            _DELETE: lambda: watched(partial(their_deletion, stage, lab, kubectl, spaces)),
        },
        rounds=3,
        prepare=lambda: _flood(lab, count, *spaces),
        goals=(
            Goal(quantity="seconds", limit=limit, against=_DELETE),
            Goal(quantity="others_p99_seconds", limit=2.0, against=_DELETE),
        ),
        note="seconds: the whole command, from its start to its end; others: GET of one namespace",
    )


def _flood(lab: Lab, count: int, *spaces: str) -> None:
    """Write a flood; what the side before may have left of its own is gone, or it would not have ended well."""
    raise_fault(lab, "event-flood", "", FaultOptions(count=count, namespaces=spaces, reasons=(_REASON,)))


def _require_gone(lab: Lab, spaces: tuple[str, ...]) -> None:
    with open_connection(lab, lab.members[0]) as connection:
        for space in spaces:
            prefix = _EVENTS + f"{space}/".encode()
            left = EtcdReads(connection).range_page(
                prefix, prefix_end(prefix), limit=0, count_only=True, timeout_seconds=_REQUEST_SECONDS
            )
            if left.count:
                raise WrongAnswerError(f"{left.count} events are left in {space}")


@contextlib.contextmanager
def _client(ask: Callable[[], object]) -> Iterator[list[float]]:
    """Let another client ask again and again for the time of the block; yield the seconds of its answers.

    Its first request, which also opens its connection, comes before that.
    """
    ask()
    ended = threading.Event()
    took: list[float] = []
    failed: list[SretoolError] = []

    def use() -> None:
        while not ended.wait(_PAUSE_SECONDS):
            began = time.monotonic()
            try:
                ask()
            except SretoolError as error:
                failed.append(error)
            took.append(time.monotonic() - began)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    try:
        yield took
    finally:
        ended.set()
        thread.join()
    if failed:
        raise WrongAnswerError(f"another client's request failed: {failed[0]}")
