"""Begins a playbook, or takes one up again: its one journal, the connections, the exact texts that it ran."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sretool.clock import Deadline
from sretool.cluster import Cluster, ClusterEntry
from sretool.documents import suggest
from sretool.engine.ending import successor
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Journal
from sretool.engine.opening import Terms, begin_journal, connected, reopen_journal
from sretool.engine.playbook_run import PlaybookRun
from sretool.engine.runs import new_run_id, runs_folder
from sretool.errors import UsageError
from sretool.model import Unknown
from sretool.runbook.library import list_runbooks
from sretool.runbook.params import params_given, refuse, resolve_params
from sretool.runbook.playbook import Playbook, given_of, value_of
from sretool.runbook.playbook_loader import load_playbook


@contextmanager
def opened_playbook(
    playbook: Playbook,
    given: Mapping[str, str],
    named: tuple[str, ...],
    entry: ClusterEntry,
    terms: Terms,
    *,
    may_write: bool,
) -> Iterator[PlaybookRun]:
    """Yield a new execution; `named` are the stages asked for. Journal and `may_write` as for a runbook's run."""
    _require_params(playbook, given)  # a wrong parameter leaves no folder behind
    named = _stages_named(playbook, named)
    run_id = new_run_id(terms.clock.now())
    begin = {
        "runbook": playbook.name,
        "text": playbook.text,
        "origin": playbook.origin,
        "given": dict(given),
        "playbook": playbook.books,
        "stages": named,
        "outline": outline_of(playbook),
    }
    journal = begin_journal(run_id, begin, entry, terms, may_write=may_write)
    with connected(entry, terms.clock, journal) as (cluster, interrupts):
        yield _run(run_id, playbook, given, named, journal, cluster, interrupts, terms)


@contextmanager
def reopened_playbook(
    run_id: str, entry_of: Callable[[str], ClusterEntry], terms: Terms
) -> Iterator[PlaybookRun]:
    """Yield an earlier execution, by the texts that it was begun with; StateError when its journal is damaged."""
    journal, begin = reopen_journal(run_id, terms.clock)
    books = begin["playbook"]
    playbook = load_playbook(
        begin["text"],
        origin=begin["origin"],
        catalogue=terms.catalogue,
        find=lambda name: tuple(books[name]),
    )
    with connected(entry_of(begin["cluster"]), terms.clock, journal) as (cluster, interrupts):
        yield _run(
            run_id, playbook, begin["given"], tuple(begin["stages"]), journal, cluster, interrupts, terms
        )


def outline_of(playbook: Playbook) -> dict[str, Any]:
    """Return what a report tells of a playbook: its stages, its numbers, what goes on after a verdict."""
    own = {part.book.name for stage in playbook.stages for part in stage.parts}
    there = dict(list_runbooks())
    return {
        "stages": [
            {
                "id": stage.id,
                "about": stage.about,
                "gate": stage.gate,
                "runbooks": {part.id: part.book.name for part in stage.parts},
            }
            for stage in playbook.stages
        ],
        "causes": playbook.causes,
        "numbers": {number.name: list(number.fact.words) for number in playbook.numbers},
        "next": {
            verdict: successor(after, there, part.book.by_hand.get(verdict, ""))
            for stage in playbook.stages
            for part in stage.parts
            for verdict, after in part.book.verdicts.items()
            if after.next not in own
        },
    }


def _require_params(playbook: Playbook, given: Mapping[str, str]) -> None:
    """Raise UsageError for parameters that do not fit a runbook, where only they decide what it is given."""
    params = params_given(playbook.name, playbook.params, given)
    problems: list[str] = []
    for stage in playbook.stages:
        for part in stage.parts:
            resolved = given_of(part, lambda mention: value_of(mention, params, {}))
            if isinstance(resolved, Unknown):
                continue
            try:
                resolve_params(part.book, resolved)
            except UsageError as error:
                problems += [f"stage {stage.id}, {part.id}: {one}" for one in error.message.splitlines()]
    refuse(problems, playbook.params)


def _stages_named(playbook: Playbook, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return each stage that was asked for once; UsageError for one that cannot be."""
    known = {stage.id: stage for stage in playbook.stages}
    can_run = [stage.id for stage in playbook.stages if not stage.only_looks]
    for name in named:
        if name not in known:
            raise UsageError(f"{playbook.name} has no stage {name!r}{suggest(name, can_run)}")
        if known[name].only_looks:
            raise UsageError(
                f"the stage {name} of {playbook.name} only looks: it runs whichever stage is named"
            )
    return tuple(dict.fromkeys(named))


def _run(
    run_id: str,
    playbook: Playbook,
    given: Mapping[str, str],
    named: tuple[str, ...],
    journal: Journal,
    cluster: Cluster,
    interrupts: Interrupts,
    terms: Terms,
) -> PlaybookRun:
    return PlaybookRun(
        id=run_id,
        playbook=playbook,
        given=given,
        params=params_given(playbook.name, playbook.params, given),
        catalogue=terms.catalogue,
        cluster=cluster,
        clock=terms.clock,
        deadline=Deadline(terms.clock, playbook.deadline_seconds),
        journal=journal,
        interrupts=interrupts,
        emit=terms.emit,
        folder=runs_folder() / run_id,
        named=named,
        accepted=terms.accepted,
        unattended=terms.unattended,
    )
