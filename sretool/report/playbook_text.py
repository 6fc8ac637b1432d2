"""The incident report as Markdown: a hand-over in ten lines first, then causes, numbers, deeds, what is left."""

from collections.abc import Iterable, Sequence

from sretool.errors import EXIT_CODES
from sretool.knowledge.words import show_seconds
from sretool.model import Finding
from sretool.report.batches import made_batches, made_deed_of, merged
from sretool.report.format import printable, show_count, show_time, show_value, unended_sentence
from sretool.report.incident import IncidentReport, name_of
from sretool.report.plan_text import SNAPSHOT_WARNING, severity_word

_NO_LOOK = "no look for causes came to its end"


def render_incident(report: IncidentReport, *, journal: str, is_gone: bool = False) -> list[str]:
    """Return the report as lines of Markdown. `journal` is the path of the record that it was made from;
    `is_gone`: it did not end, and its process is gone."""
    lines = [f"# {report.playbook} on {report.cluster}, {report.began:%Y-%m-%d}", ""]
    lines += [
        f"- **{word}**: {_one_line(text)}" for word, text in _handover(report, journal, is_gone=is_gone)
    ]
    lines += ["", "## Causes, in order", *_causes(report)]
    lines += ["", "## Before and after", *_numbers(report)]
    lines += ["", "## What was done", *_done(report)]
    lines += ["", "## What was not done, and why", *_not_done(report)]
    lines += ["", "## Stages", "", "| stage | gate | how it ended |", "|---|---|---|"]
    for one in report.stages:
        ended = f"{one.state}: {one.sentence}" if one.sentence else one.state
        lines.append(f"| {one.id} | {one.gate} | {_cell(ended)} |")
    lines += ["", "## Timeline", "", "| time (UTC) | seconds | |", "|---|--:|---|"]
    lines += [
        f"| {one.at:%H:%M:%S} | {one.seconds:.1f} | {_cell(one.text)} |" for one in merged(report.timeline)
    ]
    lines += _by_hand(report)
    return [printable(line) for line in lines]


def _handover(report: IncidentReport, journal: str, *, is_gone: bool) -> Iterable[tuple[str, str]]:
    seconds = (report.last - report.began).total_seconds()
    yield "run", f"{report.run}: {report.playbook} on {report.cluster}"
    yield "when", f"{show_time(report.began)}, {show_seconds(seconds)}, by {report.user}@{report.host}"
    members = show_count(len(report.identity.etcd_member_ids), "member")
    yield "cluster", f"etcd {report.identity.etcd_cluster_id or 'not seen'}, {members}"
    none = "none found" if report.causes is not None else f"nobody knows: {_NO_LOOK}"
    yield "causes", _names(report.causes or (), report.unclear, none=none)
    yield "approved", "; ".join(dict.fromkeys(one.how for one in report.approvals)) or "nothing"
    done = [made_deed_of(alike) for alike in made_batches(report.changes) if alike[0].result == "done"]
    more = f" and {len(done) - 8} more" if len(done) > 8 else ""
    yield "did", ", ".join(done[:8]) + more if done else "nothing: the cluster was not changed"
    left = report.causes_left
    yield (
        "now",
        "not looked at again" if left is None else _names(left, report.unclear_left, none="none found"),
    )
    yield "left", "; ".join(one.short for one in report.not_done) or "nothing"
    yield "ended", _ended(report, is_gone=is_gone)
    yield "record", journal


def _names(findings: Sequence[Finding], unclear: Sequence[str], *, none: str) -> str:
    more = "; ".join(f"could not tell: {one}" for one in unclear)
    names = "; ".join(name_of(one) for one in findings)
    return "; ".join(one for one in (names, more) if one) or none


def _ended(report: IncidentReport, *, is_gone: bool) -> str:
    if report.ending is None:
        return unended_sentence(report.run, pid=report.pid, is_gone=is_gone)
    meaning = EXIT_CODES[report.ending.exit_code]
    return f"exit {report.ending.exit_code} ({meaning}): {report.ending.sentence}"


def _causes(report: IncidentReport) -> Iterable[str]:
    if report.causes is None:
        yield f"\nNobody knows: {_NO_LOOK}."
    elif not report.causes:
        yield "\nNone was found." if not report.unclear else "\nNone was found, but not all could be told."
    for number, finding in enumerate(report.causes or (), start=1):
        verdict = f" `{finding.verdict}`" if finding.verdict else ""
        yield ""
        yield f"{number}. **{severity_word(finding)}**{verdict} {_one_line(finding.sentence)}"
        for one in finding.evidence:
            limit = f", limit {one.threshold}" if one.threshold else ""
            source = f" ({one.source})" if one.source else ""
            yield f"   - {_one_line(f'{one.what}: {one.value}{limit}{source}')}"
        for follows in finding.follows:
            yield f"   - so: {_one_line(follows)}"
    if report.unclear:
        yield from ("", *(f"- could not tell: {_one_line(one)}" for one in report.unclear))


def _numbers(report: IncidentReport) -> Iterable[str]:
    if not report.numbers:
        yield "\nThe playbook names none."
        return
    yield from ("", "| | before | after |", "|---|--:|--:|")
    for one in report.numbers:
        # What is used of something is a share, whatever its name.
        name = f"{one.fact}_ratio" if one.fact.endswith("_used") else one.fact
        before, after = (
            "not read" if value is None else show_value(name, value) for value in (one.before, one.after)
        )
        yield f"| {one.name} | {_cell(before)} | {_cell(after)} |"


def _done(report: IncidentReport) -> Iterable[str]:
    if not report.changes:
        yield "\nNothing: the cluster was not changed."
        return
    yield ""
    number = 0
    for stage in report.stages:
        for alike in made_batches([change for run in stage.runs for change in run.changes]):
            number += 1
            first = alike[0]
            seconds = [one.seconds for one in alike if one.seconds is not None]
            took = f" in {show_seconds(sum(seconds))}" if seconds else ""
            yield f"{number}. {stage.id}: {made_deed_of(alike)}: **{first.result}**{took} ({first.risk})"
            if first.evidence and len(alike) == 1:
                yield f"   - {_one_line(first.evidence)}"
    if any(run.saved_secrets for stage in report.stages for run in stage.runs):
        yield f"\nNote: {SNAPSHOT_WARNING}."


def _not_done(report: IncidentReport) -> Iterable[str]:
    if not report.not_done:
        yield "\nNothing is left."
        return
    yield ""
    for one in report.not_done:
        yield f"- {_one_line(one.what)}: {_one_line(one.why)}"


def _by_hand(report: IncidentReport) -> list[str]:
    commands = [command for one in report.not_done for command in one.commands]
    commands += report.ending.commands if report.ending else ()
    if not commands:
        return []
    lines = list(dict.fromkeys(line for command in commands for line in command.splitlines()))
    return ["", "## To go on by hand, looking before each", "", "```sh", *lines, "```"]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")
