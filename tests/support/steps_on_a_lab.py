"""Steps on a real lab, without the engine: look, plan, make single changes, or a whole run of one step."""

import msgspec

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.cluster.state import read_etcd_state
from sretool.errors import RemoteError
from sretool.knowledge.guards import GuardContext, judge
from sretool.lab import Lab
from sretool.model import Outcome, Result

CLOCK = SystemClock()


class StepsOnALab:
    """Hands out fresh readers and writers to one lab; close it, or use it in a `with`."""

    def __init__(self, lab: Lab):
        self.cluster = Cluster(parse_cluster(lab.cluster_file.read_text(), origin="lab"), CLOCK)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cluster.close()

    def reader(self, seconds=30.0):
        return self.cluster.reader(Deadline(CLOCK, seconds), interruptible=False)

    def writer(self, seconds=30.0):
        return self.cluster.writer(Deadline(CLOCK, seconds))

    def state(self):
        """Return the cluster as the guards see it, read anew."""
        return read_etcd_state(self.reader())

    def leader(self):
        """Return the name of the member that says it leads."""
        return next(name for name, status in self.reader().etcd.status().items() if status.is_leader)

    def look(self, step, params=None):
        return step.look(self.reader(), params or step.params_type())

    def plan(self, step, params=None, earlier=()):
        """Look and plan; the same facts must give the same plan."""
        params = params or step.params_type()
        facts = self.look(step, params)
        proposal = step.plan(params, facts, earlier)
        assert proposal == step.plan(params, facts, earlier)
        return proposal

    def make(self, step, change) -> Outcome:
        """Apply and look until it is settled; the change is first sent through JSON, as a journal does."""
        change = msgspec.json.decode(msgspec.json.encode(change), type=type(change))
        step.apply(self.writer(), change)
        return self.settled(step, change)

    def settled(self, step, change, seconds=30.0) -> Outcome:
        """Return the first outcome that is not «still going»."""
        deadline = Deadline(CLOCK, seconds)
        while deadline.left():
            outcome = step.observe(self.reader(), change)
            if outcome.result is not Result.STILL_GOING:
                return outcome
            CLOCK.pause(0.05)
        raise AssertionError(f"{change.key} is still going after {seconds:g} s")


class StepDriver:
    """One run of one step as the engine does it: look, plan, guards, apply, observe, again."""

    def __init__(self, steps: StepsOnALab, step, params=None, *, earlier=()):
        self.steps, self.step, self.params = steps, step, params
        self.made = list(earlier)
        self.outcomes = []
        self._start = None

    def plan(self):
        return self.steps.plan(self.step, self.params, self.made)

    def judge(self, change, **given):
        """Return every guard's answer to `change`, now."""
        state = self.steps.state()
        self._start = self._start or state
        moves = sum(one.verb == "move-leader" for one in self.made)
        given = {"unattended": True} | given
        return judge(GuardContext(state=state, start=self._start, change=change, moves=moves, **given))

    def wait_for_guards(self, change, seconds=30.0):
        deadline = Deadline(CLOCK, seconds)
        while (worst := self.judge(change)[0]).verdict != "pass":
            assert worst.verdict == "wait", worst
            assert deadline.left(), worst
            CLOCK.pause(0.2)

    def apply(self, change):
        """Apply `change`; return what it raised."""
        try:
            self.step.apply(self.steps.writer(), change)
        except RemoteError as error:
            return error
        return None

    def observe(self, change):
        return self.step.observe(self.steps.reader(), change)

    def carry_out(self, seconds=60.0):
        """Make every change that is due, one at a time; return their outcomes."""
        deadline = Deadline(CLOCK, seconds)
        while waves := self.plan().waves:
            assert deadline.left(), f"{waves[0][0].key} is still due after {seconds:g} s"
            (change,) = waves[0]
            self.wait_for_guards(change)
            outcome = self.steps.make(self.step, change)
            assert outcome.result is Result.DONE, outcome.evidence
            self.outcomes.append((change, outcome))
            self.made.append(made(change))
        return self.outcomes


def made(change):
    """Return the change as later plans see it."""
    return msgspec.structs.replace(change, made=True)
