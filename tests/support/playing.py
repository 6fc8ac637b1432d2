"""Playbooks over steps of a test's own: what they see and change is a `World` in memory, the cluster a real one."""

import contextlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Annotated

import msgspec

from sretool.cluster.inventory import parse_cluster
from sretool.engine.opening import Terms
from sretool.engine.operate import Approval
from sretool.engine.playbook import PlaybookOperation
from sretool.engine.playbook_opening import opened_playbook, reopened_playbook
from sretool.engine.playbook_undo import undo_stages
from sretool.model import Change, Effect, Finding, Known, Outcome, Proposal, Result, Risk, Severity
from sretool.runbook.playbook_loader import load_playbook
from sretool.step import Step
from tests.support.moving_clock import MovingClock

LOOK, MAKE = "test.look", "test.make"


class NoParams(msgspec.Struct, frozen=True):
    """Nothing is asked for."""


class MakeParams(msgspec.Struct, frozen=True):
    """What is made, if it is not there."""

    thing: Annotated[str, msgspec.Meta(pattern="^[a-z]*$")] = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a look has seen."""

    wrong: Known[bool]
    things: int
    name: str


class World:
    """What steps see and change. `on_look`, `on_change` and `on_observe` may raise, and see each look, change and observation
    before it is made."""

    def __init__(self) -> None:
        self.wrong: Known[bool] = True
        self.causes: tuple[str, ...] = ()
        self.things: set[str] = set()
        self.name = ""  # what the look says that should be made
        self.on_look: Callable[[str], None] = lambda _runbook: None
        self.on_change: Callable[[Change], None] = lambda _change: None
        self.on_observe: Callable[[Change], None] = lambda _change: None

    def seen(self) -> Seen:
        return Seen(wrong=self.wrong, things=len(self.things), name=self.name)


def steps_of(world: World):
    """Return the steps of `world` by their names."""

    class Looks(Step[NoParams, Seen]):
        """Looks."""

        uses = LOOK
        risk = Risk.READ
        causes = MappingProxyType({"slow": "", "rust": ""})

        def look(self, read, params):
            world.on_look("look")
            return world.seen()

        def plan(self, params, facts, earlier):
            return Proposal(
                findings=tuple(
                    Finding(severity=Severity.CRITICAL, sentence=f"{one} is wrong", verdict=one)
                    for one in world.causes
                )
            )

    class Makes(Step[MakeParams, Seen]):
        """Makes a thing."""

        uses = MAKE
        risk = Risk.REVERSIBLE

        def look(self, read, params):
            world.on_look(params.thing)
            return world.seen()

        def plan(self, params, facts, earlier):
            due = params.thing and params.thing not in world.things
            return Proposal(waves=((_change(params.thing),),) if due else ())

        def apply(self, write, change):
            world.on_change(change)
            if change.after["there"]:
                world.things.add(change.object)
            else:
                world.things.discard(change.object)

        def observe(self, read, change):
            world.on_observe(change)
            done = (change.object in world.things) == bool(change.after["there"])
            return Outcome(result=Result.DONE if done else Result.NOT_DONE, evidence="looked")

    return {LOOK: Looks, MAKE: Makes}


def _change(thing: str) -> Change:
    return Change(
        step="make",
        uses=MAKE,
        verb="make",
        object=thing,
        label=thing,
        reason="it is not there",
        risk=Risk.REVERSIBLE,
        effects=(Effect.SAVES_LOCALLY,),
        before={"there": 0},
        after={"there": 1},
    )


RUNBOOKS = {
    "look": (
        f"runbook: look\nsummary: s\nsteps:\n- {{id: look, uses: {LOOK}}}\n"
        "verdicts: {slow: {next: buy-a-disk, about: it is old}}\n"
    ),
    "make": (
        "runbook: make\nsummary: s\nparams:\n  thing: {type: string, default: '', about: a}\nsteps:\n"
        f'- {{id: make, uses: {MAKE}, with: {{thing: "{{{{ params.thing }}}}"}}}}\n'
    ),
}


def yes(_plan, _lock):
    return Approval(granted=True, how="yes")


def no(_plan, _lock):
    return Approval(granted=False, how="no")


class Playing:
    """One playbook on `lab`, in the state folder of the test. `run` begins it, `resume` and `undo` go on with it.

    `on_event` hears what happens; `records` are the journal.
    """

    def __init__(self, lab, world, text):
        self._entry = parse_cluster(lab.cluster_file.read_text(), origin=str(lab.cluster_file))
        self._steps = steps_of(world)
        self._text = text
        self.on_event = lambda _event: None
        self.records = []
        self.id = ""

    def run(self, approver, *, stages=(), given=()):
        book = load_playbook(self._text, origin="test.yaml", catalogue=self._steps, find=_find)
        opened = opened_playbook(book, dict(given), stages, self._entry, self._terms(), may_write=True)
        return self._do(opened, lambda _run, operation: operation.run(approver))

    def resume(self, approver):
        return self._do(self._reopened(), lambda _run, operation: operation.resume(approver))

    def undo(self, approver):
        return self._do(self._reopened(), lambda run, operation: undo_stages(run, operation, approver))

    def _reopened(self):
        return reopened_playbook(self.id, lambda _name: self._entry, self._terms())

    @contextlib.contextmanager
    def _kept(self, run):
        self.id = run.id
        try:
            yield
        finally:
            self.records = list(run.journal.records)

    def _do(self, opened, act):
        with opened as run, self._kept(run):
            return act(run, PlaybookOperation(run))

    def _terms(self):
        return Terms(catalogue=self._steps, clock=MovingClock(), emit=self.on_event, unattended=True)


def _find(name):
    return RUNBOOKS[name], f"{name}.yaml"
