"""Carries out an approved plan: before every wave it looks and plans again, and does only what was approved."""

from collections.abc import Container, Sequence

import msgspec

from sretool.cluster import ClusterReader
from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.executor import SETTLE_SECONDS, Executor
from sretool.engine.fates import Fate
from sretool.engine.guards import Guards
from sretool.engine.journal import done_outcomes
from sretool.engine.maker import OBSERVE_EVERY_SECONDS
from sretool.engine.plan import Plan, uncovered
from sretool.engine.planner import proposal_of
from sretool.errors import RefusedError, SretoolError, StalePlanError, WrongClusterError
from sretool.knowledge.words import first_of
from sretool.model import Change, Finding, Held, Identity, Proposal
from sretool.runbook.loader import step_params
from sretool.runbook.model import StepSpec


class StoppedError(SretoolError):
    """A change did not become what was planned; `fate` says how, the message what was seen.

    `commands` are what is left to do of it by hand.
    """

    def __init__(
        self, fate: Fate, message: str, *, key: str, commands: tuple[str, ...] = (), then: str = ""
    ) -> None:
        super().__init__(message, then=then)
        self.fate = fate
        self.key = key
        self.commands = commands


class Carrier:
    """Works through the approved changes, step by step in the runbook's order."""

    def __init__(self, run: Run, guards: Guards, plan: Plan, made: Sequence[Change] = ()) -> None:
        self._run = run
        self._guards = guards
        self._plan = plan
        self._executor = Executor(run, guards, total=len(plan.changes))
        self.made = list(made)

    def carry_out(self) -> None:
        """Make every approved change that is still due. Raises what stopped it; `made` says how far it came."""
        for spec in self._run.runbook.steps:
            approved = tuple(change for change in self._plan.changes if change.step == spec.id)
            while self._is_left(approved) and self._next_wave(spec, approved):
                pass

    def _is_left(self, approved: Sequence[Change]) -> bool:
        made = {change.key for change in self.made}
        return any(change.key not in made for change in approved)

    def _next_wave(self, spec: StepSpec, approved: Sequence[Change]) -> bool:
        """Make the step's next wave; False when nothing of the step is due any more."""
        read, proposal = self._settled_proposal(spec)
        self._require_covered(proposal, approved)
        if not proposal.waves:
            self._note_dropped(approved)
            return False
        wave = proposal.waves[0]
        open_question = next((change.conditional for change in wave if change.conditional), "")
        if open_question:
            raise RefusedError(f"{wave[0].verb} {wave[0].label} still depends on this: {open_question}")
        if self._executor.had_to_wait(wave, read):
            return True  # what was read before the wait is old now: look again
        try:
            make_or_stop(self._executor, wave)
        finally:
            done = {body["key"] for body in done_outcomes(self._run.journal.records)}
            self.made.extend(change for change in wave if change.key in done)
        return True

    def _settled_proposal(self, spec: StepSpec) -> tuple[ClusterReader, Proposal]:
        """Return what is due now, waiting a while for facts that cannot be read just after a change."""
        settle = self._run.deadline.within(SETTLE_SECONDS)
        known = {held.what for held in self._plan.held}
        while True:
            self._run.interrupts.check()
            read = self._executor.reader()
            proposal = self._fresh_proposal(spec, read, known)
            held = tuple(one for one in proposal.held if one.what not in known)
            if not held:
                return read, proposal
            if any(one.refused for one in held) or not settle.left():
                raise HeldError(self._guards.without_forbidden_commands(held, read), proposal.findings)
            self._run.emit(
                events.Waiting(change=held[0].what, rule="unknown", reason=held[0].why, seconds=0.0)
            )
            self._run.clock.sleep(OBSERVE_EVERY_SECONDS)

    def _fresh_proposal(self, spec: StepSpec, read: ClusterReader, held: Container[str]) -> Proposal:
        """Return what the step proposes now, without what a rule already forbade when the plan was made."""
        read.etcd.read_ahead()
        require_same_cluster(self._run.cluster.identity(read), self._plan.identity, self._run.cluster.name)
        step = self._run.steps[spec.id]
        params = step_params(self._run.runbook, spec, self._run.params)
        proposal = step.plan(params, step.look(read, params), self._earlier(spec))
        proposal = proposal_of(spec, proposal, made=self.made)
        waves = tuple(
            kept
            for wave in proposal.waves
            if (kept := tuple(change for change in wave if f"{change.verb} {change.label}" not in held))
        )
        return msgspec.structs.replace(proposal, waves=waves)

    def _earlier(self, spec: StepSpec) -> tuple[Change, ...]:
        order = [step.id for step in self._run.runbook.steps]
        return tuple(
            msgspec.structs.replace(change, made=True)
            for change in self.made
            if order.index(change.step) <= order.index(spec.id)
        )

    def _require_covered(self, proposal: Proposal, approved: Sequence[Change]) -> None:
        beyond = uncovered(proposal.changes, approved)
        if beyond:
            raise StalePlanError(
                f"the cluster has moved on since the plan was approved: {first_of(beyond)}",
                then="look again and approve what is due now",
            )

    def _note_dropped(self, approved: Sequence[Change]) -> None:
        made = {change.key for change in self.made}
        for change in approved:
            if change.key not in made:
                reason = "looked at just before it: no longer due"
                self._run.journal.write("dropped", {"key": change.key, "reason": reason})
                self._run.emit(events.ChangeDropped(change=change.key, reason=reason))


def make_or_stop(executor: Executor, wave: Sequence[Change]) -> None:
    """Make `wave`; StoppedError when one of its changes did not become what was planned."""
    bad = executor.make(wave)
    if bad is not None:
        left = bad.change.commands if bad.outcome.commands is None else bad.outcome.commands
        raise StoppedError(bad.fate, bad.why, key=bad.change.key, commands=left, then=bad.then)


class HeldError(RefusedError):
    """A rule forbids, or a missing fact does not permit, what was approved."""

    def __init__(self, held: Sequence[Held], findings: Sequence[Finding] = ()) -> None:
        super().__init__("; ".join(f"{one.what}: {one.why}" for one in held))
        self.held = tuple(held)
        self.findings = tuple(findings)  # what the step saw when it held them back


def require_same_cluster(now: Identity, planned: Identity, name: str) -> None:
    """Raise WrongClusterError when `now` is another cluster, or has other members, than `planned`.

    A Kubernetes UID that could not be read, then or now, compares with nothing.
    """
    if now.etcd_cluster_id != planned.etcd_cluster_id:
        raise WrongClusterError(
            f"{name} is etcd cluster {now.etcd_cluster_id}; this was made for {planned.etcd_cluster_id}",
            then="check --cluster and the cluster file: the endpoints lead to another cluster",
        )
    if now.etcd_member_ids != planned.etcd_member_ids:
        raise WrongClusterError(
            f"{name} now has the members {', '.join(now.etcd_member_ids)}; "
            f"this was made for {', '.join(planned.etcd_member_ids)}",
            then="look again: the membership has changed",
        )
    if now.kubernetes_uid and planned.kubernetes_uid and now.kubernetes_uid != planned.kubernetes_uid:
        raise WrongClusterError(
            f"the API server of {name} is cluster {now.kubernetes_uid}; "
            f"this was made for {planned.kubernetes_uid}",
            then="check the kubeconfig and the context in the cluster file: they lead to another cluster",
        )
