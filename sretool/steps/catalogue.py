"""Which steps there are: ours by name, others' by the entry point group `sretool.steps`."""

from importlib import import_module

from sretool.errors import UsageError
from sretool.step import AnyStep, Catalogue, Step

_OWN = {
    "etcd.endpoint-status": ("etcd_endpoint_status", "EtcdEndpointStatus"),
    "etcd.alarm-list": ("etcd_alarm_list", "EtcdAlarmList"),
    "etcd.latency": ("etcd_latency", "EtcdLatency"),
    "etcd.census": ("etcd_census", "EtcdCensus"),
    "etcd.snapshot-save": ("etcd_snapshot_save", "EtcdSnapshotSave"),
    "etcd.compact": ("etcd_compact", "EtcdCompact"),
    "etcd.defrag": ("etcd_defrag", "EtcdDefrag"),
    "etcd.move-leader": ("etcd_move_leader", "EtcdMoveLeader"),
    "etcd.alarm-disarm": ("etcd_alarm_disarm", "EtcdAlarmDisarm"),
    "kubernetes.control-plane": ("kubernetes_control_plane", "KubernetesControlPlane"),
    "kubernetes.load-sources": ("kubernetes_load_sources", "KubernetesLoadSources"),
    "kubernetes.scale-down": ("kubernetes_scale_down", "KubernetesScaleDown"),
    "kubernetes.event-cleanup": ("kubernetes_event_cleanup", "KubernetesEventCleanup"),
    "kubernetes.quota-rollout": ("kubernetes_quota_rollout", "KubernetesQuotaRollout"),
}


def load_catalogue() -> Catalogue:
    """Return every step by the name that runbooks use; UsageError when an installed extension is broken."""
    own = {
        uses: getattr(import_module(f"sretool.steps.{module}"), name) for uses, (module, name) in _OWN.items()
    }
    return own | _installed()


def _installed() -> dict[str, type[AnyStep]]:
    from importlib.metadata import entry_points

    found: dict[str, type[AnyStep]] = {}
    for entry in entry_points(group="sretool.steps"):
        try:
            step = entry.load()
        except Exception as error:
            raise UsageError(
                f"the installed step {entry.name} ({entry.value}) does not load: {error}"
            ) from error
        if not (isinstance(step, type) and issubclass(step, Step)) or step.uses in _OWN:
            raise UsageError(f"the installed step {entry.name} ({entry.value}) is no step of its own name")
        found[step.uses] = step
    return found
