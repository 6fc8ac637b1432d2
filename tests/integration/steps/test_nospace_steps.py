"""etcd.compact and etcd.alarm-disarm on a real etcd without space; the defragmentation between them is plain."""

import pytest

from sretool.clients.etcd import Put
from sretool.clients.etcd.rpcs import ALARM
from sretool.errors import NoSpaceError
from sretool.lab import LabSpec
from sretool.model import Result
from sretool.step import Duration
from sretool.steps.etcd_alarm_disarm import EtcdAlarmDisarm, EtcdAlarmDisarmParams
from sretool.steps.etcd_alarm_list import EtcdAlarmList
from sretool.steps.etcd_compact import EtcdCompact
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.steps_on_a_lab import CLOCK, StepsOnALab, made

pytestmark = [pytest.mark.real, pytest.mark.faults]
ACTIVATE, NOSPACE = 1, 1  # etcd's AlarmRequest.AlarmAction and AlarmType
COMPACT, DISARM, ALARMS = EtcdCompact(), EtcdAlarmDisarm(), EtcdAlarmList()


@pytest.fixture
def lab(tmp_path_factory):
    with running_lab(
        tmp_path_factory.mktemp("nospace"), LabSpec(name="nospace", quota_bytes=16 << 20)
    ) as lab:
        yield lab


@pytest.fixture
def steps(lab):
    with StepsOnALab(lab) as steps:
        yield steps


def fill(steps, *, live=False, prefix="/app"):
    """Write until etcd is full: always the same keys, or ever new ones."""
    writes, batch = steps.cluster._etcd.writes("m1"), 0
    with pytest.raises(NoSpaceError):
        while True:
            place = batch if live else 0
            puts = [
                Put(key=f"{prefix}/{place:04d}/{one:03d}".encode(), value=b"x" * 10_000) for one in range(100)
            ]
            writes.txn([], puts, timeout_seconds=10)
            batch += 1


def recover(steps, changes):
    """Make what is planned for compaction, then defragment every member."""
    done = []
    for change in changes:
        assert steps.make(COMPACT, change).result is Result.DONE
        done.append(made(change))
    for name in ("m1", "m2", "m3"):
        steps.writer().etcd.defragment(name, timeout_seconds=20)
    return done


def test_old_values_are_compacted_the_alarms_disarmed_and_writes_proved(steps):
    fill(steps, live=False)
    assert steps.look(ALARMS).types == ("NOSPACE",)
    planned = steps.plan(COMPACT).changes
    assert [one.bounds["rule"] for one in planned] == ["nospace"]
    assert all(one.conditional for one in steps.plan(DISARM, earlier=planned).changes)
    assert COMPACT.observe(steps.reader(), planned[0]).result is Result.NOT_DONE

    earlier = recover(steps, planned)
    assert steps.settled(COMPACT, planned[0]).result is Result.DONE
    assert steps.make(COMPACT, planned[0]).result is Result.DONE, "compacting twice is harmless"
    assert steps.plan(COMPACT).changes == ()

    while todo := [
        c for c in steps.plan(DISARM, earlier=earlier).changes if c.key not in {m.key for m in earlier}
    ]:
        assert not any(one.conditional for one in todo)
        if todo[0].verb == "disarm":
            assert DISARM.observe(steps.reader(), todo[0]).result is Result.NOT_DONE
        assert steps.make(DISARM, todo[0]).result is Result.DONE
        earlier.append(made(todo[0]))
    assert [one.verb for one in earlier][-1] == "prove-writes"
    assert steps.look(ALARMS).types == ()
    assert steps.reader().etcd.keys.value(b"sretool/proof") is None
    steps.cluster._etcd.writes("m2").put(b"after", b"x", timeout_seconds=5)
    assert steps.plan(DISARM).changes == ()
    assert steps.plan(COMPACT).changes == ()


def test_live_keys_are_not_disarmed_and_deleting_them_makes_it_possible(steps):
    fill(steps, live=True)
    earlier = recover(steps, steps.plan(COMPACT).changes)
    proposal = steps.plan(DISARM, earlier=earlier)
    assert proposal.waves == ()
    assert proposal.held[0].refused and proposal.held[0].commands
    assert any("/app/" in row.what for row in proposal.findings[0].evidence)
    assert "growth" in proposal.findings[0].sentence
    assert steps.look(ALARMS).types == ("NOSPACE",)

    # What the refusal tells a person to do: one deletion is one revision, and it must be worth a compaction.
    steps.cluster._etcd.writes("m1").delete_range(b"/app/", b"/app0", timeout_seconds=10)
    (again,) = steps.plan(COMPACT).changes
    recover(steps, [again])
    assert steps.plan(DISARM).changes


def test_a_proof_that_cannot_write_says_that_it_was_refilled(steps):
    fill(steps, live=False)
    recover(steps, steps.plan(COMPACT).changes)
    disarmings = [one for one in steps.plan(DISARM).changes if one.verb == "disarm"]
    for change in disarmings:
        assert steps.make(DISARM, change).result is Result.DONE
    fill(steps, live=False)
    proposal = steps.plan(DISARM, earlier=[made(one) for one in disarmings])
    assert proposal.waves == ()
    assert "refilled" in proposal.held[0].why


def test_on_kubernetes_etcd_the_proof_waits_for_others_writes_and_makes_none(lab, steps):
    fill(steps, prefix="/registry/events")
    recover(steps, steps.plan(COMPACT).changes)
    params = EtcdAlarmDisarmParams(prove_within=Duration(1.5))
    *disarmings, proof = steps.plan(DISARM, params).changes
    for change in disarmings:
        assert steps.make(DISARM, change).result is Result.DONE
    before = steps.reader().etcd.revisions()
    idle = steps.make(DISARM, proof)
    assert idle.result is Result.NOT_DONE
    assert "nobody wrote" in idle.evidence
    assert steps.reader().etcd.revisions() == before
    with writing(lab):
        assert steps.make(DISARM, proof).result is Result.DONE


def test_the_alarm_of_a_removed_member_is_stale_and_disarmed_by_its_id(lab, steps):
    fill(steps)
    statuses = steps.reader().etcd.status()
    followers = [name for name, status in statuses.items() if not status.is_leader]
    removed = followers[0]
    through = next(name for name in statuses if name != removed)
    # As the member itself does when it sees its own file full; which of them is the first to see it is chance.
    raised = {"action": ACTIVATE, "memberID": statuses[removed].member_id, "alarm": NOSPACE}
    steps.cluster._etcd.writes(through)._gate.unary(ALARM, raised, timeout_seconds=5)
    assert statuses[removed].member_id in {alarm.member_id for alarm in steps.reader().etcd.alarms()}
    recover(steps, steps.plan(COMPACT).changes)
    ends = CLOCK.monotonic() + 15
    while lab.etcdctl("member", "remove", f"{statuses[removed].member_id:x}").returncode:
        assert CLOCK.monotonic() < ends, (
            "etcd wants members to be connected for five seconds before it removes one"
        )
        CLOCK.pause(0.5)
    while lab.member(removed).pid and CLOCK.monotonic() < ends:
        CLOCK.pause(0.1)
    assert ("stale-alarm", f"{statuses[removed].member_id:x}") in {
        (one.verdict, one.subject) for one in steps.plan(ALARMS).findings
    }
    changes = steps.plan(DISARM).changes
    assert f"alarm NOSPACE of removed member {statuses[removed].member_id:x}" in {
        one.object for one in changes
    }
    for change in changes:
        assert steps.make(DISARM, change).result is Result.DONE
    steps.cluster._etcd.writes(through).put(b"after", b"x", timeout_seconds=5)
