"""Reads how far etcd's history is compacted, by whom it should be, and how fast revisions come."""

from collections.abc import Mapping, Sequence

import msgspec

from sretool.cluster.etcd_reader import EtcdReader
from sretool.knowledge.compaction import STALLED_SECONDS, CompactionCounts, is_stalled
from sretool.knowledge.metric_names import (
    COMPACT_REVISION,
    COMPACTION_LAST,
    COMPACTIONS_BEGUN,
    COMPACTIONS_FINISHED,
)
from sretool.model import PROCESS_START, Evidence, Known, MetricsPage, Unknown, known_only, value_of

RATE_SECONDS = 2.0
_WATCH_SECONDS = 0.1
_COMPARABLE_SECONDS = 60.0  # between looks further apart Kubernetes may compact twice
_COUNTS = "counts of compactions"  # kept between looks


class CompactionView(msgspec.Struct, frozen=True, kw_only=True):
    """How far the history goes back. `last` is the Unix time of the last compaction, 0 when none since start."""

    current: int
    compacted: Known[int]
    last: Known[float]
    stalled: Known[bool]
    evidence: tuple[Evidence, ...]


def read_compaction(etcd: EtcdReader) -> CompactionView:
    """Return what one look tells of compaction; at least one member must answer."""
    pages = tuple(known_only(etcd.metrics()).values())
    current = max(status.revision for status in known_only(etcd.status()).values())
    compacted = etcd.compact_revision()
    pending = compacted if isinstance(compacted, Unknown) else current - compacted
    last, now = _latest(pages, COMPACTION_LAST), etcd.utc_now().timestamp()
    stalled = is_stalled(
        is_kubernetes=etcd.is_kubernetes(),
        pending_revisions=pending,
        last_compaction=last,
        started=_latest(pages, PROCESS_START),
        now=now,
    )
    if isinstance(last, Unknown):
        age = str(last)
    else:
        age = f"{now - last:.0f} s ago" if last else "none since etcd started"
    evidence = (
        Evidence(
            what="last compaction", value=age, threshold=f"{STALLED_SECONDS:.0f} s", source="members' metrics"
        ),
        Evidence(what="revisions since the last compaction", value=str(pending), source="Status and metrics"),
    )
    return CompactionView(current=current, compacted=compacted, last=last, stalled=stalled, evidence=evidence)


def read_revision_rate(etcd: EtcdReader, name: str) -> Known[float]:
    """Return revisions a second on `name`: the higher one of two seconds now and of the average since start.

    The average is rather too high: it counts every put and delete, of which one revision may hold many, or
    all revisions there are, whichever is less.
    """
    first = etcd.status_now((name,))[name]
    began = etcd.now()
    etcd.wait(RATE_SECONDS)
    second = etcd.status_now((name,))[name]
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return Unknown(f"{name} stopped answering while its revisions were counted")
    now_rate = (second.revision - first.revision) / max(0.1, etcd.now() - began)
    page = etcd.metrics()[name]
    if isinstance(page, Unknown):
        return page
    puts, deletes, started = (
        page.value(metric) for metric in ("etcd_mvcc_put_total", "etcd_mvcc_delete_total", PROCESS_START)
    )
    if isinstance(puts, Unknown) or isinstance(deletes, Unknown) or isinstance(started, Unknown):
        return Unknown(f"the metrics of {name} do not tell its writes since it started")
    written = min(puts + deletes, second.revision)
    return max(now_rate, written / max(1.0, etcd.utc_now().timestamp() - started))


def read_compact_revisions(etcd: EtcdReader, names: Sequence[str]) -> Mapping[str, Known[int]]:
    """Return the revision up to which each of `names` has compacted (0: never)."""

    def ask(name: str) -> Known[int]:
        gauge = value_of(etcd.metrics()[name], COMPACT_REVISION)
        # The gauge is 0 from a restart until the next compaction: only a positive one is an answer.
        return int(gauge) if not isinstance(gauge, Unknown) and gauge > 0 else etcd.compact_revision_of(name)

    etcd.metrics()
    return dict(zip(names, etcd.side_by_side(names, ask), strict=True))


def _latest(pages: Sequence[MetricsPage], metric: str) -> Known[float]:
    values = [value for page in pages if not isinstance(value := page.value(metric), Unknown)]
    return max(values) if values else Unknown(f"no member's metrics tell {metric}")


def compaction_inflight(etcd: EtcdReader) -> Known[bool]:
    """Tell whether a member is compacting, by what the look's metrics count as begun and as finished.

    At a member's first look, and where one may not be counted yet, it is watched until 0.1 s after its metrics were
    read.
    """
    counts = _counts(etcd.metrics())
    at, before = etcd.between_looks.get(_COUNTS, (0.0, {}))
    if etcd.now() - at > _COMPARABLE_SECONDS:
        before = {}
    doubtful = [name for name, one in counts.items() if one.may_hide_one(before.get(name))]
    if doubtful and not any(one.is_inflight for one in counts.values()):
        ends = etcd.metrics_at[1] + _WATCH_SECONDS
        etcd.wait(max(0.0, ends - etcd.now()))
        sure = {name: one for name, one in counts.items() if name not in doubtful}
        counts = sure | _counts(etcd.scraped_after(ends, doubtful))
        doubtful = []
    seen = {name: one for name, one in counts.items() if name not in doubtful}
    etcd.between_looks[_COUNTS] = (etcd.now(), seen)
    if any(one.is_inflight for one in counts.values()):
        return True
    unread = [name for name in etcd.names if name not in counts]
    return Unknown(f"the metrics of {', '.join(unread)} cannot be read") if unread else False


def _counts(pages: Mapping[str, Known[MetricsPage]]) -> dict[str, CompactionCounts]:
    """Return by member, where its metrics tell, what it has counted."""
    names = (PROCESS_START, COMPACTIONS_BEGUN, COMPACTIONS_FINISHED, COMPACT_REVISION)
    found = {}
    for name, page in pages.items():
        values = [value for metric in names if not isinstance(value := value_of(page, metric), Unknown)]
        if len(values) == len(names):
            started, begun, finished, revision = values
            found[name] = CompactionCounts(started=started, begun=begun, finished=finished, revision=revision)
    return found
