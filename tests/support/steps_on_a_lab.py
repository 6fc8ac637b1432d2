"""Steps on a real lab: look, plan, and make changes one by one as an engine would, without one."""

import msgspec

from sretool.clock import Deadline, SystemClock
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
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

    def settled(self, step, change, seconds=20.0) -> Outcome:
        deadline = Deadline(CLOCK, seconds)
        while True:
            outcome = step.observe(self.reader(), change)
            if outcome.result is not Result.STILL_GOING or not deadline.left():
                return outcome
            CLOCK.pause(0.05)


def made(change):
    """Return the change as later plans see it."""
    return msgspec.structs.replace(change, made=True)
