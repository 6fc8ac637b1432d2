"""What is written to scale a Deployment down and hold its autoscaler, and how to see that it was."""

from collections.abc import Mapping
from typing import Any

from sretool.knowledge.kubernetes_paths import object_path
from sretool.knowledge.rollouts import find_rollout
from sretool.model import Change, Outcome, Result

SCALE_VERB, CAP_VERB, PAUSE_VERB = "scale", "cap-hpa", "pause-scaledobject"
PAUSED = "autoscaling.keda.sh/paused-replicas"  # KEDA's own switch: it keeps this number and asks no metrics
MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"

_KINDS = {
    SCALE_VERB: ("apps/v1", "deployments", "scale"),
    CAP_VERB: ("autoscaling/v2", "horizontalpodautoscalers", ""),
    PAUSE_VERB: ("keda.sh/v1alpha1", "scaledobjects", ""),
}
_FIELDS = {
    SCALE_VERB: {"replicas": "/spec/replicas"},
    CAP_VERB: {"minReplicas": "/spec/minReplicas", "maxReplicas": "/spec/maxReplicas"},
    PAUSE_VERB: {"paused": f"/metadata/annotations/{PAUSED.replace('/', '~1')}"},
}


def path_of(change: Change, *, whole: bool = False) -> str:
    """Return the path that a change is written to; `whole`: of the object, not its scale subresource."""
    version, plural, subresource = _KINDS[change.verb]
    namespace, name = change.selection["namespace"], change.selection["name"]
    return object_path(version, plural, name, namespace=namespace, subresource="" if whole else subresource)


def patch_of(change: Change) -> dict[str, Any]:
    """Return the merge patch to `after`, good only for the resourceVersion that the change was planned for."""
    meta: dict[str, Any] = {"resourceVersion": change.selection["resource_version"]}
    if change.verb == PAUSE_VERB:
        return {"metadata": {**meta, "annotations": {PAUSED: change.after["paused"]}}}
    return {"metadata": meta, "spec": dict(change.after)}


def guarded_patch_of(change: Change) -> list[dict[str, Any]]:
    """Return the JSON patch to `after`, good only where the same object still holds exactly `before`.

    For undo, whose resourceVersion nobody knows, and where no more than the status has moved since the plan.
    """
    fields = _FIELDS[change.verb]
    return [
        {"op": "test", "path": "/metadata/uid", "value": change.selection["uid"]},
        *(
            {"op": "test", "path": path, "value": None if change.before[name] == "" else change.before[name]}
            for name, path in fields.items()
        ),
        *(
            {"op": "add", "path": path, "value": change.after[name]}  # «add» replaces what is there
            if change.after[name] != ""
            else {"op": "remove", "path": path}
            for name, path in fields.items()
        ),
    ]


def values_of(verb: str, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a live object what a change with this verb writes: the keys of its `before` and `after`."""
    spec = live.get("spec", {})
    if verb == SCALE_VERB:
        return {"replicas": int(spec.get("replicas", 1))}
    if verb == CAP_VERB:
        return {"minReplicas": int(spec.get("minReplicas", 1)), "maxReplicas": int(spec["maxReplicas"])}
    return {"paused": str((live.get("metadata", {}).get("annotations") or {}).get(PAUSED, ""))}


def judge_write(change: Change, live: Mapping[str, Any] | None) -> Outcome:
    """Tell what a change's object, None where there is none, says about it.

    Done is: the values are set and, after scaling down, the controller has seen it and no surplus pod is left:
    none but those that a rolling update may keep. Until then it is still going.
    """
    name = change.object
    if live is None:
        return Outcome(result=Result.NOT_DONE, evidence=f"{name} is gone")
    if live["metadata"]["uid"] != change.selection["uid"]:
        return Outcome(result=Result.NOT_DONE, evidence=f"{name} is another object than was planned for")
    now = values_of(change.verb, live)
    shown = ", ".join(f"{field} {value or 'unset'}" for field, value in now.items())
    if now != change.after:
        whose = "as it was" if now == change.before else "somebody else changed it"
        return Outcome(result=Result.NOT_DONE, evidence=f"{name} has {shown}: {whose}", measured=now)
    if change.verb != SCALE_VERB or change.after["replicas"] >= change.before["replicas"]:
        return Outcome(result=Result.DONE, evidence=f"{name} has {shown}", measured=now)
    return _judge_scaled_down(change, live)


def _judge_scaled_down(change: Change, live: Mapping[str, Any]) -> Outcome:
    status, wanted = live.get("status") or {}, change.after["replicas"]
    there, ready = int(status.get("replicas", 0)), int(status.get("readyReplicas", 0))
    is_seen = int(status.get("observedGeneration", 0)) >= int(live["metadata"]["generation"])
    rollout = find_rollout(live)
    most = rollout.most_pods(wanted) if rollout else wanted
    evidence = f"{change.before['replicas']} replicas -> {there}, {max(0, there - ready)} of them not ready"
    return Outcome(
        result=Result.DONE if is_seen and there <= most else Result.STILL_GOING,
        evidence=f"{evidence} (a rollout is under way, which may keep {most})" if most > wanted else evidence,
        measured={"replicas": there, "not_ready": max(0, there - ready)},
    )
