"""A runbook as the engine sees it: checked, typed, frozen."""

import enum
from collections.abc import Mapping
from typing import cast

import msgspec

from sretool.runbook.expressions import Condition
from sretool.step import Duration


class ParamType(enum.StrEnum):
    """The types a runbook's parameter may have."""

    DURATION = "duration"
    QUANTITY = "quantity"
    PERCENT = "percent"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter; `default` has the Python type that `type` stands for."""

    name: str
    type: ParamType
    default: object
    about: str


class RetrySpec(msgspec.Struct, frozen=True, kw_only=True):
    """How often a step looks before its look has failed."""

    attempts: int
    within_seconds: float


class StepSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a runbook. `with_` is as written: `step_params` resolves its `{{ params.x }}`."""

    id: str
    uses: str
    params_type: type[msgspec.Struct]
    with_: Mapping[str, object] = {}
    when: Condition | None = None
    on_failure: str = "stop"
    retry: RetrySpec | None = None
    timeout_seconds: float | None = None


class VerdictNext(msgspec.Struct, frozen=True, kw_only=True):
    """The runbook that takes over when this verdict remains."""

    next: str
    about: str = ""


class Runbook(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded runbook. `text` is the exact file, `origin` where it came from.

    `by_hand` says of each cause that its steps may find what a person does about it.
    `verify_again_after` is a duration (0: no second look), or the name of the parameter that holds one.
    """

    name: str
    summary: str
    alerts: tuple[str, ...] = ()
    needs: Mapping[str, str] = {}
    params: tuple[ParamSpec, ...] = ()
    steps: tuple[StepSpec, ...]
    verdicts: Mapping[str, VerdictNext] = {}
    by_hand: Mapping[str, str] = {}
    verify_again_after: Duration | str = Duration(0)
    deadline_seconds: float = 2700.0
    text: str
    origin: str

    def second_look_after(self, params: Mapping[str, object]) -> Duration:
        """Return the pause before the second look of an unattended run; 0 for none."""
        pause = self.verify_again_after
        return cast("Duration", params[pause]) if isinstance(pause, str) else pause
