"""The lease guard, and what a Lease looks like in etcd."""

import datetime

import pytest

from sretool.knowledge.guard_leases import is_stale, leases_renewed, suspension
from sretool.knowledge.lease_lock import Claim, HeldLease, lease_body, parse_held, seconds_for
from sretool.knowledge.lease_records import parse_lease
from sretool.model import Alarm, AlarmType, ControlPlaneLease, Effect, Unknown
from tests.support.etcd_states import change, context, state

NOSPACE = (Alarm(1, AlarmType.NOSPACE),)
SILENT = Unknown("no answer")
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def leases(manager=10, scheduler=20, api=30, *, age=1.0, manager_age=None):
    manager_age = age if manager_age is None else manager_age
    return (
        ControlPlaneLease(name="apiserver-abc", mod_revision=api, age_seconds=age),
        ControlPlaneLease(name="kube-controller-manager", mod_revision=manager, age_seconds=manager_age),
        ControlPlaneLease(name="kube-scheduler", mod_revision=scheduler, age_seconds=age),
    )


BEFORE, RENEWED = leases(), leases(11, 21, 31)
DEAD = leases(manager_age=400.0)  # the controller-manager was gone when the run began
CASES = {
    "nothing was stalled yet": (state(leases=SILENT), {}, "pass"),
    "all renewed": (state(leases=RENEWED), {"leases_before": BEFORE}, "pass"),
    "none renewed": (state(leases=BEFORE), {"leases_before": BEFORE}, "wait"),
    "one not renewed": (state(leases=leases(10, 21, 31)), {"leases_before": BEFORE}, "wait"),
    "… accepted by a person": (
        state(leases=BEFORE), {"leases_before": BEFORE, "accepted": ("leases",), "unattended": False}, "pass",
    ),
    "… accepted, but nobody is there": (
        state(leases=BEFORE), {"leases_before": BEFORE, "accepted": ("leases",)}, "wait",
    ),
    "unknown now": (state(leases=SILENT), {"leases_before": BEFORE}, "wait"),
    "unknown right after the change": (state(leases=RENEWED), {"leases_before": SILENT}, "wait"),
    "dead since before the run": (
        state(leases=leases(10, 21, 31)), {"leases_before": DEAD, "start": state(leases=DEAD)}, "pass",
    ),
    "back since the run began, and silent again": (
        state(leases=leases(12, 21, 31)),
        {"leases_before": leases(12, 20, 30), "start": state(leases=DEAD)},
        "wait",
    ),
    "NOSPACE at the start": (
        state(leases=BEFORE), {"leases_before": BEFORE, "start": state(alarms=NOSPACE)}, "pass",
    ),
    "NOSPACE now": (state(leases=BEFORE, alarms=NOSPACE), {"leases_before": BEFORE}, "pass"),
    "an API server's lease was removed": (
        state(leases=RENEWED[1:]), {"leases_before": BEFORE}, "pass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_member_is_stalled_only_after_the_control_plane_renewed_its_leases(case):
    now, given, expected = CASES[case]
    answer = leases_renewed(context(now, **given))
    assert (answer.verdict, answer.rule) == (expected, "leases")
    assert answer.accept == ("leases" if expected == "wait" else "")


def test_who_did_not_renew_is_named():
    answer = leases_renewed(context(state(leases=leases(10, 21, 31)), leases_before=BEFORE))
    assert "kube-controller-manager" in answer.reason
    assert "kube-scheduler" not in answer.reason


def test_it_belongs_to_what_stalls_and_not_to_what_helps():
    from sretool.knowledge.guards import judge

    stuck = {"leases_before": BEFORE}
    late = state(leases=BEFORE)
    assert judge(context(late, change=change(Effect.STALLS_MEMBER), **stuck))[0].rule == "leases"
    assert judge(context(late, change=change(Effect.COMPACTS), **stuck))[0].verdict == "pass"


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (state(leases=BEFORE), ""),
        (state(leases=DEAD), "kube-controller-manager (6 min 40 s)"),
        (state(leases=BEFORE, alarms=NOSPACE), "NOSPACE"),
        (state(leases=SILENT), "no answer"),
        (state(leases=()), "no control-plane lease"),
        (state(leases=(), is_kubernetes=False), ""),
    ],
)
def test_the_plan_says_what_is_not_waited_for(start, said):
    note = suspension(start)
    assert said in note
    assert bool(note) == bool(said)


def test_an_api_server_may_be_silent_for_longer_than_a_controller():
    aged = leases(age=20.0)
    assert [is_stale(one) for one in aged] == [False, True, True]
    assert not is_stale(ControlPlaneLease(name="kube-scheduler", mod_revision=1, age_seconds=SILENT))


# A Lease, as `etcdctl get` shows it: the envelope, the object, its spec with holder, duration, renewTime.
RENEW = bytes([0x22, 6, 0x08, 0x80, 0xB6, 0xD7, 0xCA, 0x06])  # renewTime: seconds 1767234304
SPEC = b"\x0a\x04node\x10\x0f" + RENEW
RAW = b"\x0a\x00\x12" + bytes([len(SPEC)]) + SPEC
STORED = b"k8s\x00\x0a\x00\x12" + bytes([len(RAW)]) + RAW


def test_a_lease_is_read_as_etcd_holds_it():
    record = parse_lease(STORED)
    assert (record.holder, record.duration_seconds) == ("node", 15)
    assert record.renewed_at == datetime.datetime.fromtimestamp(1767234304, tz=datetime.UTC)


@pytest.mark.parametrize(
    "value", [b"", b'{"kind":"Lease"}', b"k8s:enc:aescbc:v1:key1:xyz", STORED[:-3], b"k8s\x00\xff"]
)
def test_what_is_stored_otherwise_is_no_lease(value):
    assert parse_lease(value) is None


# The Lease that locks the cluster. ----------------------------------------------------------------------


OURS = Claim(run_id="r1", user="ann", host="h1", pid=7)


def held(**changed):
    values = {
        "holder": "bob@h2/r2",
        "who": "run r2",
        "seconds": 30,
        "age_seconds": 5.0,
        "uid": "u",
        "resource_version": "9",
    }
    return HeldLease(**values | changed)


@pytest.mark.parametrize(
    ("found", "free"),
    [
        (held(), False),
        (held(age_seconds=34.9), False),
        (held(age_seconds=35.1), True),
        (held(holder="ann@h1/r1"), True),
        (held(holder=""), True),
        (held(age_seconds=None), True),
    ],
)
def test_a_lease_is_free_when_it_is_nobodys_ours_or_over(found, free):
    assert found.is_free_for(OURS, has_ended=False) is free
    assert found.is_free_for(OURS, has_ended=True)


def test_what_is_written_is_read_back_and_says_who():
    body = lease_body(OURS, seconds=40, now=NOW, since=NOW, over=held())
    assert body["metadata"]["resourceVersion"] == "9"
    seen = parse_held(body, now=NOW + datetime.timedelta(seconds=3))
    assert (seen.holder, seen.seconds, seen.age_seconds) == (OURS.holder, 40, 3.0)
    assert "pid 7 on h1, user ann" in seen.who


def test_a_lease_of_somebody_elses_making_counts_as_never_renewed():
    seen = parse_held({"metadata": {"name": "sretool"}, "spec": {"renewTime": "soon"}}, now=NOW)
    assert seen.age_seconds is None


def test_it_is_held_for_longer_than_the_longest_stall():
    assert seconds_for(0.0) == 30
    assert all(seconds_for(stall) > stall for stall in (10.0, 60.0, 900.0))
