"""What in Kubernetes fills and burdens etcd, as findings; and what could not be looked at."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from sretool.knowledge.event_groups import Group
from sretool.knowledge.events import flood_findings
from sretool.knowledge.scale_down import scale_proposal
from sretool.knowledge.workloads import ScaleView
from sretool.model import Finding, Known, Severity, Unknown

Api = Literal["asked", "down", "silent", "absent", "none"]
NOT_LOOKED_AT = "who writes the events, and which workloads run away, was not looked at"


class LoadSources(msgspec.Struct, frozen=True, kw_only=True):
    """What was read through the API server. `groups` are empty where there is no flood.

    `api` is `absent` where the cluster's entry names none, and `none` where no Kubernetes uses this etcd; `why`
    says what is wrong where it is not `asked`.
    """

    api: Api
    why: str = ""
    server: str = ""
    events: Known[int]
    groups: Known[tuple[Group, ...]]
    runaways: Known[ScaleView]


def load_findings(sources: LoadSources, *, flood: int) -> tuple[Finding, ...]:
    """Return the causes by name, and what was not looked at. Nothing of it makes the answer about etcd unclear."""
    if sources.api == "none":
        return ()
    if sources.api == "absent":
        return (Finding(severity=Severity.NOTE, sentence=f"{NOT_LOOKED_AT}: {sources.why}"),)
    if sources.api == "down":
        sentence = f"nothing listens where the API server should ({sources.why}): {NOT_LOOKED_AT}"
        return (
            Finding(severity=Severity.WARNING, verdict="api-down", subject=sources.server, sentence=sentence),
        )
    if sources.api == "silent":
        return (Finding(severity=Severity.WARNING, sentence=f"{NOT_LOOKED_AT}: {sources.why}"),)
    return (*_flood(sources, flood), *_runaways(sources))


def _flood(sources: LoadSources, flood: int) -> Iterator[Finding]:
    for part, what in (
        (sources.events, "how many events there are"),
        (sources.groups, "who writes the events"),
    ):
        if isinstance(part, Unknown):
            yield Finding(severity=Severity.WARNING, sentence=f"{what} was not looked at: {part.reason}")
            return
    if isinstance(sources.events, Unknown) or isinstance(sources.groups, Unknown):
        return
    yield from flood_findings(sources.events, sources.groups, flood=flood)


def _runaways(sources: LoadSources) -> Iterator[Finding]:
    if isinstance(sources.runaways, Unknown):
        sentence = f"which workloads run away was not looked at: {sources.runaways.reason}"
        yield Finding(severity=Severity.WARNING, sentence=sentence)
        return
    yield from scale_proposal(sources.runaways, replicas=0, accept_outage=False, uses="").findings
