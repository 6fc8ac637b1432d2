"""One run's report as text: a hand-over in ten lines first, then everything."""

from collections.abc import Iterable, Sequence

from sretool.engine.runs import RunSummary
from sretool.errors import EXIT_CODES
from sretool.knowledge.words import first_of, show_seconds
from sretool.model import Change, Finding, Severity
from sretool.report.batches import made_batches, made_deed_of, merged
from sretool.report.fold import MadeChange, RunReport, writes_of
from sretool.report.format import (
    PAGE_COLUMNS,
    show_count,
    show_named_value,
    show_time,
    table,
    unended_sentence,
    wrapped,
)
from sretool.report.plan_text import (
    SNAPSHOT_WARNING,
    names_of,
    render_commands,
    render_findings,
    render_held,
    render_next,
    render_skipped,
    severity_word,
)

_NOT_KNOWN = "nobody knows: the look did not end"


def render_report(
    report: RunReport, *, journal: str, columns: int = PAGE_COLUMNS, is_gone: bool = False
) -> list[str]:
    """Return the whole report. `journal` is the path of the record that it was made from; `is_gone`: it did not
    end, and its process is gone."""
    lines = render_handover(report, journal=journal, columns=columns, is_gone=is_gone)
    lines += ["", *_found(report, columns)]
    lines += ["", *_changes(report, columns)]
    if report.found_after is not None:
        lines += ["", *render_findings(report.found_after, columns=columns, title="FOUND AFTERWARDS")]
    if report.held:
        lines += ["", *render_held(report.held, columns=columns)]
    if report.skipped:
        lines += ["", *render_skipped(report.skipped, columns=columns)]
    lines += ["", "TIMELINE (seconds since the begin)"]
    for moment in merged(report.timeline):
        lines += wrapped(moment.text, first=f"  {moment.seconds:>8.1f}  ", columns=columns)
    if report.ending is not None and report.ending.commands:
        lines += ["", "TO GO ON BY HAND, looking before each", *render_commands(report.ending.commands)]
    return lines


def render_handover(
    report: RunReport, *, journal: str, columns: int = PAGE_COLUMNS, is_gone: bool = False
) -> list[str]:
    """Return what a colleague needs who takes over now, one fact a line."""
    lines: list[str] = []
    for word, text in _handover(report, journal, is_gone=is_gone):
        lines += wrapped(text, first=f"{word:<10}", columns=columns)
    if report.ending is not None and not report.ending.then.startswith("sretool report"):
        lines += render_next(report.ending.then, columns=columns)
    return lines


def _handover(report: RunReport, journal: str, *, is_gone: bool) -> Iterable[tuple[str, str]]:
    seconds = (report.last - report.began).total_seconds()
    yield "run", f"{report.run}: {report.runbook} on {report.cluster}"
    yield "when", f"{show_time(report.began)}, {show_seconds(seconds)}, by {report.user}@{report.host}"
    members = show_count(len(report.identity.etcd_member_ids), "member")
    etcd = report.identity.etcd_cluster_id
    yield (
        "cluster",
        f"etcd {etcd}, {members}" if etcd else "nobody knows which etcd: it was not asked to the end",
    )
    yield "found", _found_in_short(report)
    approved = dict.fromkeys(f"{one.how} (lock: {one.lock})" for one in report.approvals)
    yield "approved", "; ".join(approved) or "nothing"
    if report.accepted:
        yield "accepted", f"these guards were overridden: {', '.join(report.accepted)}"
    writes = writes_of(report)
    yield "did", _did(report) if writes or report.changes else "nothing: the cluster was not changed"
    left = [
        f"{made_deed_of(alike)}: {alike[0].result}"
        for alike in made_batches(writes)
        if alike[0].result != "done"
    ]
    left += [f"{name}: not begun" for name in names_of(report.not_begun)]
    if left:
        yield "not done", "; ".join(left)
    if report.found_after is not None:
        yield "now", _worst(report.found_after) or "nothing wrong"
    yield "ended", _ended(report, is_gone=is_gone)
    yield "record", journal


def _found_in_short(report: RunReport) -> str:
    worst = _worst(report.found or ())
    if report.planned is not None:
        return worst or "nothing wrong"
    return f"{worst}; what else, {_NOT_KNOWN}" if worst else _NOT_KNOWN


def _worst(findings: Sequence[Finding]) -> str:
    telling = [one for one in findings if one.blind or one.severity >= Severity.WARNING]
    return first_of([f"{severity_word(one)} {one.sentence}" for one in telling], most=2) if telling else ""


def _did(report: RunReport) -> str:
    done = ", ".join(made_deed_of(alike) for alike in made_batches(report.done))
    whole = show_count(len(report.changes) + len(report.not_begun), "change")
    return f"{len(report.done)} of {whole}: {done or 'none'}"


def _ended(report: RunReport, *, is_gone: bool) -> str:
    if report.ending is None:
        return unended_sentence(report.run, pid=report.pid, is_gone=is_gone)
    meaning = EXIT_CODES[report.ending.exit_code]
    return f"exit {report.ending.exit_code} ({meaning}): {report.ending.sentence}"


def _found(report: RunReport, columns: int) -> list[str]:
    if report.found is None:
        return [f"FOUND  {_NOT_KNOWN}"]
    lines = render_findings(report.found, columns=columns, verbose=True)
    return lines if report.planned is not None else [*lines, f"  what else, {_NOT_KNOWN}"]


def _none_made(planned: Sequence[Change] | None, columns: int) -> list[str]:
    if planned is None:
        return [f"CHANGES  none was made; what was due, {_NOT_KNOWN}"]
    if not planned:
        return ["CHANGES  none was due"]
    lines = [f"CHANGES  none was made; {show_count(len(planned), 'was', 'were')} due"]
    for due in planned:
        lines += wrapped(f"{due.verb} {due.label} ({due.risk})", first="  - ", columns=columns)
    return lines


def _changes(report: RunReport, columns: int) -> list[str]:
    if not report.changes:
        return _none_made(report.planned, columns)
    lines = ["CHANGES"]
    number = 1
    for alike in made_batches(report.changes):
        lines += _change(number, alike[0], columns) if len(alike) == 1 else _many(number, alike, columns)
        number += len(alike)
    for one in report.dropped:
        lines += wrapped(f"dropped {one.what}: {one.reason}", first="   - ", columns=columns)
    if report.saved_secrets:
        lines += wrapped(SNAPSHOT_WARNING, first="  note: ", columns=columns)
    return lines


def _change(number: int, change: MadeChange, columns: int) -> list[str]:
    took = f" in {show_seconds(change.seconds)}" if change.seconds is not None else ""
    first = f"  {number:>2} "
    inner = " " * len(first)
    what = f"{change.verb} {change.label}: {change.result}{took} ({change.risk})"
    lines = wrapped(what, first=first, columns=columns)
    if change.evidence:
        lines += wrapped(change.evidence, first=inner, columns=columns)
    measured = {name: value for name, value in change.measured.items() if str(value) not in change.evidence}
    if measured:
        shown = ", ".join(show_named_value(name, value) for name, value in measured.items())
        lines += wrapped(f"measured: {shown}", first=inner, columns=columns)
    return lines


def _many(number: int, alike: Sequence[MadeChange], columns: int) -> list[str]:
    first, last = alike[0], alike[-1]
    head = f"  {number:>2} to {number + len(alike) - 1} "
    seconds = sum(change.seconds or 0.0 for change in alike)
    what = f"{made_deed_of(alike)}: {first.result}, {show_seconds(seconds)} in all ({first.risk})"
    lines = wrapped(what, first=head, columns=columns)
    if last.evidence:
        lines += wrapped(f"the last: {last.evidence}", first=" " * len(head), columns=columns)
    return lines


def render_runs(runs: Sequence[RunSummary], *, columns: int = PAGE_COLUMNS) -> list[str]:
    """Return the list of runs, newest first."""
    if not runs:
        return ["no run yet"]
    rows = [
        (
            run.id,
            run.runbook,
            run.cluster,
            "-" if run.exit_code is None else str(run.exit_code),
            run.problem or run.sentence,
        )
        for run in runs
    ]
    return table(("RUN", "RUNBOOK", "CLUSTER", "EXIT", "ENDED"), rows, columns=columns)
