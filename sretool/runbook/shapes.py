"""What may stand in a runbook's file: the source of both the loader's checks and the JSON Schema."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sretool.runbook.model import ParamType
from sretool.step import Duration

ID_PATTERN = "^[a-z][a-z0-9_]*$"
NAME_PATTERN = "^[a-z][a-z0-9-]*$"

Id = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, max_length=40)]
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, max_length=60)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Need = Literal["required", "optional"]


class NeedsShape(msgspec.Struct, frozen=True, kw_only=True):
    """Which ways to the cluster the runbook cannot do without."""

    etcd: Need | UnsetType = UNSET
    kubernetes: Need | UnsetType = UNSET
    hosts: Need | UnsetType = UNSET


class ParamShape(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that a person sets with `-p name=value`."""

    type: ParamType
    default: str | int | float | bool
    about: Annotated[Text, msgspec.Meta(description="what it decides, in one line")]


class RetryShape(msgspec.Struct, frozen=True, kw_only=True):
    """A look that fails is repeated."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)]
    within: Annotated[Duration, msgspec.Meta(description="all attempts together")]


class StepShape(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Steps run in order."""

    id: Annotated[Id, msgspec.Meta(description="what conditions, plans and journals call the step")]
    uses: Annotated[str, msgspec.Meta(description="the kind of work: see `sretool step`")]
    with_: dict[str, object] | UnsetType = msgspec.field(name="with", default=UNSET)
    when: Annotated[Text, msgspec.Meta(description="CEL over earlier steps' facts")] | UnsetType = UNSET
    on_failure: Literal["stop", "continue"] = "stop"
    retry: RetryShape | UnsetType = UNSET
    timeout: Annotated[Duration, msgspec.Meta(description="for the step's look")] | UnsetType = UNSET


class VerdictShape(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a cause that this runbook has no remedy for."""

    next: Annotated[Name, msgspec.Meta(description="the runbook that goes on")]
    about: str = ""


class VerifyShape(msgspec.Struct, frozen=True, kw_only=True):
    """How the result is proved."""

    again_after: Annotated[
        Text,
        msgspec.Meta(description="look once more after this duration, or {{ params.NAME }}, when unattended"),
    ]


class RunbookShape(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook: an ordered list of typed steps against one cluster."""

    runbook: Annotated[Name, msgspec.Meta(description="the file's name without .yaml")]
    summary: Annotated[Text, msgspec.Meta(description="the symptom, in one line")]
    alerts: Annotated[
        tuple[Text, ...], msgspec.Meta(description="names of alerts that this runbook answers")
    ] = ()
    needs: NeedsShape | UnsetType = UNSET
    params: dict[Id, ParamShape] = {}
    steps: Annotated[tuple[StepShape, ...], msgspec.Meta(min_length=1)]
    verdicts: dict[Name, VerdictShape] = {}
    verify: VerifyShape | UnsetType = UNSET
    deadline: Annotated[Duration, msgspec.Meta(description="for the whole run")] = Duration(2700)
