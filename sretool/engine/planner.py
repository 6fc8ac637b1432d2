"""Looks with every step of a runbook, in order, and makes one plan of what they propose."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.by_hand import commands_by_hand, proposal_by_hand
from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.guards import Guards
from sretool.engine.plan import Plan, Skipped
from sretool.errors import InterruptedRunError, RemoteError
from sretool.model import Change, Finding, Held, Known, Proposal, Risk, Severity, Unknown
from sretool.retry import retrying_read
from sretool.runbook.loader import step_params
from sretool.runbook.model import StepSpec


class Planner:
    """One pass over the steps: nothing is written, everything is read through one remembering reader."""

    def __init__(self, run: Run, guards: Guards) -> None:
        self._run = run
        self._guards = guards
        self._facts: dict[str, msgspec.Struct] = {}
        self._due: dict[str, Known[bool]] = {}
        self._changes: list[Change] = []
        self._findings: list[Finding] = []
        self._held: list[tuple[str, Held]] = []  # with the step's id
        self._failed_precautions: dict[str, Held] = {}
        self._skipped: list[Skipped] = []
        self._made: tuple[Change, ...] = ()

    @property
    def facts(self) -> Mapping[str, msgspec.Struct]:
        """Return what each step read, by the step's id; a step that was skipped or could not look has none."""
        return self._facts

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what the steps that looked have found, worst first."""
        return merge_findings(self._findings)

    def plan(self, read: ClusterReader, *, made: Sequence[Change] = ()) -> Plan:
        """Return the plan. `made` are the changes of this run that are done already (resume).

        RemoteError from a step that must not fail ends the look.
        """
        self._made = tuple(made)
        identity = self._run.cluster.identity(read)
        for spec in self._run.runbook.steps:
            if self._run.interrupts.requested:
                raise self._run.interrupts.error("interrupted while looking")
            self._visit(spec, read)
        changes, held = without_failed_precautions(self._changes, self._failed_precautions)
        changes = drop_idle_precautions(changes, self._precautions())
        order = [spec.id for spec in self._run.runbook.steps]
        return Plan(
            runbook=self._run.runbook.name,
            text=self._run.runbook.text,
            origin=self._run.runbook.origin,
            params=self._run.given,
            cluster=self._run.cluster.name,
            identity=identity,
            made_at=self._run.clock.now(),
            changes=changes,
            findings=self.findings,
            held=tuple(one for _, one in sorted((*self._held, *held), key=lambda one: order.index(one[0]))),
            skipped=tuple(self._skipped),
            notes=self._guards.notes(changes),
        )

    def _visit(self, spec: StepSpec, read: ClusterReader) -> None:
        condition = self._condition(spec)
        if condition is False:
            self._skip(spec, f"not needed: {spec.when.text if spec.when else ''}")
            return
        if isinstance(condition, Unknown):
            self._due[spec.id] = condition
            self._skip(spec, f"cannot tell whether it is needed: {condition.reason}")
            if self._run.steps[spec.id].risk > Risk.READ:
                unknown = Held(what=f"step {spec.id}", why=condition.reason, refused=False)
                self._held.append((spec.id, unknown))
            return
        self._run.emit(events.LookStarted(step=spec.id, uses=spec.uses))
        began = self._run.clock.monotonic()
        try:
            proposal = self._propose(spec, read)
        except RemoteError as error:
            proposal = self._failed(spec, error)
        proposal = proposal_by_hand(proposal, read.etcd.members)
        if self._run.steps[spec.id].risk > Risk.READ:
            spared = self._guards.without_forbidden_commands(proposal.held, read)
            proposal = msgspec.structs.replace(proposal, held=spared)
        allowed, held = self._guards.sift(proposal.changes, read) if proposal.changes else ((), ())
        self._changes.extend(allowed)
        self._findings.extend(proposal.findings)
        if self._run.steps[spec.id].precaution and proposal.held + held:
            self._failed_precautions[spec.id] = (proposal.held + held)[0]
        else:
            self._held.extend((spec.id, one) for one in proposal.held + held)
        self._due[spec.id] = self._due_of(allowed, proposal.held + held)
        self._run.emit(
            events.LookEnded(
                step=spec.id,
                uses=spec.uses,
                seconds=self._run.clock.monotonic() - began,
                findings=proposal.findings,
                changes=len(allowed),
                precaution=self._run.steps[spec.id].precaution,
                commands=self._by_hand(spec, read),
            )
        )

    def _condition(self, spec: StepSpec) -> Known[bool]:
        if spec.when is None:
            return True
        return spec.when.evaluate(self._facts, self._run.params, self._due)

    def _propose(self, spec: StepSpec, read: ClusterReader) -> Proposal:
        step = self._run.steps[spec.id]
        params = step_params(self._run.runbook, spec, self._run.params)
        facts = self._look(spec, read, params)
        self._facts[spec.id] = facts
        return proposal_of(spec, step.plan(params, facts, self.earlier(spec)), made=self._made)

    def earlier(self, spec: StepSpec) -> tuple[Change, ...]:
        """Return what the steps before `spec` plan and have made, then what `spec` itself has made."""
        order = {step.id: index for index, step in enumerate(self._run.runbook.steps)}
        made = tuple(msgspec.structs.replace(change, made=True) for change in self._made)
        both = made + tuple(self._changes)
        return tuple(
            sorted(
                (c for c in both if order[c.step] < order[spec.id] or (c.made and c.step == spec.id)),
                key=lambda change: order[change.step],
            )
        )

    def _look(self, spec: StepSpec, read: ClusterReader, params: msgspec.Struct) -> msgspec.Struct:
        def look() -> msgspec.Struct:
            facts: msgspec.Struct = self._run.steps[spec.id].look(read, params)
            return facts

        try:
            if spec.timeout_seconds is not None:
                with read.etcd.within(spec.timeout_seconds):
                    return self._retried(spec, look)
            return self._retried(spec, look)
        except InterruptedRunError:
            raise self._run.interrupts.error("interrupted while looking") from None

    def _note_retry(self, what: str, cause: BaseException) -> None:
        self._run.journal.write("retry", {"what": what, "cause": str(cause)})
        self._run.emit(events.ReadRetried(what=what, cause=str(cause)))

    def _by_hand(self, spec: StepSpec, read: ClusterReader) -> tuple[str, ...]:
        members = read.etcd.members
        commands = (
            command.format(
                endpoints=",".join(member.client for member in members),
                endpoint=members[0].client,
                metrics=members[0].metrics or members[0].client,
            )
            for command in self._run.steps[spec.id].reads_by_hand
        )
        return commands_by_hand(commands, members)

    def _retried(self, spec: StepSpec, look: Callable[[], msgspec.Struct]) -> msgspec.Struct:
        if spec.retry is None:
            return look()
        return retrying_read(
            spec.id,
            look,
            attempts=spec.retry.attempts,
            within_seconds=self._run.deadline.cap(spec.retry.within_seconds),
            clock=self._run.clock,
            on_retry=self._note_retry,
        )

    def _failed(self, spec: StepSpec, error: RemoteError) -> Proposal:
        if spec.on_failure != "continue":
            raise error
        finding = Finding(
            severity=Severity.WARNING,
            sentence=f"{spec.uses} could not look: {error.message}",
            blind=True,
            then=error.then,
        )
        return Proposal(findings=(finding,))

    def _skip(self, spec: StepSpec, reason: str) -> None:
        self._skipped.append(Skipped(step=spec.id, uses=spec.uses, reason=reason))
        self._due.setdefault(spec.id, False)
        self._run.emit(events.StepSkipped(step=spec.id, uses=spec.uses, reason=reason))

    def _due_of(self, allowed: Sequence[Change], held: Sequence[Held]) -> Known[bool]:
        if allowed:
            return True
        unknown = next((one.why for one in held if not one.refused), "")
        return Unknown(unknown) if unknown else False

    def _precautions(self) -> frozenset[str]:
        return frozenset(step_id for step_id, step in self._run.steps.items() if step.precaution)


def proposal_of(spec: StepSpec, proposal: Proposal, *, made: Sequence[Change]) -> Proposal:
    """Return `proposal` under the step's id in the runbook, without the changes that were made already."""
    done = {change.key for change in made}
    waves = tuple(
        kept
        for wave in proposal.waves
        if (
            kept := tuple(
                named
                for change in wave
                if (named := msgspec.structs.replace(change, step=spec.id)).key not in done
            )
        )
    )
    return msgspec.structs.replace(proposal, waves=waves)


def without_failed_precautions(
    changes: Sequence[Change], failed: Mapping[str, Held]
) -> tuple[tuple[Change, ...], tuple[tuple[str, Held], ...]]:
    """Return the changes that may be made, and those held back because a precaution cannot be taken first, each
    with its step's id."""
    if not failed or not changes:
        return tuple(changes), ()
    step_id, why = next(iter(failed.items()))
    held = tuple(
        (
            change.step,
            Held(
                what=f"{change.verb} {change.label}",
                why=f"the precaution «{step_id}» cannot be taken first: {why.why}",
                refused=why.refused,
                commands=change.commands,
            ),
        )
        for change in changes
    )
    return (), ((step_id, why), *held)


def drop_idle_precautions(changes: Sequence[Change], precautions: frozenset[str]) -> tuple[Change, ...]:
    """Return `changes` without the precautions that no later change needs."""
    return tuple(
        change
        for index, change in enumerate(changes)
        if change.step not in precautions
        or any(later.step not in precautions for later in changes[index + 1 :])
    )


def merge_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return `findings`, worst first, each verdict once a subject, consequences only under their cause."""
    merged: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = (finding.verdict, finding.subject if finding.verdict else finding.sentence)
        known = merged.get(key)
        if known is None:
            merged[key] = finding
            continue
        worse, other = (known, finding) if known.severity >= finding.severity else (finding, known)
        merged[key] = msgspec.structs.replace(
            worse,
            evidence=worse.evidence + tuple(one for one in other.evidence if one not in worse.evidence),
            follows=worse.follows + tuple(one for one in other.follows if one not in worse.follows),
        )
    causes = {finding.verdict: key for key, finding in merged.items() if finding.verdict}
    for key, finding in list(merged.items()):
        cause = causes.get(finding.follows_from)
        if cause is not None and cause != key:
            above = merged[cause]
            merged[cause] = msgspec.structs.replace(
                above,
                follows=(*above.follows, finding.sentence),
                evidence=(*above.evidence, *finding.evidence),
            )
            del merged[key]
    return tuple(sorted(merged.values(), key=lambda finding: -finding.severity))
