"""Reads, through the API server where there is one, what fills and burdens etcd."""

from sretool.clients.kubernetes.errors import NobodyListensError
from sretool.cluster.cluster import ClusterReader
from sretool.cluster.event_view import read_view
from sretool.cluster.kubernetes_reader import READY_SECONDS, KubernetesReader
from sretool.cluster.workloads import find_runaways
from sretool.errors import NoAnswerError, RemoteError
from sretool.knowledge.event_groups import Group
from sretool.knowledge.kubernetes_paths import collection_path
from sretool.knowledge.load_sources import Api, LoadSources
from sretool.model import Known, Unknown

__all__ = ["LoadSources", "read_load_sources"]

_LISTENS_SECONDS = 0.3


def read_load_sources(read: ClusterReader, *, flood: int) -> LoadSources:
    """Return who floods etcd with events and what runs away; never raises for what cannot be read."""
    if not read.has_kubernetes:
        if read.etcd.is_kubernetes() is not True:
            return _unasked("none", "no Kubernetes keeps its objects here")
        return _unasked("absent", f"cluster {read.name} has no `kubernetes` section")
    api = read.kubernetes
    uid = api.kube_system_uid()
    if isinstance(uid, Unknown):
        return _unasked("down", uid.reason, api.open()) if _is_down(api) else _unasked("silent", uid.reason)
    try:
        count: Known[int] = _count_events(api)
    except NoAnswerError as error:  # who needs seconds for one object would take minutes for all of them
        return _unasked("silent", error.message)
    except RemoteError as error:
        count = Unknown(error.message)
    groups: Known[tuple[Group, ...]] = ()
    if not isinstance(count, Unknown) and count >= flood:
        surveyed = api.remember("who writes events", lambda: _survey(read))
        count, groups = (surveyed, surveyed) if isinstance(surveyed, Unknown) else surveyed
    runaways = api.remember("runaways", lambda: find_runaways(api))
    return LoadSources(api="asked", events=count, groups=groups, runaways=runaways)


def _unasked(api: Api, why: str, server: str = "") -> LoadSources:
    unknown = Unknown(why)
    return LoadSources(api=api, why=why, server=server, events=unknown, groups=unknown, runaways=unknown)


def _is_down(api: KubernetesReader) -> bool:
    """Tell whether nothing listens, as opposed to what listens and does not answer, or answers no."""
    try:
        api.ready(timeout_seconds=_LISTENS_SECONDS)
    except NobodyListensError:
        return True
    except RemoteError:
        return False
    return False


def _count_events(api: KubernetesReader) -> int:
    meta = api.get(collection_path("v1", "events"), timeout_seconds=READY_SECONDS, limit="1")
    left = int((meta.get("metadata") or {}).get("remainingItemCount") or 0)
    return len(meta.get("items") or ()) + left


def _survey(read: ClusterReader) -> tuple[int, tuple[Group, ...]]:
    view = read_view(read, namespaces=(), reasons=(), older_than=0.0, most=0)
    return view.total, view.groups
