"""The step kubernetes.event-cleanup: who writes the events, and their deletion in bounded, paced batches."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.events import Survey, count_lines, export_events, exports_folder, left_of
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.errors import ConflictError, NotFoundError, RemoteError
from sretool.knowledge.events import EXPORT_VERB, FLOOD, EventView, event_proposal, selector_of
from sretool.knowledge.kubernetes_paths import collection_path, object_path
from sretool.model import Change, Outcome, Proposal, Result, Risk
from sretool.step import Duration, Step

PACE_SECONDS = 0.1  # a small GET of another client takes a few milliseconds
PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
_REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class KubernetesEventCleanupParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events are deleted; without a namespace and a reason none: it is only said who writes them."""

    namespaces: Annotated[
        str, msgspec.Meta(description="delete in these namespaces, separated by commas")
    ] = ""
    reasons: Annotated[
        str, msgspec.Meta(description="delete events of these reasons, such as FailedScheduling,BackOff")
    ] = ""
    older_than: Annotated[
        Duration,
        msgspec.Meta(description="delete only what was written last before this; 0s: all, new ones as well"),
    ] = Duration.parse("0s")
    max_objects: Annotated[
        int, msgspec.Meta(ge=1, le=1_000_000, description="delete no more than so many in one run")
    ] = 200_000
    flood: Annotated[int, msgspec.Meta(ge=1, description="so many events are a flood, and a finding")] = FLOOD
    while_written: Annotated[
        bool, msgspec.Meta(description="delete although the source is still writing")
    ] = False

    def __post_init__(self) -> None:
        _require_words(self.namespaces, _NAMESPACE, "name of a namespace")
        _require_words(self.reasons, _REASON, "reason of an event")
        if bool(self.namespaces) != bool(self.reasons):
            raise ValueError("namespaces and reasons belong together: a deletion names both")
        if self.older_than and not self.namespaces:
            raise ValueError("older_than needs namespaces and reasons")


class KubernetesEventCleanupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes events. `writers` names each as NAMESPACE/REASON by REPORTER, most events first."""

    events: int
    flood: bool
    growing: bool
    writers: tuple[str, ...]
    view: EventView


class KubernetesEventCleanup(Step[KubernetesEventCleanupParams, KubernetesEventCleanupFacts]):
    """Say who writes the events, and delete those of named namespaces and reasons in bounded, paced batches.

    Reads all events, of the named namespaces when there are any, in pages of 2,000 with flat memory: they have no
    cache in the API server. Groups them by namespace, reason, reporter and kind of object, with how many were
    made in the last minute and whether that goes on.

    Changes: first an export of what goes, as JSON lines under the state folder; then batches of at most 500
    events of one namespace and one reason. With `older_than` each event is deleted by its name, and only as it
    was read (uid and resourceVersion): one that was written again stays. Without, the server deletes by the
    reason in limited pages: new ones as well. After each batch it looks at what is left of it, and waits while
    another client's small GET takes longer than 100 ms, for 30 s at most; after twenty batches everything is
    read and decided again. There is no way back.

    Refuses while the source is still writing, because what is deleted comes back (`while_written` permits it),
    and says what stops the source; and while a small GET takes longer than 1 s. Fewer than 100 events of one
    reason, with an age floor such that passed it by a quarter, are left to expire. The database file shrinks
    only after compaction and defragmentation.

    Sources: pkg/registry/core/event/strategy.go (selectors), default_storage_factory_builder.go (no cache),
    apiserver registry/store.go (limit), k8s#115090, k8s#90743.
    """

    uses = "kubernetes.event-cleanup"
    risk = Risk.IRREVERSIBLE
    reads_by_hand = ("kubectl get events -A --sort-by=.metadata.creationTimestamp",)

    def look(self, read: ClusterReader, params: KubernetesEventCleanupParams) -> KubernetesEventCleanupFacts:
        now = read.etcd.utc_now()
        survey = Survey(
            now=now,
            namespaces=_words(params.namespaces),
            reasons=_words(params.reasons),
            older_than=params.older_than,
            most=params.max_objects,
            is_named=bool(params.namespaces),
        )
        survey.read(read.kubernetes)
        groups = survey.groups()
        view = EventView(
            total=survey.total,
            groups=groups,
            selected=survey.selected(exports_folder(read.name), stamp=f"{now:%Y%m%dt%H%M%S}"),
            is_named=bool(params.namespaces),
            has_age=params.older_than > 0,
            probe_seconds=_probe(read),
        )
        return KubernetesEventCleanupFacts(
            events=survey.total,
            flood=survey.total >= params.flood,
            growing=any(group.is_written for group in groups),
            writers=tuple(f"{one.namespace}/{one.reason} by {one.reporter}" for one in groups[:10]),
            view=view,
        )

    def plan(
        self,
        params: KubernetesEventCleanupParams,
        facts: KubernetesEventCleanupFacts,
        earlier: Sequence[Change],
    ) -> Proposal:
        return event_proposal(
            facts.view,
            flood=params.flood,
            while_written=params.while_written,
            earlier=earlier,
            uses=self.uses,
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        selection = change.selection
        if change.verb == EXPORT_VERB:
            export_events(write.kubernetes, selection)
        elif selection["each"]:
            write.kubernetes.side_by_side(
                selection["each"], lambda one: _delete(write.kubernetes, change, *one)
            )
        else:
            write.kubernetes.delete_collection(
                collection_path("v1", "events", namespace=selection["namespace"]),
                limit=selection["limit"],
                field_selector=selector_of(selection["reason"]),
            )

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        if change.verb == EXPORT_VERB:
            return _observe_export(change)
        try:
            left = left_of(read.kubernetes, change.selection)
            if left:
                result = Result.NOT_DONE if left >= change.before["objects"] else Result.PARTLY
                evidence = f"{left} of {change.before['objects']} events are left"
                return Outcome(result=result, evidence=evidence, measured={"left": left})
            paused, probe = _pace(read)
        except RemoteError as error:
            return Outcome(result=Result.CANNOT_TELL, evidence=error.message)
        gone = change.before["objects"]
        return Outcome(
            result=Result.DONE,
            evidence=f"{gone} events are gone; a small GET takes {probe * 1000:.0f} ms"
            + (f" after a pause of {paused:.1f} s" if paused else ""),
            measured={"gone": gone, "probe_seconds": round(probe, 4), "paused_seconds": round(paused, 2)},
        )


def _delete(write: KubernetesWriter, change: Change, name: str, uid: str, version: str) -> None:
    path = object_path("v1", "events", name, namespace=change.selection["namespace"])
    try:
        write.delete(path, uid=uid, resource_version=version)
    except (NotFoundError, ConflictError):
        return  # gone already, or written again: then it is younger than the age asked for


def _observe_export(change: Change) -> Outcome:
    path = change.selection["path"]
    lines = count_lines(Path(path))
    if lines is None:
        return Outcome(result=Result.NOT_DONE, evidence=f"{path} is not there")
    return Outcome(result=Result.DONE, evidence=f"{lines} events in {path}", measured={"objects": lines})


def _probe(read: ClusterReader) -> float:
    """Return how long another client's small GET takes now, in seconds."""
    began = read.etcd.now()
    read.kubernetes.get(object_path("v1", "namespaces", "kube-system"))
    return read.etcd.now() - began


def _pace(read: ClusterReader) -> tuple[float, float]:
    """Wait while others are slowed down; return for how long, and what their GET takes then."""
    began = read.etcd.now()
    paused = 0.0
    while (probe := _probe(read)) > PACE_SECONDS and paused < LONGEST_PAUSE_SECONDS:
        read.wait(PAUSE_SECONDS)
        paused = read.etcd.now() - began
    return paused, probe


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _require_words(text: str, pattern: re.Pattern[str], what: str) -> None:
    wrong = [word for word in _words(text) if not pattern.fullmatch(word)]
    if wrong or (text and not _words(text)):
        raise ValueError(f"{(wrong or [text])[0]!r} is no {what}")
