"""Events as the API tells them: read in pages, with flat memory, and what is left of a batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from sretool.cluster.kubernetes_reader import KubernetesReader
from sretool.knowledge.event_groups import BATCH_LIMIT, selector_of
from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.stored_events import NO_REASON

_FEW = 50  # where whatever has the reason was deleted, the first event tells as a rule that none is left
PAGE = 4000  # each page lets etcd count all that follow; an event has about 1 KiB


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""


class _Involved(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Source(msgspec.Struct, frozen=True):
    component: str = ""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    last_observed_time: str | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Of an event what is looked at, as the API tells it."""

    metadata: _Meta
    reason_given: str | None = msgspec.field(default="", name="reason")
    involved_object: _Involved = _Involved()
    source: _Source | None = None
    reporting_component: str | None = ""
    last_timestamp: str | None = None
    series: _Series | None = None

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def version(self) -> str:
        return self.metadata.resource_version

    @property
    def reason(self) -> str:
        return self.reason_given or NO_REASON

    @property
    def reporter(self) -> str:
        return self.reporting_component or (self.source.component if self.source else "")

    @property
    def kind(self) -> str:
        return self.involved_object.kind

    @property
    def about(self) -> str:
        return self.involved_object.name

    @property
    def created(self) -> str:
        """When it was made, to the second, so that texts compare as times do."""
        return self.metadata.creation_timestamp[:19]

    @property
    def last_seen(self) -> str:
        """When it was written last, to the second."""
        times = (
            self.metadata.creation_timestamp,
            self.last_timestamp or "",
            (self.series and self.series.last_observed_time) or "",
        )
        return max(times)[:19]


def api_pages(api: KubernetesReader, namespaces: Sequence[str]) -> Iterator[list[Event]]:
    """Yield the events of `namespaces`, of all when empty, in pages; RemoteError when it fails."""
    for namespace in namespaces or ("",):
        yield from api.typed_pages(collection_path("v1", "events", namespace=namespace), Event, limit=PAGE)


class Left(NamedTuple):
    """How many events of a batch are there, and how many of its reason were made, or told again, since the look."""

    left: int
    since: int = 0


def left_of(api: KubernetesReader, selection: Mapping[str, Any]) -> Left:
    """Return what is there of a batch: by looking, up to its last name."""
    wanted = {(uid, version) for _, uid, version in selection["each"]}
    left = since = 0
    path = collection_path("v1", "events", namespace=selection["namespace"])
    limit = BATCH_LIMIT if wanted else _FEW
    for page in api.typed_pages(path, Event, limit=limit, field_selector=selector_of(selection["reason"])):
        for event in page:
            if event.name > selection["last"]:
                return Left(left, since)
            is_left = (event.uid, event.version) in wanted if wanted else _was_there(event, selection)
            left += is_left
            since += not is_left
    return Left(left, since)


def _was_there(event: Event, selection: Mapping[str, Any]) -> bool:
    """Tell whether the look saw this event, as it is now or before it was told again."""
    is_unchanged = event.version.isdecimal() and int(event.version) <= selection["revision"]
    return is_unchanged or event.created < str(selection["made_until"])
