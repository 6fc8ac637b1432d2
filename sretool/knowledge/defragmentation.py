"""Whether a member's database file is worth rewriting."""

import msgspec

from sretool.knowledge.words import show_bytes
from sretool.model import EndpointStatus, Known, Unknown

FRAGMENTED_FROM_BYTES = 100 << 20
"""A smaller file is not rewritten for its share of free pages alone (cluster-etcd-operator)."""
FULL_OF_DATA_SHARE = 0.05
"""With less of the file free, a full database is growth and not fragmentation."""


class SpaceRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a defragmentation is due. Sizes in bytes, shares from 0 to 1.

    A share of the quota alone is never a reason: a full but unfragmented database would be rewritten for
    ever (cozystack/etcd-operator, docs/etcd-defrag.md).
    """

    reclaim_floor: int  # free at least this
    fragmentation: float  # or this share of a file of FRAGMENTED_FROM_BYTES
    pressure: float  # or, with this share of the quota used …
    pressure_floor: int  # … free at least this


class SpaceView(msgspec.Struct, frozen=True, kw_only=True):
    """One member's file, and what may have freed pages in it that `in_use` does not show yet.

    `stale` after a compaction in this run; `maybe_stale` when the process compacted and never defragmented.
    """

    status: EndpointStatus
    quota_bytes: Known[int]
    stale: bool
    maybe_stale: bool

    @property
    def free_bytes(self) -> int:
        """Return the bytes that a rewrite gives back, as etcd knows them now."""
        return max(0, self.status.db_size_bytes - self.status.db_size_in_use_bytes)


class Due(msgspec.Struct, frozen=True):
    """Why a member is to be defragmented, and how many bytes that gives back (at most)."""

    reason: str
    reclaim_bytes: int


def judge_space(view: SpaceView, rules: SpaceRules, *, nospace: bool) -> Known[Due | None]:
    """Return why the member is to be defragmented, None when it is not; unknown when a rule cannot be judged.

    What etcd reports as in use is stale after a compaction until the next write commits, and under NOSPACE
    nothing is written: there the upper bound counts, the whole file. An upper bound costs one superfluous
    rewrite at most; trusting a stale figure would leave the cluster full.
    """
    if nospace:
        return _judge_nospace(view)
    size, free = view.status.db_size_bytes, view.free_bytes
    at_most = ""
    if view.stale:
        free, at_most = size, "after the compaction up to "
    if free >= rules.reclaim_floor:
        return Due(
            f"{at_most}{show_bytes(free)} can be given back (from {show_bytes(rules.reclaim_floor)})", free
        )
    if size >= FRAGMENTED_FROM_BYTES and free >= rules.fragmentation * size:
        share = f"{at_most}{free / size:.0%} of {show_bytes(size)} are free pages (from {rules.fragmentation:.0%})"
        return Due(share, free)
    if free < rules.pressure_floor:
        return None
    if isinstance(view.quota_bytes, Unknown):
        return Unknown(
            f"{show_bytes(free)} could be given back, and its quota is unknown: {view.quota_bytes.reason}"
        )
    used = size / view.quota_bytes if view.quota_bytes else 0.0
    if used >= rules.pressure:
        return Due(f"{used:.0%} of the quota is used and {at_most}{show_bytes(free)} are free pages", free)
    return None


def _judge_nospace(view: SpaceView) -> Due | None:
    size, free = view.status.db_size_bytes, view.free_bytes
    if view.stale or view.maybe_stale:
        return Due(f"NOSPACE, and a compaction freed up to {show_bytes(size)}", size)
    if free >= FULL_OF_DATA_SHARE * size:
        return Due(f"NOSPACE, and {show_bytes(free)} of {show_bytes(size)} are free pages", free)
    return None


def is_full_of_data(view: SpaceView, rules: SpaceRules) -> bool:
    """Tell whether the quota is used up by data: a defragmentation would not help."""
    if view.stale or isinstance(view.quota_bytes, Unknown) or not view.quota_bytes:
        return False
    size = view.status.db_size_bytes
    return size >= rules.pressure * view.quota_bytes and view.free_bytes < FULL_OF_DATA_SHARE * size
