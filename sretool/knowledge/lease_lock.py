"""The Lease by which sretools on different machines know of each other: its object, and whose it is."""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from sretool.knowledge.kubernetes_paths import collection_path, object_path

NAMESPACE, NAME = "kube-system", "sretool"
COLLECTION = collection_path("coordination.k8s.io/v1", "leases", namespace=NAMESPACE)
PATH = object_path("coordination.k8s.io/v1", "leases", NAME, namespace=NAMESPACE)
CLEAR = f"kubectl -n {NAMESPACE} delete lease {NAME}"
WHO = "sretool/who"  # the annotation that says who did it
PROCESS = (
    "sretool/process"  # and which process of which boot, by which that machine can tell that it has ended
)
SHORTEST_SECONDS = 30
SKEW_SECONDS = 5.0  # ours: by so much two machines' clocks may differ before a live lock looks old


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants the Lease. A run that was killed and is resumed is the same holder."""

    run_id: str
    user: str
    host: str
    pid: int
    written_by: str = ""  # empty where the machine cannot tell

    @property
    def holder(self) -> str:
        return f"{self.user}@{self.host}/{self.run_id}"

    @property
    def who(self) -> str:
        return f"run {self.run_id}: pid {self.pid} on {self.host}, user {self.user}"


class HeldLease(msgspec.Struct, frozen=True, kw_only=True):
    """The Lease as it was read; `age_seconds` is None where it was never renewed."""

    holder: str
    who: str
    seconds: int
    age_seconds: float | None
    uid: str
    resource_version: str
    written_by: str = ""

    def is_free_for(self, claim: Claim, *, has_ended: bool) -> bool:
        """Tell whether `claim` may take it: nobody's, its own, or not renewed for longer than it was meant.

        `has_ended`: the process that wrote it was seen to have ended, by the machine on which it ran.
        """
        if self.holder in {"", claim.holder} or self.age_seconds is None or has_ended:
            return True
        return self.age_seconds > self.seconds + SKEW_SECONDS


def parse_held(found: Mapping[str, Any], *, now: datetime.datetime) -> HeldLease:
    """Return what the Lease object says; what is missing or no time counts as never renewed."""
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    notes = meta.get("annotations") or {}
    holder = str(spec.get("holderIdentity") or "")
    try:
        renewed = datetime.datetime.fromisoformat(str(spec.get("renewTime")))
        age = max(0.0, (now - renewed).total_seconds())
    except (ValueError, TypeError):
        age = None
    return HeldLease(
        holder=holder,
        who=str(notes.get(WHO) or holder),
        written_by=str(notes.get(PROCESS) or ""),
        seconds=int(spec.get("leaseDurationSeconds") or SHORTEST_SECONDS),
        age_seconds=age,
        uid=str(meta.get("uid", "")),
        resource_version=str(meta.get("resourceVersion", "")),
    )


def lease_body(
    claim: Claim, *, seconds: int, now: datetime.datetime, since: datetime.datetime, over: HeldLease | None
) -> dict[str, Any]:
    """Return the Lease for `claim`; `over` is the one that it replaces, and only as that was read."""
    meta: dict[str, Any] = {
        "name": NAME,
        "namespace": NAMESPACE,
        "annotations": {WHO: claim.who, PROCESS: claim.written_by},
    }
    if over is not None:
        meta |= {"uid": over.uid, "resourceVersion": over.resource_version}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {
            "holderIdentity": claim.holder,
            "leaseDurationSeconds": seconds,
            "acquireTime": _micro_time(since),
            "renewTime": _micro_time(now),
        },
    }


def seconds_for(longest_stall_seconds: float) -> int:
    """Return how long the Lease must last unrenewed: while a member stalls, the API server may stall as well."""
    return max(SHORTEST_SECONDS, round(2 * longest_stall_seconds) + 15)


def _micro_time(at: datetime.datetime) -> str:
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
