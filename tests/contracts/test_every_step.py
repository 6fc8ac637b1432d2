"""What every registered step keeps to: its parameters are described, looking and planning write nothing, and
its changes are what `observe` says of them.

The changing steps are walked in the order of the shipped runbooks over one real etcd that ran full; the tests
then ask what was recorded for each.
"""

import typing
from collections import Counter

import msgspec
import pytest

from sretool.clients.etcd import Put
from sretool.errors import NoSpaceError, RemoteError
from sretool.lab import LabSpec
from sretool.model import Result, Risk, Unknown
from sretool.step import Duration
from sretool.steps.catalogue import load_catalogue
from tests.support.etcd_cluster import running_lab
from tests.support.steps_on_a_lab import StepsOnALab, made

CATALOGUE = load_catalogue()
EVERY = sorted(CATALOGUE)
# The steps that work over a kubeconfig keep the same contract in their own tests, on a real API server.
ON_ETCD = [uses for uses in EVERY if uses.startswith("etcd.")]
READING = {"Status", "Range", "MemberList", "Alarm", "Snapshot", "Watch"}
PARAMS = {"etcd.latency": {"window": Duration(1.0)}, "etcd.move-leader": {"window": Duration(1.0)}}
IN_ORDER = ["etcd.snapshot-save", "etcd.compact", "etcd.defrag", "etcd.alarm-disarm"]
# Its one change is the move of leadership that etcd.defrag plans too; it is due only on a slow disk.
NOT_DUE_HERE = "etcd.move-leader"


@pytest.mark.parametrize("uses", EVERY)
def test_parameters_are_strict_frozen_described_and_have_defaults(uses):
    step = CATALOGUE[uses]
    assert step.params_type.__struct_config__.frozen
    assert step.params_type.__struct_config__.forbid_unknown_fields
    step.params_type()
    for name, kind in typing.get_type_hints(step.params_type, include_extras=True).items():
        meta = next((one for one in typing.get_args(kind)[1:] if isinstance(one, msgspec.Meta)), None)
        assert meta is not None and meta.description, f"{uses}: {name} has no description"


@pytest.mark.parametrize("uses", EVERY)
def test_facts_are_frozen_and_the_manual_says_what_is_read_changed_and_refused(uses):
    step = CATALOGUE[uses]
    assert step.uses == uses
    assert step.facts_type.__struct_config__.frozen
    manual = step.__doc__ or ""
    assert len(manual.splitlines()) > 5
    assert "Read" in manual or "read" in manual
    if step.risk > Risk.READ or step.precaution:
        assert "refuse" in manual.lower() or "Held" in manual


@pytest.mark.parametrize("uses", EVERY)
def test_a_step_that_changes_something_can_apply_and_observe(uses):
    step = CATALOGUE[uses]
    own = {"apply", "observe"} & set(vars(step))
    plans_changes = step.risk > Risk.READ or step.precaution
    assert own == ({"apply", "observe"} if plans_changes else set())


class Recorded(msgspec.Struct):
    """What happened with one step on the real etcd."""

    calls: Counter
    revisions: set
    alarms: set
    is_deterministic: bool
    changes: list = []
    outcomes: list = []
    left_after: tuple = ()


class Walk:
    """Looks, plans and makes the changes of one step after another."""

    def __init__(self, steps: StepsOnALab, folder):
        self.steps = steps
        self.params = PARAMS | {"etcd.snapshot-save": {"directory": str(folder)}}
        self.earlier = []

    def record(self, uses) -> Recorded:
        step = CATALOGUE[uses]()
        params = step.params_type(**self.params.get(uses, {}))
        calls, revisions, alarms = self.calls(), {self.revision()}, {self.alarms()}
        facts = self.steps.look(step, params)
        proposal = step.plan(params, facts, tuple(self.earlier))
        found = Recorded(
            calls=self.calls() - calls,
            revisions=revisions | {self.revision()},
            alarms=alarms | {self.alarms()},
            is_deterministic=proposal == step.plan(params, facts, tuple(self.earlier)),
        )
        while change := self.next_change(step, params):
            found.changes.append(change)
            found.outcomes.append(self.make(step, change))
            self.earlier.append(made(change))
        found.left_after = self.steps.plan(step, params).changes
        return found

    def next_change(self, step, params):
        done = {one.key for one in self.earlier}
        proposal = self.steps.plan(step, params, tuple(self.earlier))
        return next((one for one in proposal.changes if one.key not in done), None)

    def make(self, step, change):
        """Return what is observed before the effect, after it, again after it, and after a second `apply`."""
        before = step.observe(self.steps.reader(), change)
        after = self.steps.make(step, change)
        again = self.steps.settled(step, change)
        try:
            twice = self.steps.make(step, change)
        except RemoteError:  # the server refuses: it is done already
            twice = self.steps.settled(step, change)
        return [one.result for one in (before, after, again, twice)]

    def calls(self) -> Counter:
        found = Counter()
        for name, page in self.steps.reader().etcd.scrape().items():
            assert not isinstance(page, Unknown)
            for sample in page.series("grpc_server_handled_total"):
                found[name, sample.labels["grpc_method"]] += int(sample.value)
        return found

    def revision(self):
        return tuple(sorted(self.steps.reader().etcd.revisions().values()))

    def alarms(self):
        return self.steps.reader().etcd.alarms()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Every step's record on an etcd without space, the changing ones last and in order."""
    base = tmp_path_factory.mktemp("every-step")
    with running_lab(base, LabSpec(name="steps", quota_bytes=16 << 20)) as lab, StepsOnALab(lab) as steps:
        writes = steps.cluster._etcd.writes("m1")
        with pytest.raises(NoSpaceError):
            while True:
                writes.txn(
                    [],
                    [Put(key=b"/app/%03d" % one, value=b"x" * 10_000) for one in range(100)],
                    timeout_seconds=10,
                )
        walk = Walk(steps, base / "snapshots")
        others = [uses for uses in ON_ETCD if uses not in IN_ORDER]
        yield {uses: walk.record(uses) for uses in [*others, *IN_ORDER]}


real = pytest.mark.real


@real
@pytest.mark.parametrize("uses", ON_ETCD)
def test_looking_and_planning_write_nothing(uses, recorded):
    found = recorded[uses]
    assert {method for _, method in found.calls} <= READING
    assert len(found.revisions) == 1
    assert len(found.alarms) == 1


@real
@pytest.mark.parametrize("uses", ON_ETCD)
def test_equal_facts_give_an_equal_plan(uses, recorded):
    assert recorded[uses].is_deterministic


@real
@pytest.mark.parametrize("uses", ON_ETCD)
def test_changes_are_planned_within_the_steps_risk_with_commands_and_plain_values(uses, recorded):
    changes = recorded[uses].changes
    assert bool(changes) == (uses in IN_ORDER), "the walk must exercise every changing step"
    assert len({one.key for one in changes}) == len(changes)
    for change in changes:
        assert change.risk <= CATALOGUE[uses].risk
        assert change.uses == uses
        assert change.reason and change.label and change.commands
        assert msgspec.json.decode(msgspec.json.encode(change), type=type(change)) == change


@real
@pytest.mark.parametrize("uses", IN_ORDER)
def test_observe_tells_the_truth_before_and_after_the_effect_and_applying_twice_is_harmless(uses, recorded):
    for change, results in zip(recorded[uses].changes, recorded[uses].outcomes, strict=True):
        assert results == [Result.NOT_DONE, Result.DONE, Result.DONE, Result.DONE], change.key


@real
@pytest.mark.parametrize("uses", IN_ORDER)
def test_after_its_changes_a_step_has_nothing_left_to_do(uses, recorded):
    assert recorded[uses].left_after == ()


def test_the_walk_covers_every_step_that_changes_etcd():
    changing = {uses for uses in ON_ETCD if CATALOGUE[uses].risk > Risk.READ or CATALOGUE[uses].precaution}
    assert changing == {*IN_ORDER, NOT_DUE_HERE}
