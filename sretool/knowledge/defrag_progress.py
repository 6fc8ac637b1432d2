"""Whether a defragmentation has ended, by the member's own metrics: they answer while Status blocks."""

from sretool.knowledge.metric_names import DB_SIZE, DEFRAG_COUNT, DEFRAG_INFLIGHT, DEFRAG_SECONDS
from sretool.knowledge.words import show_bytes
from sretool.model import PROCESS_START, Change, Known, MetricsPage, Outcome, Result, Unknown


def judge_progress(change: Change, page: Known[MetricsPage]) -> Outcome:
    """Return what became of a defragmentation. Done is: counted once more by the same process.

    etcd goes on after the client's deadline, so a silence proves nothing and the in-flight gauge decides. A
    process that was restarted has lost its count: a smaller file is done all the same (nothing else makes it
    smaller), any other was not finished, and the old file is intact.
    """
    name = change.label
    if isinstance(page, Unknown):
        return _cannot_tell(f"the metrics of {name} cannot be read: {page.reason}")
    values = [page.value(metric) for metric in (DEFRAG_INFLIGHT, DEFRAG_COUNT, PROCESS_START, DB_SIZE)]
    unread = [value.reason for value in values if isinstance(value, Unknown)]
    if unread:
        return _cannot_tell(f"the metrics of {name} do not tell: {unread[0]}")
    inflight, count, started, size = (value for value in values if not isinstance(value, Unknown))
    return _judge(change, page, inflight=inflight, count=count, started=started, size=size)


def _judge(
    change: Change, page: MetricsPage, *, inflight: float, count: float, started: float, size: float
) -> Outcome:
    name, before = change.label, change.before
    if inflight > 0:
        return Outcome(result=Result.STILL_GOING, evidence=f"{name} says that it is being defragmented")
    sizes = f"its file went from {show_bytes(before['db_size_bytes'])} to {show_bytes(size)}"
    measured = {
        "db_size_bytes": int(size),
        "reclaimed_bytes": int(before["db_size_bytes"] - size),
    }
    if started != before["process_start_seconds"]:
        if size < before["db_size_bytes"]:
            return Outcome(
                result=Result.DONE, evidence=f"{name} was restarted, and {sizes}", measured=measured
            )
        return Outcome(
            result=Result.NOT_DONE, evidence=f"{name} was restarted, and its file is as large as before"
        )
    grown = int(count) - int(before["defrag_count"])
    if grown <= 0:
        return Outcome(result=Result.NOT_DONE, evidence=f"{name} has counted no defragmentation since")
    seconds = page.value(DEFRAG_SECONDS)
    if before["defrag_seconds"] is not None and not isinstance(seconds, Unknown):
        measured |= {"stall_seconds": round(seconds - before["defrag_seconds"], 3)}
    counted = "once more" if grown == 1 else f"{grown} times more, so somebody else did it too"
    shrunk = sizes if size < before["db_size_bytes"] else "gave nothing back"
    return Outcome(
        result=Result.DONE, evidence=f"{name} was defragmented {counted}: {shrunk}", measured=measured
    )


def _cannot_tell(evidence: str) -> Outcome:
    return Outcome(result=Result.CANNOT_TELL, evidence=evidence)
