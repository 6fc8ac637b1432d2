"""The step kubernetes.load-sources: what in Kubernetes fills and burdens etcd, named through its API."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.load_sources import LoadSources, read_load_sources
from sretool.knowledge import causes
from sretool.knowledge.event_groups import FLOOD
from sretool.knowledge.load_sources import load_findings
from sretool.knowledge.rights import to_read
from sretool.model import Change, Known, Proposal, Risk, Unknown
from sretool.step import Step


class KubernetesLoadSourcesParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on events are a flood."""

    flood: Annotated[
        int, msgspec.Meta(ge=1, description="so many events are a flood: only then all of them are read")
    ] = FLOOD


class KubernetesLoadSourcesFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, and what runs away. `writers` are NAMESPACE/REASON by REPORTER, only in a flood, most first;
    `runaways` are NAMESPACE/DEPLOYMENT, the farthest first."""

    events: Known[int]
    writers: Known[tuple[str, ...]]
    runaways: Known[tuple[str, ...]]
    sources: LoadSources


class KubernetesLoadSources(Step[KubernetesLoadSourcesParams, KubernetesLoadSourcesFacts]):
    """Name what in Kubernetes fills and burdens etcd: who floods it with events, which Deployments run away.

    Reads how many events there are, in one request; only from `flood` on all of them, in pages with flat memory,
    grouped by namespace, reason, reporting component and the objects concerned. Reads all Deployments, and of
    those far from ready their pods without a node and their autoscalers.

    Finds `event-flood` and `runaway`. The API server need not be there: what could not be looked at is told, and
    nothing that etcd itself shows depends on it. `api-down` says that nothing listens where it should.
    Without a `kubernetes` section nothing is asked, and that is told where a Kubernetes keeps its objects in this
    etcd. A silent API server costs at most 0.3 s beside what every look waits for it.

    Changes nothing, proposes nothing: event-flood and runaway-deployment are the runbooks that do.
    """

    uses = "kubernetes.load-sources"
    risk = Risk.READ
    causes = causes.SOURCES
    reads_by_hand = (
        "kubectl get --raw '/api/v1/events?limit=1' | jq .metadata.remainingItemCount",
        "kubectl get deployments,hpa -A",
    )
    rights = (
        to_read("list", "events"),
        to_read("get list", "deployments", "apps"),
        to_read("list", "horizontalpodautoscalers", "autoscaling"),
        to_read("list", "scaledobjects", "keda.sh", only="where KEDA is installed"),
        to_read("list", "pods", about="which of them find no node"),
    )

    def look(self, read: ClusterReader, params: KubernetesLoadSourcesParams) -> KubernetesLoadSourcesFacts:
        sources = read_load_sources(read, flood=params.flood)
        groups, runaways = sources.groups, sources.runaways
        return KubernetesLoadSourcesFacts(
            events=sources.events,
            writers=groups
            if isinstance(groups, Unknown)
            else tuple(f"{one.namespace}/{one.reason} by {one.reporter}" for one in groups[:10]),
            runaways=runaways
            if isinstance(runaways, Unknown)
            else (*(one.title for one in runaways.workloads), *runaways.besides),
            sources=sources,
        )

    def plan(
        self,
        params: KubernetesLoadSourcesParams,
        facts: KubernetesLoadSourcesFacts,
        earlier: Sequence[Change],
    ) -> Proposal:
        return Proposal(findings=load_findings(facts.sources, flood=params.flood))
