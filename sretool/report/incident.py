"""One playbook's journal, folded into one value: the incident report, as Markdown and as JSON."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sretool.engine.ending import Ending
from sretool.engine.journal import Record
from sretool.engine.playbook_run import StageState, command_of, plans_of, state_of
from sretool.model import Change, Finding, Identity
from sretool.report.fold import Approved, MadeChange, Moment, RunReport, about, fold_run, reading, told

FORMAT = 1


class BeforeAfter(msgspec.Struct, frozen=True, kw_only=True):
    """A number before the first change and after the last one; None where it was not read."""

    name: str
    fact: str
    before: Any = None
    after: Any = None


class NotDone(msgspec.Struct, frozen=True, kw_only=True):
    """What is left to do, in a few words and in a sentence, why it was not done, and the commands for it."""

    short: str
    what: str
    why: str
    commands: tuple[str, ...] = ()


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: `state` is `ended`, `skipped`, `unknown`, `held`, `open` or `not reached`.

    `unsure` are its runbooks that were left out because nobody could tell whether they are needed, with the reason.
    """

    id: str
    about: str
    gate: str
    state: str
    sentence: str
    exit_code: int | None = None
    unsure: Mapping[str, str] = {}
    runs: tuple[RunReport, ...] = ()


class IncidentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong and why, what was done in which order, what is different now, and what is left.

    `unclear` is what the looks could not tell, so that there may be more causes; `causes` is None when no look
    came to its end. Those `_left` are of the last look; `causes_left` is None when nobody has looked since.
    """

    run: str
    playbook: str
    origin: str
    cluster: str
    identity: Identity
    user: str
    host: str
    pid: int
    version: str
    unattended: bool
    given: Mapping[str, str]
    accepted: tuple[str, ...]
    began: datetime.datetime
    last: datetime.datetime
    causes: tuple[Finding, ...] | None = None
    causes_left: tuple[Finding, ...] | None = None
    unclear: tuple[str, ...] = ()
    unclear_left: tuple[str, ...] = ()
    numbers: tuple[BeforeAfter, ...] = ()
    stages: tuple[StageReport, ...] = ()
    approvals: tuple[Approved, ...] = ()
    not_done: tuple[NotDone, ...] = ()
    timeline: tuple[Moment, ...] = ()
    ending: Ending | None = None
    format: int = FORMAT

    @property
    def changes(self) -> tuple[MadeChange, ...]:
        """Return every change that was begun, in order."""
        found = [change for stage in self.stages for run in stage.runs for change in run.changes]
        return tuple(sorted(found, key=lambda change: change.intended_at))


def fold_incident(records: Sequence[Record]) -> IncidentReport:
    """Return the report of the playbook that `records` tell; StateError when they are not of this format."""
    with reading(records) as begin:
        return _fold(begin, records)


def _fold(begin: Record, records: Sequence[Record]) -> IncidentReport:
    body, outline = begin.body, begin.body["outline"]
    stages = tuple(_stage(begin, records, one) for one in outline["stages"])
    last_end = next(
        (r for r in reversed(records) if not r.scope and r.kind in ("end", "resume", "undo")), None
    )
    runs = [run for stage in stages for run in stage.runs]
    looks = [
        f"{one['id']}/{part}"
        for one in outline["stages"]
        if one["gate"] == "none"
        for part in one["runbooks"]
    ]
    order = {verdict: place for place, verdict in enumerate(outline["causes"])}
    found = _causes(records, looks, "plan", order)
    left = None if _is_undone(records) else _causes(records, looks, "verify", order)
    return IncidentReport(
        run=body["run"],
        playbook=body["runbook"],
        origin=body["origin"],
        cluster=body["cluster"],
        identity=next((run.identity for run in runs if run.identity != Identity()), Identity()),
        user=body["user"],
        host=body["host"],
        pid=body["pid"],
        version=body["version"],
        unattended=body["unattended"],
        given=body["given"],
        accepted=tuple(body["accepted"]),
        began=begin.at,
        last=records[-1].at,
        causes=found,
        causes_left=left,
        unclear=tuple(_unclear(records, looks, "plan")),
        unclear_left=tuple(_unclear(records, looks, "verify")) if left is not None else (),
        numbers=tuple(_number(records, name, words) for name, words in outline["numbers"].items()),
        stages=stages,
        approvals=tuple(
            Approved(at=r.at, how=r.body["how"], lock=r.body["lock"], changes=len(r.body["changes"]))
            for r in records
            if r.kind == "approval"
        ),
        not_done=tuple(_not_done(body, stages, found or (), left)),
        timeline=tuple(_timeline(begin, records)),
        ending=msgspec.convert(last_end.body, Ending) if last_end and last_end.kind == "end" else None,
    )


def _stage(begin: Record, records: Sequence[Record], outline: Mapping[str, Any]) -> StageReport:
    state = state_of(records, outline["id"])
    runs: list[RunReport] = []
    for part, book in outline["runbooks"].items():
        own = [record for record in records if record.scope == f"{outline['id']}/{part}"]
        if own:
            given = (state.given or {}).get(part, {})
            first = msgspec.structs.replace(begin, body={**begin.body, "runbook": book, "given": given})
            runs.append(fold_run([first, *own]))
    word, sentence = _word(state)
    return StageReport(
        id=outline["id"],
        about=outline["about"],
        gate=outline["gate"],
        state=word,
        sentence=sentence,
        exit_code=state.ending.exit_code if state.ending else None,
        unsure=state.unsure,
        runs=tuple(runs),
    )


def _word(state: StageState) -> tuple[str, str]:
    if state.left_out:
        return state.left_out, state.why
    if state.ending is not None:
        return "ended", state.ending.sentence
    return ("open", "it began and did not end") if state.given is not None else ("not reached", "")


def _causes(
    records: Sequence[Record], scopes: Sequence[str], kind: str, order: Mapping[str, int]
) -> tuple[Finding, ...] | None:
    """Return the causes in the playbook's order, others after them as they were found; None when nobody looked."""
    plans = [plan for scope in scopes for plan in plans_of(records, scope, kind)[-1:]]
    if not plans:
        return None
    found: dict[tuple[str, str], Finding] = {}
    for finding in (one for plan in plans for one in plan.findings if one.is_cause):
        key = (finding.verdict, finding.subject if finding.verdict else finding.sentence)
        found.setdefault(key, finding)
    return tuple(sorted(found.values(), key=lambda finding: order.get(finding.verdict, len(order))))


def _unclear(records: Sequence[Record], scopes: Sequence[str], kind: str) -> Iterator[str]:
    """Yield what the last looks of this kind could not tell, and which runbook did not look to the end, and why."""
    reasons = {f"{r.body['stage']}/{r.body['part']}": r.body["why"] for r in records if r.kind == "blind"}
    for scope in scopes:
        stage, _, part = scope.partition("/")
        plans = plans_of(records, scope, kind)[-1:]
        yield from (finding.sentence for plan in plans for finding in plan.findings if finding.blind)
        if not plans and scope in reasons:
            yield f"{scope} could not look: {reasons[scope]}"
        elif not plans and part in (state_of(records, stage).given or ()):
            yield f"{scope} did not look to the end"


def name_of(finding: Finding) -> str:
    """Return a cause in a few words: its verdict and what it is about."""
    return f"{finding.verdict or 'cause'}{f' ({finding.subject})' if finding.subject else ''}"


def _is_undone(records: Sequence[Record]) -> bool:
    """Tell whether changes were taken back after the last look: it says nothing of how things are now."""
    for record in reversed(records):
        if record.kind == "verify":
            return False
        if record.kind == "intent" and record.body["change"]["reverses"]:
            return True
    return False


def _number(records: Sequence[Record], name: str, words: Sequence[str]) -> BeforeAfter:
    """Return a fact as it was read last before its runbook changed or verified anything, and last of all."""
    stage, part, step, fact = words
    before = after = None
    is_after = False
    for record in records:
        if record.scope != f"{stage}/{part}":
            continue
        is_after = is_after or record.kind in ("verify", "intent")
        if record.kind == "facts":
            value = record.body["facts"].get(step, {}).get(fact)
            value = None if isinstance(value, Mapping) else value
            before, after = (before, value) if is_after else (value, None)
    return BeforeAfter(name=name, fact=fact, before=before, after=after)


def _causes_left(begin: Mapping[str, Any], causes: Sequence[Finding], *, why: str) -> Iterator[NotDone]:
    """Yield the causes; `why` is said of those that the playbook would have a remedy for."""
    for finding in causes:
        after = begin["outline"]["next"].get(finding.verdict, "")
        has_runbook = after.startswith("sretool ")
        no_remedy = "this playbook has no remedy for it" + ("" if has_runbook else f": {after}")
        yield NotDone(
            short=name_of(finding),
            what=finding.sentence,
            why=no_remedy if after else why,
            commands=(after.partition(" (")[0],) if has_runbook else (),
        )


def _not_done(
    begin: Mapping[str, Any],
    stages: Sequence[StageReport],
    found: Sequence[Finding],
    left: Sequence[Finding] | None,
) -> Iterator[NotDone]:
    if left is not None:
        yield from _causes_left(begin, left, why="it was still found afterwards")
    elif any(run.changes for stage in stages for run in stage.runs):
        yield from _causes_left(begin, found, why="nobody has looked since whether it is gone")
    else:
        yield from _causes_left(begin, found, why="nothing was changed")
    for stage in stages:
        short = f"stage {stage.id}"
        what = short + (f" ({stage.about})" if stage.about else "")
        if stage.state == "held":
            command = command_of(
                begin["runbook"], begin["origin"], begin["given"], begin["cluster"], "--stage", stage.id
            )
            yield NotDone(short=short, what=what, why=stage.sentence, commands=(command,))
        elif stage.state in ("unknown", "open", "not reached") or stage.exit_code not in (None, 0, 9):
            yield NotDone(short=short, what=what, why=stage.sentence or stage.state)
        for part, why in stage.unsure.items():
            yield NotDone(short=f"{part} of {short}", what=f"{part} of {what}", why=why)
        for run in stage.runs if stage.gate != "none" else ():
            for held in run.held:
                yield NotDone(short=held.what, what=held.what, why=held.why, commands=held.commands)


def _timeline(begin: Record, records: Sequence[Record]) -> Iterator[Moment]:
    names: dict[str, str] = {}
    for record in records:
        for change in record.body["plan"]["changes"] if "plan" in record.body else ():
            one = msgspec.convert(change, Change)
            names[one.key] = f"{one.verb} {one.label}"
        text = _stage_text(record) or told(record, names)
        if text:
            where = f"{record.scope}: " if record.scope else ""
            seconds = (record.at - begin.at).total_seconds()
            yield Moment(at=record.at, seconds=seconds, text=f"{where}{text}", about=about(record))


def _stage_text(record: Record) -> str:
    if record.kind != "stage":
        return ""
    body = record.body
    if body["state"] == "ended":
        return f"stage {body['stage']} ended with exit {body['ending']['exit_code']}: {body['ending']['sentence']}"
    return f"stage {body['stage']} {body['state']}" + (f": {body['why']}" if "why" in body else "")
