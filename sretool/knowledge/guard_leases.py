"""The lease guard: between two changes that stall a member, the control plane must have renewed its leases."""

from collections.abc import Iterable

from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.guard_context import GuardAnswer, GuardContext, passed, wait
from sretool.knowledge.words import listed, show_seconds
from sretool.model import ControlPlaneLease, EtcdState, Unknown

LEASES_PREFIX = b"/registry/leases/kube-system/"
CONTROLLER_MANAGER = "kube-controller-manager"
ELECTED = (CONTROLLER_MANAGER, "kube-scheduler")  # every control plane has them
CONTROL_PLANE = (*ELECTED, "cloud-controller-manager")
API_SERVER = "apiserver-"
STALE_SECONDS = 15.0  # leader election: LeaseDuration of component-base, renewed every 2 s
API_SERVER_STALE_SECONDS = 30.0  # an API server renews its own every 10 s

_RULE = "leases"
_ACCEPT = "leases"


def is_control_plane(name: str) -> bool:
    """Tell whether the Lease `name` in kube-system is the control plane's own."""
    return name in CONTROL_PLANE or name.startswith(API_SERVER)


def is_stale(lease: ControlPlaneLease) -> bool:
    """Tell whether nobody renews it any more; one whose age is unknown is expected to be renewed."""
    limit = API_SERVER_STALE_SECONDS if lease.name.startswith(API_SERVER) else STALE_SECONDS
    return not isinstance(lease.age_seconds, Unknown) and lease.age_seconds > limit


def leases_renewed(context: GuardContext) -> GuardAnswer:
    """Since the run's last change of this kind every control-plane lease was renewed: one more stall may come.

    Controllers that miss their leases stop: an 11-second stall after another has stopped all of a cluster's
    (etcd-backup-restore#1061). Suspended for what cannot renew: all under NOSPACE, and those that were stale when
    the run began and still are.
    """
    if context.leases_before is None:
        return passed(_RULE, "this run has stalled no member yet")
    if why := _suspended(context.start) or _suspended(context.state):
        return passed(_RULE, f"suspended: {why}")
    if context.is_accepted(_ACCEPT):
        return passed(_RULE, "accepted with --accept leases")
    for leases in (context.leases_before, context.state.leases):
        if isinstance(leases, Unknown):
            return wait(
                _RULE, f"whether the control plane renews its leases is unknown: {leases.reason}", _ACCEPT
            )
    late = _late(context)
    if late:
        return wait(
            _RULE,
            f"not renewed since the last change: {listed(late)}",
            _ACCEPT,
        )
    return passed(_RULE, "the control plane has renewed its leases since the last change")


def suspension(start: EtcdState) -> str:
    """Return what the lease guard will not wait for, for the plan; empty when it waits for all."""
    if why := _suspended(start):
        return f"the lease guard is suspended: {why}"
    if isinstance(start.leases, Unknown):
        return f"the lease guard may have to wait: the leases could not be read ({start.leases.reason})"
    if start.is_kubernetes is True and not start.leases:
        return f"the lease guard waits for nothing: etcd has no control-plane lease below {LEASES_PREFIX.decode()}"
    stale = [f"{one.name} ({_age(one)})" for one in start.leases if is_stale(one)]
    return f"the lease guard does not wait for {listed(stale)}: stale when the run began" if stale else ""


def _age(lease: ControlPlaneLease) -> str:
    return "age unknown" if isinstance(lease.age_seconds, Unknown) else show_seconds(lease.age_seconds)


def _suspended(state: EtcdState) -> str:
    if has_nospace(state.alarms) is True:
        return "under NOSPACE no lease can be renewed"
    return ""


def _late(context: GuardContext) -> list[str]:
    before, now = context.leases_before, context.state.leases
    if before is None or isinstance(before, Unknown) or isinstance(now, Unknown):
        return []
    was_dead = _revisions(one for one in _known(context.start) if is_stale(one))
    then = _revisions(before)
    return [
        one.name
        for one in now
        if one.mod_revision <= then.get(one.name, 0) and was_dead.get(one.name) != one.mod_revision
    ]


def _known(state: EtcdState) -> tuple[ControlPlaneLease, ...]:
    return () if isinstance(state.leases, Unknown) else state.leases


def _revisions(leases: Iterable[ControlPlaneLease]) -> dict[str, int]:
    return {one.name: one.mod_revision for one in leases}
