"""What happens during a run, as it happens: the live view and `--output jsonl` are made of these."""

from collections.abc import Callable

import msgspec

from sretool.engine.plan import Plan
from sretool.model import Change, Finding, Outcome


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """Base of all events."""


class LookStarted(Event, frozen=True, kw_only=True):
    """A step begins to read."""

    step: str
    uses: str


class LookEnded(Event, frozen=True, kw_only=True):
    """A step has read and planned: what it found, how many changes it would make, how to read that by hand.

    A `precaution` makes its changes only before those of a later step.
    """

    step: str
    uses: str
    seconds: float
    findings: tuple[Finding, ...]
    changes: int
    precaution: bool = False
    commands: tuple[str, ...] = ()


class StepSkipped(Event, frozen=True, kw_only=True):
    """A step was not looked at, and why."""

    step: str
    uses: str
    reason: str


class ReadRetried(Event, frozen=True, kw_only=True):
    """A read failed and is tried again."""

    what: str
    cause: str


class PlanReady(Event, frozen=True, kw_only=True):
    """Looking is over. `phase` is `plan`, `resume` or `verify`; `look` in a stage that only looks."""

    plan: Plan
    phase: str


class Approved(Event, frozen=True, kw_only=True):
    """Somebody, or a level given beforehand, approved the plan."""

    how: str
    lock: str


class Waiting(Event, frozen=True, kw_only=True):
    """A guard lets a change wait."""

    change: str
    rule: str
    reason: str
    seconds: float


class ChangeStarted(Event, frozen=True, kw_only=True):
    """The intent is on disk; the change is being made."""

    change: Change
    number: int
    total: int


class ChangeGoing(Event, frozen=True, kw_only=True):
    """A change takes its time; it is being watched."""

    change: str
    seconds: float
    limit_seconds: float
    evidence: str


class ChangeEnded(Event, frozen=True, kw_only=True):
    """A change was made (or not) and looked at."""

    change: Change
    outcome: Outcome
    seconds: float


class ChangeDropped(Event, frozen=True, kw_only=True):
    """An approved change is no longer due."""

    change: str
    reason: str


class StageBegan(Event, frozen=True, kw_only=True):
    """A stage of a playbook begins; `runbooks` are the parts that it runs."""

    stage: str
    about: str
    gate: str
    runbooks: tuple[str, ...]


class StageEnded(Event, frozen=True, kw_only=True):
    """A stage of a playbook has ended, was skipped or is held back. `exit_code` is None where it did not run."""

    stage: str
    exit_code: int | None
    sentence: str


class Noted(Event, frozen=True, kw_only=True):
    """Something worth a line."""

    text: str


Sink = Callable[[Event], None]
