"""The part of the lock that other machines see: a Lease, taken with a run's first change where it can be had."""

from collections.abc import Sequence

from sretool.engine import events
from sretool.engine.context import Run
from sretool.engine.lock import LEVEL, SHARED_LEVEL, claim_of, held_elsewhere
from sretool.errors import RemoteError
from sretool.knowledge.guard_context import GuardAnswer, refuse, wait
from sretool.knowledge.lease_lock import seconds_for
from sretool.model import Change, Risk

_RULE = "lock"


class SharedLock:
    """The Lease of one run. Where it cannot be had the run goes on under flock alone, and says so."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lease = run.cluster.lease
        self._given_up = ""

    def level(self, *, nospace: bool) -> str:
        """Return what the question says of the lock. Nothing is stored: a No leaves no trace in the cluster."""
        if self._lease is None:
            return LEVEL
        if not self._lease.is_held:
            self._given_up = "etcd takes no writes (NOSPACE)" if nospace else self._rehearse()
        return f"{LEVEL}; no Lease: {self._given_up}" if self._given_up else SHARED_LEVEL

    def hold(self, wave: Sequence[Change]) -> None:
        """Hold the Lease for longer than the longest stall of `wave`; LockHeldError when another run has it."""
        if self._lease is None or self._given_up or all(change.risk is Risk.READ for change in wave):
            return
        longest = max((stall for change in wave for stall in change.cost.stalls.values()), default=0.0)
        try:
            other = self._lease.hold(claim_of(self._run.id), seconds_for(longest))
        except RemoteError as error:
            self._given_up = error.message
            self._run.emit(events.Noted(text=f"the lock is {LEVEL}; no Lease: {error.message}"))
            return
        if other is not None:
            raise held_elsewhere(other)

    def answer(self) -> GuardAnswer | None:
        """Return what is wrong with a Lease that was taken, None when nothing is: a lost one blocks all changes."""
        problem, is_final = self._lease.problem() if self._lease else ("", False)
        if not problem:
            return None
        reason = f"the Lease of this run is no longer sure: {problem}"
        return refuse(_RULE, reason) if is_final else wait(_RULE, reason)

    def _rehearse(self) -> str:
        """Return why the Lease cannot be had, empty when it can."""
        if self._lease is None:
            return ""
        try:
            self._lease.rehearse(claim_of(self._run.id))
        except RemoteError as error:
            return error.message
        return ""
