"""What every part of one run shares."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sretool.clock import Clock, Deadline
from sretool.cluster import Cluster
from sretool.engine.events import Sink
from sretool.engine.interrupts import Interrupts
from sretool.engine.journal import JournalView
from sretool.knowledge.window import Window
from sretool.runbook.model import Runbook
from sretool.step import AnyStep


@dataclasses.dataclass(frozen=True)
class Run:
    """One execution of one runbook against one cluster."""

    id: str
    runbook: Runbook
    given: Mapping[str, str]  # parameters as the person gave them
    params: Mapping[str, Any]  # the same with defaults, typed
    steps: Mapping[str, AnyStep]  # by the runbook's step ids
    cluster: Cluster
    clock: Clock
    deadline: Deadline
    journal: JournalView
    interrupts: Interrupts
    emit: Sink
    accepted: tuple[str, ...] = ()  # guards that a person overrode with --accept
    unattended: bool = True
    window: Window | None = None  # no change is made outside of it
