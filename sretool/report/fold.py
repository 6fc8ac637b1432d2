"""One run's journal, folded into one value: the only source of a report, as text and as JSON."""

import contextlib
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sretool.engine.ending import Ending
from sretool.engine.journal import Record
from sretool.engine.plan import Plan, Skipped
from sretool.errors import StateError
from sretool.model import Change, Effect, Finding, Held, Identity, Outcome, Risk

FORMAT = 1


class MadeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was intended, and what became of it.

    `result` is the outcome's word, `open` when the journal has none: the run was ended in between.
    """

    key: str
    verb: str
    label: str
    reason: str
    risk: str
    intended_at: datetime.datetime
    seconds: float | None = None
    result: str = "open"
    evidence: str = ""
    measured: Mapping[str, Any] = {}
    reverses: str = ""
    commands: tuple[str, ...] = ()
    saves_locally: bool = False


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """One approval: how it was given, under which lock, to how many changes."""

    at: datetime.datetime
    how: str
    lock: str
    changes: int


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline; `seconds` since the run began. `about` names what became of which change."""

    at: datetime.datetime
    seconds: float
    text: str
    about: str = ""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """An approved change that was no longer due when its turn came."""

    key: str
    what: str
    reason: str


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which cluster, what was found before and after, and how it ended.

    `found` and `planned` are None when no look came to its end: nobody knows what was wrong, or due.
    `not_begun` are the changes that were approved last, and neither begun after that nor dropped.
    `found_after` is None when the run did not look again. `ending` is None for a run that did not end: it is
    at work, or was killed.
    """

    run: str
    runbook: str
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
    found: tuple[Finding, ...] | None = None
    found_after: tuple[Finding, ...] | None = None
    planned: tuple[Change, ...] | None = None
    held: tuple[Held, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    approvals: tuple[Approved, ...] = ()
    changes: tuple[MadeChange, ...] = ()
    not_begun: tuple[Change, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    timeline: tuple[Moment, ...] = ()
    ending: Ending | None = None
    format: int = FORMAT

    @property
    def done(self) -> tuple[MadeChange, ...]:
        return tuple(change for change in self.changes if change.result == "done")

    @property
    def saved_secrets(self) -> bool:
        """Tell whether a snapshot was saved: it holds every Secret in clear."""
        return any(change.saves_locally for change in self.changes)


@contextlib.contextmanager
def reading(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the first record; StateError when there is none, or when the journal is not of this format."""
    begin = next((record for record in records if record.kind == "begin"), None)
    if begin is None:
        raise StateError("the journal is empty: the run was ended before it began")
    try:
        yield begin
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise StateError(
            f"the journal of run {begin.body.get('run', '?')} cannot be read by this version: {error}",
            then="read it with the sretool that wrote it; its first line names the version",
        ) from error


def fold_run(records: Sequence[Record]) -> RunReport:
    """Return the report of the run that `records` tell; StateError when they are not of this format."""
    with reading(records) as begin:
        return _fold(begin, records)


def _fold(begin: Record, records: Sequence[Record]) -> RunReport:
    plans = [(r.kind, msgspec.convert(r.body["plan"], Plan)) for r in records if "plan" in r.body]
    before = [plan for kind, plan in plans if kind != "verify"]
    after = [plan for kind, plan in plans if kind == "verify"]
    end = next((r for r in reversed(records) if r.kind in ("end", "resume", "undo")), None)
    ending = msgspec.convert(end.body, Ending) if end is not None and end.kind == "end" else None
    names = {change.key: f"{change.verb} {change.label}" for _, plan in plans for change in plan.changes}
    body = begin.body
    return RunReport(
        run=body["run"],
        runbook=body["runbook"],
        origin=body["origin"],
        cluster=body["cluster"],
        identity=plans[-1][1].identity if plans else Identity(),
        user=body["user"],
        host=body["host"],
        pid=body["pid"],
        version=body["version"],
        unattended=body["unattended"],
        given=body["given"],
        accepted=tuple(body["accepted"]),
        began=begin.at,
        last=records[-1].at,
        found=before[0].findings if before else (ending.findings or None) if ending else None,
        found_after=after[-1].findings if after else None,
        planned=before[0].changes if before else None,
        held=plans[-1][1].held if plans else (),
        skipped=before[-1].skipped if before else (),
        approvals=tuple(
            Approved(at=r.at, how=r.body["how"], lock=r.body["lock"], changes=len(r.body["changes"]))
            for r in records
            if r.kind == "approval"
        ),
        changes=_changes(records),
        not_begun=tuple(_not_begun(records)),
        dropped=tuple(
            Dropped(key=r.body["key"], what=names.get(r.body["key"], r.body["key"]), reason=r.body["reason"])
            for r in records
            if r.kind == "dropped"
        ),
        timeline=tuple(
            Moment(at=r.at, seconds=(r.at - begin.at).total_seconds(), text=text, about=about(r))
            for r in records
            if (text := told(r, names))
        ),
        ending=ending,
    )


def _changes(records: Sequence[Record]) -> tuple[MadeChange, ...]:
    found: dict[str, MadeChange] = {}
    for record in records:
        if record.kind == "intent":
            change = msgspec.convert(record.body["change"], Change)
            found[_slot(change.key, change.reverses)] = _intended(change, record.at)
        elif record.kind == "outcome":
            slot = next(
                slot for slot in (f"{record.body['key']} undone", record.body["key"]) if slot in found
            )
            outcome = msgspec.convert(record.body["outcome"], Outcome)
            found[slot] = msgspec.structs.replace(
                found[slot],
                result=outcome.result.value,
                evidence=outcome.evidence,
                measured=outcome.measured,
                seconds=record.body["seconds"],
            )
    return tuple(found.values())


def _not_begun(records: Sequence[Record]) -> Iterator[Change]:
    last = max((at for at, record in enumerate(records) if record.kind == "approval"), default=None)
    if last is None:
        return
    begun = {_key_of(record) for record in records[last:]}
    for change in msgspec.convert(records[last].body["changes"], tuple[Change, ...]):
        if change.key not in begun:
            yield change


def _key_of(record: Record) -> str:
    """Return the key of the change that a record tells of; empty for other records."""
    if record.kind == "intent":
        return msgspec.convert(record.body["change"], Change).key
    return str(record.body.get("key", ""))


def _slot(key: str, reverses: str) -> str:
    return f"{key} undone" if reverses else key


def _intended(change: Change, at: datetime.datetime) -> MadeChange:
    return MadeChange(
        key=change.key,
        verb=change.verb,
        label=change.label,
        reason=change.reason,
        risk=str(change.risk),
        intended_at=at,
        reverses=change.reverses,
        commands=change.commands,
        saves_locally=Effect.SAVES_LOCALLY in change.effects and not change.uses.startswith("kubernetes."),
    )


_TOLD = {
    "begin": "{user}@{host} began {runbook} on {cluster}",
    "approval": "approved: {how}",
    "intent": "begins: {change[verb]} {change[label]}",
    "outcome": "{outcome[result]}: {name}: {outcome[evidence]}",
    "dropped": "dropped: {name}: {reason}",
    "retry": "tried again: {what}: {cause}",
    "resume": "resumed",
    "undo": "undo began",
    "blind": "could not look: {part}: {why}",
    "gate": "the gate of {stage}: {how}",
    "end": "ended with exit {exit_code}: {sentence}",
}


def told(record: Record, names: Mapping[str, str]) -> str:
    """Return one line about a record, empty for what needs none."""
    if "plan" in record.body:
        plan = record.body["plan"]
        return f"looked ({record.kind}): {len(plan['findings'])} findings, {len(plan['changes'])} changes due"
    name = names.get(record.body.get("key", ""), record.body.get("key", ""))
    return _TOLD.get(record.kind, "").format_map({**record.body, "name": name})


def about(record: Record) -> str:
    """Return what became of which change, as `done events/shop/BackOff/7`, if the record tells that."""
    key = _key_of(record)
    word = record.body["outcome"]["result"] if record.kind == "outcome" else record.kind
    return f"{record.scope} {word} {key}".strip() if key else ""


def writes_of(report: RunReport) -> tuple[MadeChange, ...]:
    """Return the changes that touched the cluster: all but local files."""
    return tuple(change for change in report.changes if change.risk != str(Risk.READ))
