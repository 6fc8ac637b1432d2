"""The step kubernetes.quota-rollout: a ResourceQuota and a LimitRange in every chosen namespace, canary first."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.cluster.quota_places import live_objects, read_rollout, state_of
from sretool.errors import ConflictError, NoAnswerError, NotFoundError, RemoteError, UsageError
from sretool.knowledge.field_ownership import other_spec_owners
from sretool.knowledge.namespaces import Selection, parse_selection
from sretool.knowledge.quota_rollout import FIELD_MANAGER, body_of, path_of, rollout_proposal, to_apply
from sretool.knowledge.quota_view import RolloutView
from sretool.knowledge.quotas import COUNTED_KINDS, LIMIT_RANGE, RESOURCE_QUOTA, Template, parse_template
from sretool.knowledge.rights import to_read, to_write
from sretool.model import Change, Outcome, Proposal, Result, Risk
from sretool.step import Step

_DELETE_ATTEMPTS = 3  # the quota controller writes the object's status, which changes its resourceVersion
_MERGE_PATCH = "application/merge-patch+json"

_NAME = r"^[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?$"  # what an object of Kubernetes may be called


class KubernetesQuotaRolloutParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which namespaces, and what each of them is to have."""

    namespaces: Annotated[
        str, msgspec.Meta(description="names and globs, separated by commas: team-*,shop")
    ] = ""
    labels: Annotated[
        str, msgspec.Meta(description="label selector that the namespaces must match: tier=batch,!exempt")
    ] = ""
    hard: Annotated[
        str,
        msgspec.Meta(description="what the ResourceQuota allows: pods=50,requests.cpu=20; empty: no quota"),
    ] = ""
    default_limits: Annotated[
        str, msgspec.Meta(description="limits of containers that name none: cpu=1,memory=512Mi")
    ] = ""
    default_requests: Annotated[
        str, msgspec.Meta(description="requests of containers that name none; where it is silent, the limit")
    ] = ""
    quota_name: Annotated[str, msgspec.Meta(description="the ResourceQuota's name", pattern=_NAME)] = (
        "sretool"
    )
    limit_range_name: Annotated[str, msgspec.Meta(description="the LimitRange's name", pattern=_NAME)] = (
        "sretool"
    )
    allow_over: Annotated[
        bool, msgspec.Meta(description="also where more is used than the quota allows: new pods are rejected")
    ] = False
    everywhere: Annotated[
        bool, msgspec.Meta(description="the namespaces may be all of them, system namespaces excepted")
    ] = False

    def __post_init__(self) -> None:
        self.template()
        self.selection()

    def selection(self) -> Selection:
        """Return which namespaces are meant; ValueError for malformed names and selectors, and for `*`."""
        return parse_selection(self.namespaces, labels=self.labels, everywhere=self.everywhere)

    def template(self) -> Template:
        """Return what each namespace is to have; ValueError for malformed pairs."""
        return parse_template(
            hard=self.hard, default_limits=self.default_limits, default_requests=self.default_requests
        )


class KubernetesQuotaRolloutFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there and what is used; `without_quota` counts the namespaces that have no quota at all."""

    chosen: int
    differing: int
    without_quota: int
    view: RolloutView


class KubernetesQuotaRollout(Step[KubernetesQuotaRolloutParams, KubernetesQuotaRolloutFacts]):
    """Put one ResourceQuota and one LimitRange into every chosen namespace, one namespace first, then a tenth,
    then the rest.

    Reads all namespaces, resource quotas and limit ranges; of the namespaces that differ from the template also
    pods and what else the quota counts, and asks the server for dry runs: wherever an object exists, and of the
    others in a sample, all of them when one is refused. When nothing differs those three lists are all it
    reads. Writes by server-side apply as the field manager `sretool`, never by force: the LimitRange, then the
    ResourceQuota, because a quota of cpu or memory makes requests or limits mandatory at once. Both act on new
    pods only; running pods stay.

    Said before anything is changed: what each namespace uses, where a pod like today's largest would be
    rejected next, which pods name no requests and get no default, and where a second LimitRange makes it
    undefined which default wins.

    Refused is a selection that matches nothing, or everything without `everywhere`; system namespaces always;
    `default` unless it is named. Refused in one namespace, while the others go on: a limit below what is used
    (without `allow_over`), a field that another field manager owns, what an admission webhook or policy denies.
    What somebody else changed after the plan was approved is not approved: the run stops before it.

    Undo puts back what was there: our former fields, or no object. Where somebody has changed our fields since,
    or has added to the spec of an object that is new, nothing is undone.

    Not counted, so refused as a limit: secrets, custom resources and storage classes. Events cannot be limited
    by a quota at all. What an HPA may still grow to is not computed.

    Sources: Kubernetes docs «Resource Quotas», «Limit Ranges», «Server-Side Apply»; pkg/quota/v1.
    """

    uses = "kubernetes.quota-rollout"
    risk = Risk.REVERSIBLE
    looks_together = 100
    reads_by_hand = (
        "kubectl get resourcequotas,limitranges -A",
        "kubectl describe resourcequotas -A  # used and hard",
    )
    rights = (
        to_read("list", "namespaces"),
        to_read("get list create patch", "resourcequotas"),
        to_read("get list create patch", "limitranges"),
        to_read("list", "pods", about="what is used today"),
        *(to_read("list", one, group, only="where `hard` counts them") for group, one in COUNTED_KINDS),
        to_write("delete", "resourcequotas", about="undo of what was created"),
        to_write("delete", "limitranges", about="undo of what was created"),
    )

    def look(self, read: ClusterReader, params: KubernetesQuotaRolloutParams) -> KubernetesQuotaRolloutFacts:
        template = params.template()
        if not template.specs:
            raise UsageError("a quota rollout needs `hard`, or defaults for containers")
        selection = params.selection()
        if selection.is_empty:
            raise UsageError(
                "a quota rollout needs `namespaces` or `labels`",
                then="-p namespaces='team-*' or -p labels=tier=batch",
            )
        names = {LIMIT_RANGE: params.limit_range_name, RESOURCE_QUOTA: params.quota_name}
        view = read_rollout(read.kubernetes, selection, template=template, names=names)
        return KubernetesQuotaRolloutFacts(
            chosen=len(view.places),
            differing=sum(place.is_due for place in view.places),
            without_quota=view.without_quota,
            view=view,
        )

    def plan(
        self,
        params: KubernetesQuotaRolloutParams,
        facts: KubernetesQuotaRolloutFacts,
        earlier: Sequence[Change],
    ) -> Proposal:
        return rollout_proposal(facts.view, allow_over=params.allow_over, uses=self.uses)

    def apply(self, write: ClusterWriter, change: Change) -> None:
        unclear: NoAnswerError | None = None
        for kind, state in to_apply(change).items():
            path = path_of(change.selection["namespace"], kind, change.selection["names"][kind])
            try:
                if state is None:
                    _delete(write.kubernetes, path)
                else:
                    body = body_of(change.selection, kind, state)
                    write.kubernetes.apply(path, body, field_manager=FIELD_MANAGER)
            except NoAnswerError as error:  # it may have been made, and the other object is due all the same
                unclear = unclear or error
        if unclear is not None:
            raise unclear

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        return self.observe_each(read, [change])[0]

    def observe_each(self, read: ClusterReader, changes: Sequence[Change]) -> Sequence[Outcome]:
        try:
            found = live_objects(read.kubernetes, [change.selection for change in changes])
        except RemoteError as error:
            return [Outcome(result=Result.CANNOT_TELL, evidence=error.message)] * len(changes)
        return [
            _outcome(change, {kind: there.get(kind) for kind in change.after})
            for change, there in zip(changes, found, strict=True)
        ]


def _outcome(change: Change, live: Mapping[str, Mapping[str, Any] | None]) -> Outcome:
    """Compare the objects that are there with those that were, and with those that are to be."""
    namespace, names = change.selection["namespace"], change.selection["names"]
    states = {kind: state_of(one) for kind, one in live.items()}
    said = ", ".join(f"{kind} {names[kind]}" for kind in live)
    if states != dict(change.after):
        nothing = states == dict(change.before)
        seen = ", ".join(f"{kind} {names[kind]} is {_standing(change, kind, states[kind])}" for kind in live)
        return Outcome(result=Result.NOT_DONE if nothing else Result.PARTLY, evidence=f"{namespace}: {seen}")
    others = {
        owner
        for kind, one in live.items()
        if one is not None and change.before[kind] is None
        for owner in other_spec_owners(one, FIELD_MANAGER)
    }
    if others:
        return Outcome(
            result=Result.PARTLY, evidence=f"{namespace}: {', '.join(sorted(others))} added to {said}"
        )
    return Outcome(result=Result.DONE, evidence=f"{namespace}: {said} as planned")


def _standing(change: Change, kind: str, state: object) -> str:
    if state == change.after[kind]:
        return "as planned"
    return "as it was" if state == change.before[kind] else "neither as it was nor as planned"


def _delete(kubernetes: KubernetesWriter, path: str) -> None:
    """Delete what we created, unless somebody else has added to its spec meanwhile."""
    for attempt in range(1, _DELETE_ATTEMPTS + 1):
        try:
            # An empty patch changes nothing and answers with the object: its uid and its owners of now.
            live = kubernetes.patch(path, {}, content_type=_MERGE_PATCH)
            owners = other_spec_owners(live, FIELD_MANAGER)
            if owners:
                raise ConflictError(f"{path} is not deleted: {', '.join(owners)} added to it")
            version = live["metadata"]["resourceVersion"]
            kubernetes.delete(path, uid=live["metadata"]["uid"], resource_version=version)
        except NotFoundError:
            return
        except ConflictError:
            if attempt == _DELETE_ATTEMPTS:
                raise
        else:
            return
