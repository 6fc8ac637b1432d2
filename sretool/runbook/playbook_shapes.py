"""What may stand in a playbook's file: the source of both the loader's checks and the JSON Schema."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sretool.runbook.shapes import Id, Name, ParamShape, Text
from sretool.step import Duration


class PartShape(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook that a stage runs."""

    run: Annotated[
        Text,
        msgspec.Meta(description="the runbook's name, or its file's path as seen from this file's folder"),
    ]
    as_: (
        Annotated[
            Id, msgspec.Meta(description="what conditions and reports call it; else its name, with _ for -")
        ]
        | UnsetType
    ) = msgspec.field(name="as", default=UNSET)
    when: (
        Annotated[
            Text,
            msgspec.Meta(
                description="CEL as in a stage; this runbook is left out where it is false or unknown"
            ),
        ]
        | UnsetType
    ) = UNSET
    with_: (
        Annotated[
            dict[str, object],
            msgspec.Meta(
                description="its parameters: values, {{ params.NAME }}, or {{ stages.STAGE.RUNBOOK.STEP.FACT }}"
            ),
        ]
        | UnsetType
    ) = msgspec.field(name="with", default=UNSET)


class StageShape(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: its runbooks are planned together, asked about once, and carried out in order."""

    id: Annotated[Id, msgspec.Meta(description="what conditions, reports and --stage call it")]
    about: Annotated[str, msgspec.Meta(description="what it is for, in one line")] = ""
    runbooks: Annotated[tuple[PartShape, ...], msgspec.Meta(min_length=1)]
    when: (
        Annotated[Text, msgspec.Meta(description="CEL over parameters and the facts of earlier stages")]
        | UnsetType
    ) = UNSET
    gate: Annotated[
        Literal["none", "ask", "held"],
        msgspec.Meta(
            description="none: it only looks; ask: one question; held: only when named with --stage"
        ),
    ] = "ask"
    until: (
        Annotated[
            Text, msgspec.Meta(description="CEL, also over its own facts: the stage ends when it holds")
        ]
        | UnsetType
    ) = UNSET
    timeout: Annotated[Duration, msgspec.Meta(description="wait so long for until")] | UnsetType = UNSET
    on_failure: Annotated[
        Literal["stop", "continue"],
        msgspec.Meta(description="when it was declined, refused or stopped part-way"),
    ] = "stop"


class PlaybookShape(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook: an incident, as stages that run runbooks, with gates where a person decides."""

    playbook: Annotated[Name, msgspec.Meta(description="the file's name without .yaml")]
    summary: Annotated[Text, msgspec.Meta(description="the incident, in one line")]
    alerts: Annotated[
        tuple[Text, ...], msgspec.Meta(description="names of alerts that this playbook answers")
    ] = ()
    params: dict[Id, ParamShape] = {}
    stages: Annotated[tuple[StageShape, ...], msgspec.Meta(min_length=1)]
    causes: Annotated[
        tuple[Name, ...],
        msgspec.Meta(description="verdicts, each before those that it leads to: the report's order"),
    ] = ()
    numbers: Annotated[
        dict[Text, Text],
        msgspec.Meta(description="what the report tells before and after: a name, and stages.… of a look"),
    ] = {}
    deadline: Annotated[Duration, msgspec.Meta(description="for the whole playbook")] = Duration(7200)
