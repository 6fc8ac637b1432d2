"""The step kubernetes.event-cleanup: who writes the events, and their deletion in bounded, paced batches."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.event_deletion import (
    Tally,
    delete_in_etcd,
    delete_through_api,
    export_through_api,
    pace_in_etcd,
    pace_through_api,
)
from sretool.cluster.event_outcomes import Made, deletion_outcome, export_outcome
from sretool.cluster.event_view import read_view
from sretool.knowledge import causes
from sretool.knowledge.event_changes import spent_on
from sretool.knowledge.event_groups import DELETE_STORED_VERB, EXPORT_VERB, FLOOD, EventView, Group
from sretool.knowledge.events import event_proposal
from sretool.knowledge.rights import to_read, to_write
from sretool.model import Change, Outcome, Proposal, Risk
from sretool.step import Duration, Step

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
    in_etcd: Annotated[
        bool, msgspec.Meta(description="may delete in etcd itself where the API server is away or too slow")
    ] = True

    def __post_init__(self) -> None:
        _require_words(self.namespaces, _NAMESPACE, "name of a namespace")
        _require_words(self.reasons, _REASON, "reason of an event")
        if bool(self.namespaces) != bool(self.reasons):
            raise ValueError("namespaces and reasons belong together: a deletion names both")
        if self.older_than and not self.namespaces:
            raise ValueError("older_than needs namespaces and reasons")


class KubernetesEventCleanupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes events. `writers` names each as NAMESPACE/REASON by REPORTER, most events first; `worst_` is the
    first of them that can be deleted by its reason, empty where none can. `door` is the way by which they can be
    deleted now: api, etcd, or empty."""

    events: int
    flood: bool
    growing: bool
    per_minute: int
    writers: tuple[str, ...]
    worst_namespace: str
    worst_reason: str
    worst_reporter: str
    worst_kind: str
    worst_about: str
    door: str
    view: EventView


class KubernetesEventCleanup(Step[KubernetesEventCleanupParams, KubernetesEventCleanupFacts]):
    """Say who writes the events, and delete those of named namespaces and reasons in bounded, paced batches.

    Reads all events, of the named namespaces when there are any, in pages of 4,000: from a follower of etcd where
    their place and form there are known, for the API server has no cache of them; else from the API server. Up to
    200,000 from etcd are remembered between the looks of a run, without their values: of a page that etcd says is
    unchanged (as many keys, none written since) nothing is sent again. Groups them by namespace, reason, reporter
    and kind of object, with how many were made, or told again, in the last minute and whether that goes on: a
    source that repeats itself patches the events that it has, and makes them anew where they are deleted.

    Changes go through one of two doors; the plan says which, and why.

    While the API server answers a small GET within 1 s, through it: first an export of what goes, as JSON lines
    under the state folder; then batches of at most 500 events of one namespace and one reason, namespaces side
    by side. With `older_than` each event is deleted by its name, and only as it was read (uid and
    resourceVersion): one that was written again stays. Without, each batch is listed by its reason, and its pages
    of at most 125 are deleted side by side as they were listed: new ones as well, up to the limit that the plan
    names. All limits of a run together are no more than `max_objects`; what it leaves is said at its end.

    While the API server itself is away (nobody listens, silence, 429, 5xx) or slower, in etcd itself: keys below
    the events' prefix only, in batches of at most 2,000. Each is exported with its stored form, then deleted in
    transactions of at most 250 keys, one at a time, with a rest after each in which etcd has others' requests to
    itself; a transaction names neighbours by their first and last, and deletes nothing when any of them was written
    after it was exported. Admission and audit see nothing of it. The prefix is the one under which events are seen,
    checked against `--etcd-prefix` and `--etcd-servers-overrides` of the API servers' static pods as etcd has them,
    and of the cluster file. It is refused when that place is not certain, when events are stored encrypted or in
    another form than protobuf, and where NOSPACE is raised on an etcd before 3.4.20 or 3.5.7, which refuses such
    transactions then: compact, defragment and disarm first, then clean up through the API.

    A kubeconfig, exec plugin, certificate, proxy or host name that does not work on this machine, or an answer such
    as 401, 403 or 404, says nothing of that server: then nothing is deleted, and the end is «cannot tell».

    Where a deletion through the API server takes longer than 50 ms, because its member's disk is slow or a webhook
    is, or where nobody listens at it any more, what is left goes by the second door, if that is open; the plan says
    so beforehand, and the outcome says that it was so. `in_etcd: false` keeps it shut.

    Beside every deletion another client's small read is timed. While it takes longer than 100 ms, and three times
    what it took before, batches are halved and wait; after 30 s of that the deletion stops. What those reads took
    is in the outcome. After each batch it looks at what is left of it; after sixty batches everything is read and
    decided again. There is no way back.

    Refuses while the source is still writing, because what is deleted comes back (`while_written` permits it),
    and says what stops the source. Fewer than 100 events of one reason, with an age floor such that passed it by a
    quarter, are left to expire. The database file shrinks only after compaction and defragmentation.

    Sources: pkg/registry/core/event/strategy.go (selectors), default_storage_factory_builder.go (no cache),
    apiserver registry/store.go (limit), generated.proto of k8s.io/api (stored form), k8s#115090, k8s#90743.
    """

    uses = "kubernetes.event-cleanup"
    risk = Risk.IRREVERSIBLE
    causes = causes.EVENTS
    reads_by_hand = ("kubectl get events -A --sort-by=.metadata.creationTimestamp",)
    rights = (to_read("list", "events"), to_write("delete deletecollection", "events"))

    def __init__(self) -> None:
        # One for all deletions of a run through a door, side by side as they are.
        self._paces = {"api": pace_through_api(), "etcd": pace_in_etcd()}
        self._ended_in_etcd: dict[str, str] = {}  # by key: why not through the API server
        self._tallies: dict[str, Tally] = {}  # by key: what this process has deleted
        self._spent_before = 0  # by an earlier process of this run

    def look(self, read: ClusterReader, params: KubernetesEventCleanupParams) -> KubernetesEventCleanupFacts:
        view = read_view(
            read,
            namespaces=_words(params.namespaces),
            reasons=_words(params.reasons),
            older_than=params.older_than,
            most=params.max_objects,
            spent=self._spent(),
            may_use_etcd=params.in_etcd,
        )
        worst = next((group for group in view.groups if _can_be_selected(group)), None)
        return KubernetesEventCleanupFacts(
            events=view.total,
            flood=view.total >= params.flood,
            growing=any(group.is_written for group in view.groups),
            per_minute=sum(group.per_minute for group in view.groups),
            writers=tuple(f"{one.namespace}/{one.reason} by {one.reporter}" for one in view.groups[:10]),
            worst_namespace=worst.namespace if worst else "",
            worst_reason=worst.reason if worst else "",
            worst_reporter=worst.reporter if worst else "",
            worst_kind=worst.kind if worst else "",
            worst_about=worst.about if worst else "",
            door=view.door.way,
            view=view,
        )

    def plan(
        self,
        params: KubernetesEventCleanupParams,
        facts: KubernetesEventCleanupFacts,
        earlier: Sequence[Change],
    ) -> Proposal:
        # For the looks to come: what is proposed now depends on the facts alone.
        self._spent_before = max(self._spent_before, spent_on(earlier, counted=self._tallies))
        return event_proposal(
            facts.view,
            flood=params.flood,
            while_written=params.while_written,
            earlier=earlier,
            uses=self.uses,
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        if change.verb == EXPORT_VERB:
            export_through_api(write.kubernetes, change.selection, self._paces["api"])
            return
        tally = self._tallies.setdefault(change.key, Tally())
        selection, objects, etcd = change.selection, change.before["objects"], self._paces["etcd"]
        if change.verb == DELETE_STORED_VERB:
            delete_in_etcd(write.etcd, selection, etcd, tally, limit=objects)
        elif why := delete_through_api(
            write.kubernetes, selection, self._paces["api"], tally, objects=objects
        ):
            self._ended_in_etcd[change.key] = why
            delete_in_etcd(write.etcd, selection["otherwise"], etcd, tally, limit=selection["limit"])

    def lane(self, change: Change) -> str:
        # Two limited deletions by one selector would both begin with the same events.
        if change.verb == DELETE_STORED_VERB:
            return change.key
        return f"{change.verb} {change.selection['namespace']} {change.selection['reason']}"

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        if change.verb == EXPORT_VERB:
            return export_outcome(change)
        why = self._ended_in_etcd.get(change.key, "")
        in_etcd = change.verb == DELETE_STORED_VERB or bool(why)
        took = self._paces["api"].seconds_each() if why else 0.0
        tally = self._tallies.get(change.key)
        made = Made(
            deleted=tally.objects if tally else None,
            in_etcd=in_etcd,
            why_in_etcd=why,
            slow={"seconds_each_through_api": round(took, 3)} if took else {},
            figures=self._paces["etcd" if in_etcd else "api"].figures(),
        )
        return deletion_outcome(read, change, made)

    def _spent(self) -> int:
        return self._spent_before + sum(tally.objects for tally in self._tallies.values())


def _can_be_selected(group: Group) -> bool:
    """Tell whether parameters may name it: an event can be without a reason, or have a sentence as one."""
    return bool(_REASON.fullmatch(group.reason) and _NAMESPACE.fullmatch(group.namespace))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _require_words(text: str, pattern: re.Pattern[str], what: str) -> None:
    wrong = [word for word in _words(text) if not pattern.fullmatch(word)]
    if wrong or (text and not _words(text)):
        raise ValueError(f"{(wrong or [text])[0]!r} is no {what}")
