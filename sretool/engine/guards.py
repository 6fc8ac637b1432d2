"""Runs the guards that a change's effects call for, on facts read just before it."""

from collections.abc import Sequence

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.state import NOT_LOOKED_AT, read_etcd_state, read_state_but_compactions
from sretool.engine.context import Run
from sretool.engine.journal import done_outcomes
from sretool.engine.shared_lock import SharedLock
from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.guard_cluster import is_closed
from sretool.knowledge.guard_context import refuse
from sretool.knowledge.guard_leases import suspension
from sretool.knowledge.guards import GuardAnswer, GuardContext, is_gentle, judge
from sretool.knowledge.leadership import MOVE_VERB
from sretool.model import Change, ControlPlaneLease, Effect, EtcdState, Held, Known, Unknown


class Guards:
    """The guards of one run: they compare with how the cluster was when the run began."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._start: EtcdState | None = None
        self._lock = SharedLock(run)
        self._stalls = 0
        self._leases_before: Known[tuple[ControlPlaneLease, ...]] | None = None

    def judge(self, change: Change, read: ClusterReader) -> GuardAnswer:
        """Return the worst answer for `change`: refuse, else wait, else pass."""
        if lost := self._lock.answer():
            return lost
        window = self._run.window
        if window is not None and not window.is_open(self._run.clock.now()):
            return refuse("window", f"the maintenance window {window} is over")
        # Only what stalls a member must know of compactions, and seeing one may take a moment.
        if Effect.STALLS_MEMBER in change.effects:
            state = read_etcd_state(read)
        else:
            state = read_state_but_compactions(read)
        self._start = _completed(self._start or state, state)
        gentle = is_gentle(change)
        context = GuardContext(
            state=state,
            start=self._start,
            change=change,
            # Both only matter to what may stall a member, and take a walk through the journal.
            moves=0 if gentle else self._moves_made(),
            unattended=self._run.unattended,
            accepted=self._run.accepted,
            in_window=window is not None,
            leases_before=None if gentle else self._leases_after_the_last_stall(state),
        )
        return judge(context)[0]

    def lock_level(self) -> str:
        """Return what the question says of the lock."""
        nospace = self._start is not None and has_nospace(self._start.alarms) is True
        return self._lock.level(nospace=nospace)

    def hold_lock(self, wave: Sequence[Change]) -> None:
        """Hold the lock that other machines see while `wave` is made; LockHeldError when another run has it."""
        self._lock.hold(wave)

    def notes(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Return what a plan of `changes` must say of guards that will not hold them up."""
        if self._start is None or all(is_gentle(change) for change in changes):
            return ()
        return tuple(note for note in (suspension(self._start),) if note)

    def sift(
        self, changes: Sequence[Change], read: ClusterReader
    ) -> tuple[tuple[Change, ...], tuple[Held, ...]]:
        """Part `changes` into those that may be planned and those that a rule forbids. Waiting is no refusal."""
        allowed, held = [], []
        for change in changes:
            answer = self.judge(change, read)
            if answer.verdict == "refuse":
                held.append(
                    Held(
                        what=f"{change.verb} {change.label}",
                        why=f"{answer.rule}: {answer.reason}",
                        refused=True,
                        accept=answer.accept,
                        commands=change.commands if answer.may_be_made_by_hand else (),
                    )
                )
            else:
                allowed.append(change)
        return tuple(allowed), tuple(held)

    def without_forbidden_commands(self, held: Sequence[Held], read: ClusterReader) -> tuple[Held, ...]:
        """Return what a step holds back, without its commands where nothing may be changed by hand either."""
        if not any(one.refused and one.commands for one in held):
            return tuple(held)
        if not is_closed(read_state_but_compactions(read)):
            return tuple(held)
        return tuple(msgspec.structs.replace(one, commands=()) if one.refused else one for one in held)

    def _leases_after_the_last_stall(self, state: EtcdState) -> Known[tuple[ControlPlaneLease, ...]] | None:
        """Return the leases as they were first seen after the last change that stalled a member."""
        stalls = self._stalls_made()
        if stalls > self._stalls or isinstance(self._leases_before, Unknown):
            self._stalls, self._leases_before = stalls, state.leases
        return self._leases_before

    def _stalls_made(self) -> int:
        records = self._run.journal.records
        intents = (msgspec.convert(one.body["change"], Change) for one in records if one.kind == "intent")
        # A move alone makes no gap: it waits for the leases, and what follows it need not wait once more.
        stalling = {change.key for change in intents if change.verb != MOVE_VERB and not is_gentle(change)}
        return sum(one.kind == "outcome" and one.body["key"] in stalling for one in records)

    def _moves_made(self) -> int:
        return sum(body["verb"] == MOVE_VERB for body in done_outcomes(self._run.journal.records))


def _completed(start: EtcdState, state: EtcdState) -> EtcdState:
    """Return how the cluster was at the start, whose compactions nobody may have looked at before `state`."""
    if start.compaction_inflight != NOT_LOOKED_AT:
        return start
    return msgspec.structs.replace(start, compaction_inflight=state.compaction_inflight)
