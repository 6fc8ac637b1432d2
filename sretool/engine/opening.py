"""Begins a run, or takes one up again: folder, journal, connections and signal handling, closed at the end."""

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sretool import __version__
from sretool.clock import Clock, Deadline
from sretool.cluster import Cluster, ClusterEntry
from sretool.cluster.inventory import ADD_KUBECONFIG
from sretool.engine.context import Run
from sretool.engine.events import Noted, Sink
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.engine.lock import user_name
from sretool.engine.operate import Operation
from sretool.engine.resumption import Resumption
from sretool.engine.runs import new_run_id, runs_folder
from sretool.errors import StateError, UsageError
from sretool.knowledge.window import Window
from sretool.runbook.loader import load_runbook, resolve_params
from sretool.runbook.model import Runbook
from sretool.step import Catalogue


@dataclasses.dataclass(frozen=True)
class Terms:
    """Under which terms a run is operated: who listens, what was overridden, whether a person is there."""

    catalogue: Catalogue
    clock: Clock
    emit: Sink
    unattended: bool
    accepted: tuple[str, ...] = ()
    window: Window | None = None


@contextmanager
def opened_run(
    runbook: Runbook, given: Mapping[str, str], entry: ClusterEntry, terms: Terms, *, may_write: bool
) -> Iterator[Operation]:
    """Yield a new run. Its journal is needed before anything may be written: StateError when it cannot be kept.

    A run that only looks (`may_write` False) goes on without one, and says so. `given` are the parameters as
    the person wrote them.
    """
    _require_ways(runbook, entry)
    resolve_params(runbook, given)  # a wrong parameter leaves no folder behind
    run_id = new_run_id(terms.clock.now())
    begin = {"runbook": runbook.name, "text": runbook.text, "origin": runbook.origin, "given": dict(given)}
    journal = begin_journal(run_id, begin, entry, terms, may_write=may_write)
    with connected(entry, terms.clock, journal) as (cluster, interrupts):
        run = _run(run_id, runbook, given, cluster, journal, interrupts, terms)
        yield Operation(run, run_folder=runs_folder() / run_id)


def _require_ways(runbook: Runbook, entry: ClusterEntry) -> None:
    """Refuse, with nothing sent, a runbook that cannot do without a way that the cluster's file does not name."""
    if runbook.needs.get("kubernetes") == "required" and entry.kubernetes is None:
        raise UsageError(
            f"{runbook.name} needs the API server, and the file of cluster {entry.cluster} names none",
            then=ADD_KUBECONFIG.format(name=entry.cluster),
        )
    if runbook.needs.get("hosts") == "required":
        raise UsageError(f"{runbook.name} needs the hosts, and sretool does not reach any over SSH yet")


def begin_journal(
    run_id: str, begin: Mapping[str, Any], entry: ClusterEntry, terms: Terms, *, may_write: bool
) -> Journal:
    """Return a new journal that holds its first record: who began what, where."""
    body = {
        "run": run_id,
        **begin,
        "cluster": entry.cluster,
        "user": user_name(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "accepted": terms.accepted,
        "unattended": terms.unattended,
    }
    try:
        return _begun(Journal.create(runs_folder() / run_id, terms.clock), body)
    except StateError as error:
        if may_write:
            raise
        terms.emit(Noted(text=f"this look leaves no record: {error.message}"))
        return _begun(Journal(None, terms.clock), body)


def _begun(journal: Journal, body: Mapping[str, Any]) -> Journal:
    """Return `journal` with its first record; when that cannot be kept, nothing is left of it."""
    try:
        journal.write("begin", body)
    except StateError:
        journal.discard()
        raise
    return journal


@contextmanager
def reopened_run(run_id: str, entry_of: Callable[[str], ClusterEntry], terms: Terms) -> Iterator[Resumption]:
    """Yield an earlier run, to be resumed or undone; StateError when its journal is damaged."""
    journal, begin = reopen_journal(run_id, terms.clock)
    runbook = load_runbook(begin["text"], origin=begin["origin"], catalogue=terms.catalogue)
    with connected(entry_of(begin["cluster"]), terms.clock, journal) as (cluster, interrupts):
        run = _run(run_id, runbook, begin["given"], cluster, journal, interrupts, terms)
        yield Resumption(run, run_folder=runs_folder() / run_id)


def reopen_journal(run_id: str, clock: Clock) -> tuple[Journal, Mapping[str, Any]]:
    """Return an earlier run's journal, open, and the body of its first record."""
    journal = Journal.reopen(runs_folder() / run_id, clock)
    begin = next((record.body for record in journal.records if record.kind == "begin"), None)
    if begin is None:
        journal.close()
        raise StateError(f"run {run_id} was ended before it began: its journal is empty")
    return journal, begin


@contextmanager
def connected(entry: ClusterEntry, clock: Clock, journal: Journal) -> Iterator[tuple[Cluster, Interrupts]]:
    """Yield the open cluster while signals are caught; close the journal at the end."""
    try:
        with Interrupts(clock) as interrupts, Cluster(entry, clock) as cluster:
            yield cluster, interrupts
    finally:
        journal.close()


def _run(
    run_id: str,
    runbook: Runbook,
    given: Mapping[str, str],
    cluster: Cluster,
    journal: Journal,
    interrupts: Interrupts,
    terms: Terms,
) -> Run:
    return Run(
        id=run_id,
        runbook=runbook,
        given=given,
        params=resolve_params(runbook, given),
        steps={spec.id: terms.catalogue[spec.uses]() for spec in runbook.steps},
        cluster=cluster,
        clock=terms.clock,
        deadline=Deadline(terms.clock, runbook.deadline_seconds),
        journal=journal,
        interrupts=interrupts,
        emit=terms.emit,
        accepted=terms.accepted,
        unattended=terms.unattended,
        window=terms.window,
    )
