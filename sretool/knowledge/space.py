"""etcd's quota: how much is used, what would free it, when it is full, and when NOSPACE may be disarmed."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.knowledge.census import NO_PREFIX, Census
from sretool.knowledge.words import listed, show_bytes
from sretool.model import EndpointStatus, Evidence, Finding, Known, Severity, Unknown, known_only

# Shares of the quota: cluster-etcd-operator's custom.libsonnet; 95 % is the upstream mixin's.
QUOTA_NOTE, QUOTA_WARNING, QUOTA_CRITICAL, QUOTA_LAST = 0.65, 0.75, 0.85, 0.95
FRAGMENTED_SHARE = 0.5  # the upstream mixin's etcdDatabaseHighFragmentationRatio
FRAGMENTED_IN_USE_BYTES = 100_000_000


def quota_findings(used: Mapping[str, float], quotas: Mapping[str, int]) -> tuple[Finding, ...]:
    """Return what the members' shares of their quotas mean; the quota itself is the cause where it is smaller
    than that of others. One that is off (below zero) is compared with none."""
    limits = {name: quota for name, quota in quotas.items() if quota > 0}
    smaller = _smaller_ones(limits)
    found = quota_finding([one for one in used.items() if one[0] not in smaller])
    rest = (found,) if found else ()
    return (_smaller_quota(used, smaller, limits), *rest) if smaller else rest


def _smaller_ones(limits: Mapping[str, int]) -> dict[str, int]:
    largest = max(limits.values(), default=0)
    return {name: quota for name, quota in limits.items() if quota < largest}


def _smaller_quota(
    used: Mapping[str, float], smaller: Mapping[str, int], limits: Mapping[str, int]
) -> Finding:
    severity = _severity_of(max((used.get(name, 0.0) for name in smaller), default=0.0)) or Severity.NOTE
    largest = max(limits.values())
    theirs = listed([name for name, quota in limits.items() if quota == largest])
    shares = {name: f" (it takes {used[name]:.0%})" for name in smaller if name in used}
    own = listed([f"{name} {show_bytes(quota)}{shares.get(name, '')}" for name, quota in smaller.items()])
    return Finding(
        severity=severity,
        subject=", ".join(smaller),
        sentence=f"quotas differ: {own}, {theirs} {show_bytes(largest)}: the first to be full makes every member "
        f"refuse writes; give {listed(list(smaller))} the same",
        verdict="quota-differs" if severity > Severity.NOTE else "",
        follows_from="nospace",
        evidence=tuple(
            Evidence(
                what=f"quota of {name}",
                value=show_bytes(quota),
                threshold=f"{show_bytes(largest)}, as others",
                source="Status or metrics",
            )
            for name, quota in limits.items()
        ),
    )


def _severity_of(share: float) -> Severity | None:
    bands = (
        (QUOTA_CRITICAL, Severity.CRITICAL),
        (QUOTA_WARNING, Severity.WARNING),
        (QUOTA_NOTE, Severity.NOTE),
    )
    return next((severity for threshold, severity in bands if share >= threshold), None)


def quota_finding(used: Sequence[tuple[str, float]]) -> Finding | None:
    """Return what the fullest member's share of its quota means, None below 65 %."""
    if not used:
        return None
    name, share = max(used, key=lambda one: one[1])
    severity = _severity_of(share)
    if severity is None:
        return None
    ahead = "the next writes raise NOSPACE" if share >= QUOTA_LAST else "at 100 % etcd refuses writes"
    return Finding(
        severity=severity,
        sentence=f"the database of {name} takes {share:.0%} of its quota: {ahead}",
        verdict="db-large" if severity > Severity.NOTE else "",
        follows_from="nospace",
        evidence=tuple(
            Evidence(
                what=f"{member} size of its quota",
                value=f"{one:.1%}",
                threshold="65 % note, 75 % warning, 85 % critical, 95 % last call",
                source="Status, quota from Status or metrics",
            )
            for member, one in used
        ),
    )


def fragmentation_finding(sizes: Sequence[tuple[str, EndpointStatus]]) -> Finding | None:
    """Return a note on members whose file is mostly free pages. Harmless by itself: the quota counts them."""
    free = [
        (name, status)
        for name, status in sizes
        if status.db_size_in_use_bytes > FRAGMENTED_IN_USE_BYTES
        and 1 - status.db_size_in_use_bytes / status.db_size_bytes > FRAGMENTED_SHARE
    ]
    if not free:
        return None
    return Finding(
        severity=Severity.NOTE,
        sentence=f"over half of the database file is free pages on {', '.join(name for name, _ in free)}: "
        "a defragmentation gives them back",
        evidence=tuple(
            Evidence(
                what=f"{name} in use of size",
                value=f"{show_bytes(status.db_size_in_use_bytes)} of {show_bytes(status.db_size_bytes)}",
                threshold="50 % and 100 MB in use",
                source="Status",
            )
            for name, status in free
        ),
    )


def quota_share(size_bytes: Known[int], quota_bytes: Known[int]) -> Known[float]:
    """Return the share of its quota that a database file takes."""
    if isinstance(size_bytes, Unknown):
        return size_bytes
    if isinstance(quota_bytes, Unknown):
        return quota_bytes
    return size_bytes / quota_bytes if quota_bytes else Unknown("no quota is set")


class MemberSpace(msgspec.Struct, frozen=True, kw_only=True):
    """How full one member is, and where it is asked."""

    name: str
    endpoint: str
    size_bytes: Known[int]
    quota_bytes: Known[int]

    @property
    def used(self) -> Known[float]:
        """Return the share of the quota that the database file takes."""
        return quota_share(self.size_bytes, self.quota_bytes)


def use_text(members: Sequence[MemberSpace]) -> str:
    """Return every member's share of its quota: `m1 97 %, m2 97 %`."""
    return ", ".join(
        f"{one.name} unknown" if isinstance(one.used, Unknown) else f"{one.name} {one.used:.0%}"
        for one in members
    )


def is_any_at(members: Sequence[MemberSpace], limit: float) -> Known[bool]:
    """Tell whether a member takes `limit` of its quota or more; unknown when one that is not known might."""
    if any(not isinstance(one.used, Unknown) and one.used >= limit for one in members):
        return True
    unread = [one for one in members if isinstance(one.used, Unknown)]
    if unread:
        return Unknown(f"how full {', '.join(one.name for one in unread)} is could not be read")
    return False


def average_put_bytes(*, put_bytes: Known[float], started: Known[float], now: float) -> Known[float]:
    """Return the bytes put each second since the process started: an upper bound on growth, replaced values
    and compacted history included."""
    if isinstance(put_bytes, Unknown):
        return put_bytes
    if isinstance(started, Unknown):
        return started
    return put_bytes / max(1.0, now - started)


def growth_sentence(*, growth: Known[float], quota_bytes: int, size_bytes: int) -> str:
    """Return the growth and the time until the quota, and twice the quota, would be full."""
    if isinstance(growth, Unknown):
        return f"growth is unknown: {growth.reason}"
    if growth <= 0:
        return "nothing was written since etcd started"
    left = max(0, quota_bytes - size_bytes)
    return (
        f"growth: at most {show_bytes(growth)}/s on average since etcd started; at that rate "
        f"{'the quota is full now' if not left else f'the quota is full in {duration_text(left / growth)}'}, "
        f"twice the quota in {duration_text((left + quota_bytes) / growth)}"
    )


def use_evidence(census: Census, *, limit: int = 8) -> tuple[Evidence, ...]:
    """Return the largest resources of a census as evidence rows."""
    ended = f" ({census.unfinished})" if census.unfinished else ""
    return tuple(
        Evidence(
            what=group.resource,
            value=f"{group.keys} keys, {bytes_text(group.estimated_bytes)}",
            source=f"census, bytes estimated from samples{ended}",
        )
        for group in census.resources[:limit]
    )


def bytes_text(size: Known[int]) -> str:
    """Return an estimated size in words."""
    return "bytes unknown" if isinstance(size, Unknown) else f"about {show_bytes(size)}"


def duration_text(seconds: float) -> str:
    """Return a rough duration: `45 s`, `12 min`, `3 h`, `2 days`."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def commands_by_hand(
    *, endpoints: Sequence[str], census: Known[Census], quotas: Mapping[str, Known[int]]
) -> tuple[str, ...]:
    """Return how a person goes on where live data fill the quota, with what to check before each command."""
    etcdctl, every = f"etcdctl --endpoints={endpoints[0]}", f"etcdctl --endpoints={','.join(endpoints)}"
    prefix = "PREFIX"
    if not isinstance(census, Unknown) and census.resources and census.resources[0].resource != NO_PREFIX:
        largest = census.resources[0].resource
        prefix = f"/registry/{largest}/" if census.is_kubernetes else f"{largest}/"
    return (
        f"{etcdctl} get {prefix} --prefix --keys-only --limit=20  # check what the keys are before deleting any",
        f"{etcdctl} del {prefix} --prefix  # check: nobody needs them, and their writer is stopped",
        _restart_by_hand({name: quota for name, quota in known_only(quotas).items() if quota > 0}),
        f"{etcdctl} compact --physical REVISION  # check: the current revision from `endpoint status -w json`",
        f"{every} defrag  # check: one member at a time, the leader last",
        f"{etcdctl} alarm disarm  # check: `alarm list` shows no CORRUPT, every member is below 90 % of its quota",
    )


def _restart_by_hand(limits: Mapping[str, int]) -> str:
    if smaller := _smaller_ones(limits):
        largest = max(limits.values())
        return f"# restart {listed(list(smaller))} with --quota-backend-bytes={largest}, as others have"
    twice = 2 * max(limits.values()) if limits else "TWICE-THE-PRESENT"
    return f"# restart each member with --quota-backend-bytes={twice}, or so: one by one, 8 GiB at most"
