"""Values of planning: risk, finding, change, proposal, outcome. All of them frozen and JSON-serialisable."""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec


class Risk(enum.IntEnum):
    """How much a change can hurt; a plan has the highest of its changes."""

    READ = 0
    REVERSIBLE = 1
    DISRUPTIVE = 2
    IRREVERSIBLE = 3

    def __str__(self) -> str:
        return self.name.lower()


class Severity(enum.IntEnum):
    """How bad a finding is: `CRITICAL` hurts now, `WARNING` will; a cause of either left behind is exit 9."""

    OK = 0
    NOTE = 1
    WARNING = 2
    CRITICAL = 3

    def __str__(self) -> str:
        return self.name.lower()


class Effect(enum.StrEnum):
    """What a change does to the cluster; the guards that run before it follow from this."""

    SAVES_LOCALLY = "saves-locally"  # reads the cluster, writes a file here
    STALLS_MEMBER = "stalls-member"
    MOVES_LEADERSHIP = "moves-leadership"
    COMPACTS = "compacts"
    DISARMS = "disarms"
    WRITES_KEY = "writes-key"
    DELETES = "deletes"
    SCALES = "scales"
    SETS_QUOTA = "sets-quota"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value behind a finding: what, how much, against which threshold, read where."""

    what: str
    value: str
    threshold: str = ""
    source: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something noticed. With a `verdict` it names a cause; `follows` lists what follows from that cause.

    `subject` is the member, namespace or object concerned, empty for the whole cluster.
    `follows_from` names the verdict whose consequence this is wherever that verdict is found too.
    `blind` marks a finding that says a needed fact could not be read: it ends in exit 8, not 9; `then` is what to
    do about that.
    """

    severity: Severity
    sentence: str
    verdict: str = ""
    subject: str = ""
    evidence: tuple[Evidence, ...] = ()
    follows: tuple[str, ...] = ()
    refuted_by: str = ""
    follows_from: str = ""
    blind: bool = False
    then: str = ""

    @property
    def is_cause(self) -> bool:
        """Tell whether it says what is wrong, as opposed to a note, or to what could not be read."""
        if self.blind:
            return False
        return self.severity is Severity.CRITICAL or (
            self.severity is Severity.WARNING and bool(self.verdict)
        )


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The predicted cost: `stalls` maps a member's name to seconds, `seconds` is the whole change."""

    seconds: float = 0.0
    stalls: Mapping[str, float] = {}
    note: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One write, or one bounded batch of like writes: the unit of plan, approval, journal and undo.

    `object` is known before anything is done (a peer URL, a key, «cluster»), never something `apply` returns.
    `selection` is exactly what `apply` uses; `before` what `observe` compares with, read at the last look.
    `bounds` is what was approved: numbers may only shrink, lists only lose entries, texts stay equal.
    `conditional` says on what the change still depends, empty when it is certain to be due.
    `undone_first` marks one that undo takes back before the later changes of its step: an autoscaler's bounds
    would hold back the number of replicas that is put back.
    `reversible` marks a riskier change whose `before` is complete all the same: it can be undone.
    `commands` are the etcdctl or kubectl commands that do the same by hand, `commands_back` those that undo it.
    `made` is set by the engine on the changes that it passes to later steps as `earlier`: this one was made
    already, its effects can be seen.
    """

    step: str
    uses: str
    verb: str
    object: str
    label: str
    reason: str
    risk: Risk
    effects: tuple[Effect, ...]
    selection: Mapping[str, Any] = {}
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}
    bounds: Mapping[str, Any] = {}
    cost: Cost = Cost()
    conditional: str = ""
    commands: tuple[str, ...] = ()
    commands_back: tuple[str, ...] = ()
    reverses: str = ""
    reversible: bool = False
    undone_first: bool = False
    made: bool = False

    @property
    def can_be_undone(self) -> bool:
        """Tell whether `before` is complete, so that `reversed` is a way back."""
        return self.reversible or self.risk is Risk.REVERSIBLE

    @property
    def key(self) -> str:
        """What approval, journal and resume know this change by."""
        return f"{self.step}/{self.verb}/{self.object}"

    def reversed(self) -> "Change":
        """Return the change that puts `before` back; ValueError when it cannot be undone."""
        if not self.can_be_undone:
            message = f"{self.key} has risk {self.risk}: there is no way back"
            raise ValueError(message)
        plain = [f"{name} {value}" for name, value in self.before.items() if isinstance(value, int | str)]
        return msgspec.structs.replace(
            self,
            before=self.after,
            after=self.before,
            bounds={},
            reason=f"undo of {self.key}" + (f": back to {', '.join(plain)}" if plain else ""),
            reverses=self.key,
            conditional="",
            commands=self.commands_back,
            commands_back=self.commands,
        )


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was due and is not planned. `refused`: a rule forbids it; otherwise a fact is unknown.

    `accept` names the `--accept WORD` that overrides the rule, empty when nothing does.
    """

    what: str
    why: str
    refused: bool
    accept: str = ""
    commands: tuple[str, ...] = ()


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What one step found and would do: waves of independent changes, in order."""

    waves: tuple[tuple[Change, ...], ...] = ()
    findings: tuple[Finding, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for wave in self.waves for change in wave)


class Result(enum.StrEnum):
    """What looking at a change's object says about the change."""

    DONE = "done"
    NOT_DONE = "not-done"
    PARTLY = "partly"
    STILL_GOING = "still-going"
    CANNOT_TELL = "cannot-tell"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `observe`: a result, the evidence in one sentence, and numbers for the report.

    `commands` are what is left to do by hand, None where that is what the change's own commands do.
    """

    result: Result
    evidence: str
    measured: Mapping[str, Any] = {}
    commands: tuple[str, ...] | None = None
