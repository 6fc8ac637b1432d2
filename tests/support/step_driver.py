"""Drives one step against a real cluster as the engine does: look, plan, guards, apply, observe, again."""

import time

import msgspec

from sretool.clock import Deadline, SystemClock
from sretool.cluster.state import read_etcd_state
from sretool.errors import RemoteError
from sretool.knowledge.guards import GuardContext, judge
from sretool.model import Result

CLOCK = SystemClock()
_SECONDS = 60.0


class StepDriver:
    """One run of one step: its start, what it made, what observing said of each change."""

    def __init__(self, cluster, step, params, *, earlier=()):
        self.cluster, self.step, self.params = cluster, step, params
        self.made = list(earlier)
        self.outcomes = []
        self._start = None

    def reader(self):
        return self.cluster.reader(Deadline(CLOCK, _SECONDS))

    def plan(self):
        return self.step.plan(self.params, self.step.look(self.reader(), self.params), self.made)

    def judge(self, change, **given):
        """Return every guard's answer to `change`, now."""
        state = read_etcd_state(self.reader())
        self._start = self._start or state
        moves = sum(one.verb == "move-leader" for one in self.made)
        given = {"unattended": True} | given
        return judge(GuardContext(state=state, start=self._start, change=change, moves=moves, **given))

    def apply(self, change):
        """Apply `change`; return what it raised."""
        try:
            self.step.apply(self.cluster.writer(Deadline(CLOCK, _SECONDS)), change)
        except RemoteError as error:
            return error
        return None

    def observe(self, change):
        return self.step.observe(self.reader(), change)

    def observe_to_the_end(self, change, seconds=30.0):
        """Return every result seen until the change is no longer going, and the last outcome."""
        ends, seen = time.monotonic() + seconds, []
        while time.monotonic() < ends:
            outcome = self.observe(change)
            seen.append(outcome.result)
            if outcome.result is not Result.STILL_GOING:
                return seen, outcome
            time.sleep(0.05)
        raise AssertionError(f"{change.key} is still going after {seconds:g} s")

    def carry_out(self, seconds=60.0):
        """Make every change that is due, one at a time; return their outcomes."""
        ends = time.monotonic() + seconds
        while waves := self.plan().waves:
            assert time.monotonic() < ends, f"{waves[0][0].key} is still due after {seconds:g} s"
            (change,) = waves[0]
            self.wait_for_guards(change, ends)
            error = self.apply(change)
            assert error is None, error
            _, outcome = self.observe_to_the_end(change)
            assert outcome.result is Result.DONE, outcome.evidence
            self.outcomes.append((change, outcome))
            self.made.append(msgspec.structs.replace(change, made=True))
        return self.outcomes

    def wait_for_guards(self, change, ends):
        while (worst := self.judge(change)[0]).verdict != "pass":
            assert worst.verdict == "wait", worst
            assert time.monotonic() < ends, worst
            time.sleep(0.2)
