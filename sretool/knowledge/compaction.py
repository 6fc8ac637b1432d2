"""When etcd's history is to be compacted, and up to which revision."""

import math

import msgspec

from sretool.model import Known, Unknown

STALLED_SECONDS = 900.0
"""kube-apiserver compacts every 5 minutes and, when another one took the turn, 10: after 15 it does not."""
WINDOW_SECONDS = 300.0
"""kube-apiserver leaves five minutes of history to watchers and to paged lists; so do we."""
FEW_REVISIONS = 2
"""So few revisions after the last compaction are no history that Kubernetes should have compacted."""


class CompactionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One member's compactions since its process `started`, and the revision it last began to forget up to."""

    started: float
    begun: float
    finished: float
    revision: float

    @property
    def is_inflight(self) -> bool:
        """Whether one is removing revisions: etcd counts it once it knows which, and again when they are gone."""
        return self.begun != self.finished

    def may_hide_one(self, before: "CompactionCounts | None") -> bool:
        """Tell whether one may be under way that is not counted yet: etcd still works out what may go.

        Not when an earlier look at the same process shows that no new one was asked for, or that it began. A
        member that took over the leader's snapshot has a new revision and began nothing.
        """
        if before is None or before.started != self.started:
            return True
        return self.revision != before.revision and self.begun == before.begun


def is_stalled(
    *,
    is_kubernetes: Known[bool],
    pending_revisions: Known[int],
    last_compaction: Known[float],
    started: Known[float],
    now: float,
) -> Known[bool]:
    """Tell whether Kubernetes has stopped compacting. Times are Unix seconds, `last_compaction` 0 for never.

    An etcd that is not Kubernetes' is compacted when its users want: age alone says nothing there.
    """
    if isinstance(is_kubernetes, Unknown):
        return is_kubernetes
    if not is_kubernetes:
        return False
    if isinstance(pending_revisions, Unknown):
        return pending_revisions
    if pending_revisions <= FEW_REVISIONS:
        return False
    if isinstance(last_compaction, Unknown):
        return last_compaction
    if last_compaction > 0:
        return now - last_compaction > STALLED_SECONDS
    # The gauge starts at 0 with the process: a young process has seen none yet.
    return started if isinstance(started, Unknown) else now - started > STALLED_SECONDS


def revision_of_five_minutes_ago(*, current: int, per_second: float) -> int:
    """Return an estimate of the revision five minutes ago, from the highest rate that was seen.

    Status knows no history: the rate is the higher one of a short sample and of the average since etcd
    started, so that the estimate is rather too old than too young.
    """
    return max(0, current - math.ceil(per_second * WINDOW_SECONDS))


def is_worth_compacting(*, compacted: int, target: int, nospace: bool) -> bool:
    """Tell whether a compaction up to `target` would forget enough, so that a repeated run finds nothing to do.

    Without space only deletions make revisions, and one revision can delete every key: each one counts.
    """
    return target - compacted > (0 if nospace else FEW_REVISIONS)
