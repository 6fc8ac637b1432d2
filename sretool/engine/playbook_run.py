"""One execution of a playbook: what its stages share, and what its journal says of each of them."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sretool.clock import Clock, Deadline
from sretool.cluster import Cluster
from sretool.engine.context import Run
from sretool.engine.ending import Ending
from sretool.engine.events import Event, PlanReady, Sink
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import Record, Scoped, WholeJournal
from sretool.engine.operate import touched_of
from sretool.engine.plan import Plan
from sretool.engine.resumption import Resumption
from sretool.errors import Touched
from sretool.model import Known, Unknown
from sretool.runbook.library import list_playbooks
from sretool.runbook.loader import resolve_params
from sretool.runbook.playbook import Facts, Part, Playbook, Stage, given_of, value_of
from sretool.runbook.references import Reference, fact_kinds
from sretool.step import Catalogue


@dataclasses.dataclass(frozen=True)
class PlaybookRun:
    """What the stages of one execution share. `named` are the stages that were asked for by `--stage`."""

    id: str
    playbook: Playbook
    given: Mapping[str, str]  # parameters as the person gave them
    params: Mapping[str, object]
    catalogue: Catalogue
    cluster: Cluster
    clock: Clock
    deadline: Deadline
    journal: WholeJournal
    interrupts: Interrupts
    emit: Sink
    folder: Path
    named: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    unattended: bool = True

    def command(self, *more: str) -> str:
        """Return the command that begins this playbook again in the same way: same stages, parameters, cluster."""
        stages = [word for stage in self.named for word in ("--stage", stage)]
        return command_of(
            self.playbook.name, self.playbook.origin, self.given, self.cluster.name, *stages, *more
        )

    def scope(self, stage: Stage, part: Part) -> str:
        """Return what the records of one runbook of a stage carry."""
        return f"{stage.id}/{part.id}"

    def part(self, stage: Stage, part: Part, given: Mapping[str, str]) -> Resumption:
        """Return the operation of one runbook of a stage, new or taken up: it sees its own records only."""
        run = Run(
            id=self.id,
            runbook=part.book,
            given=given,
            params=resolve_params(part.book, given),
            steps={spec.id: self.catalogue[spec.uses]() for spec in part.book.steps},
            cluster=self.cluster,
            clock=self.clock,
            deadline=self.deadline.within(part.book.deadline_seconds),
            journal=Scoped(self.journal, self.scope(stage, part)),
            interrupts=self.interrupts,
            emit=_only_found(self.emit) if stage.only_looks else self.emit,
            accepted=self.accepted,
            unattended=self.unattended,
        )
        return Resumption(run, run_folder=self.folder)

    def value(self, reference: Reference) -> object:
        """Return the value of a mention, from the parameters and what the journal's looks have read."""
        return value_of(reference, self.params, facts_of(self.journal.records))

    def given_for(self, part: Part) -> Known[dict[str, str]]:
        """Return the parameters of a stage's runbook; unknown with what is missing."""
        return given_of(part, self.value)

    def keep_facts(self, stage: Stage, part: Part, facts: Mapping[str, msgspec.Struct]) -> None:
        """Journal what conditions may ask about a look: the next stages, and a resume, go by that."""
        body = {step: plain_facts(found) for step, found in facts.items()}
        Scoped(self.journal, self.scope(stage, part)).write("facts", {"facts": body})

    @property
    def touched(self) -> Touched:
        """Return whether the cluster was changed, over all stages."""
        found = {
            touched_of([one for one in self.journal.records if one.scope == scope])
            for scope in {record.scope for record in self.journal.records}
        }
        return next(
            (one for one in (Touched.UNKNOWN, Touched.CHANGED) if one in found),
            Touched.NOTHING,
        )


def command_of(name: str, origin: str, given: Mapping[str, str], cluster: str, *more: str) -> str:
    """Return the command that runs a playbook: by its name where that finds it, else by its file."""
    word = name if dict(list_playbooks()).get(name) == origin else origin
    params = [part for key, value in given.items() for part in ("-p", f"{key}={value}")]
    return shlex.join(["sretool", "playbook", word, *more, *params, "--cluster", cluster])


class StageState(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal says of a stage: begun with which parameters, ended how, or why it was left out.

    `unsure` are the runbooks of a stage that has begun that were left out because nobody could tell whether they
    are needed, with the reason. `left_out` is `skipped`, `unknown` or `held`.
    """

    given: Mapping[str, Mapping[str, str]] | None = None
    unsure: Mapping[str, str] = {}
    ending: Ending | None = None
    left_out: str = ""
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether a resume passes it by: all of it came to its end, or its condition did not hold."""
        ended = self.ending is not None and self.ending.exit_code in (0, 9)
        return self.left_out == "skipped" or (ended and not self.unsure)


def state_of(records: Sequence[Record], stage: str) -> StageState:
    """Return the last state of a stage."""
    state = StageState()
    for record in records:
        if record.kind != "stage" or record.body["stage"] != stage:
            continue
        body = record.body
        match body["state"]:
            case "begun":
                state = StageState(given=body["given"], unsure=body["unsure"])
            case "ended":
                state = msgspec.structs.replace(state, ending=msgspec.convert(body["ending"], Ending))
            case left_out:
                state = StageState(left_out=left_out, why=body["why"])
    return state


def facts_of(records: Sequence[Record]) -> dict[tuple[str, str], Facts]:
    """Return what was read last, by stage and runbook."""
    found: dict[tuple[str, str], Facts] = {}
    for record in records:
        if record.kind == "facts":
            stage, _, part = record.scope.partition("/")
            found[stage, part] = record.body["facts"]
    return found


def plans_of(records: Sequence[Record], scope: str, *kinds: str) -> list[Plan]:
    """Return the plans that one runbook of a stage has journaled, of these kinds, all kinds when none is named."""
    return [
        msgspec.convert(record.body["plan"], Plan)
        for record in records
        if record.scope == scope and "plan" in record.body and (not kinds or record.kind in kinds)
    ]


def plain_facts(facts: msgspec.Struct) -> dict[str, Any]:
    """Return the facts that conditions see, as they stand in a journal."""
    found: dict[str, Any] = {}
    for name in fact_kinds(type(facts)):
        value = getattr(facts, name, None)
        if isinstance(value, Unknown):
            found[name] = {"unknown": value.reason}
        elif name != "due":
            found[name] = str(value) if type(value).__name__ == "MemberId" else value
    return found


def _only_found(emit: Sink) -> Sink:
    """Return a sink that shows of a plan what was found: in a stage that only looks nothing is planned."""

    def shown(event: Event) -> None:
        if isinstance(event, PlanReady) and event.phase != "verify":
            event = PlanReady(
                plan=msgspec.structs.replace(event.plan, changes=(), held=(), skipped=()), phase="look"
            )
        emit(event)

    return shown
