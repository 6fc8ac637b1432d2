"""What etcd.alarm-disarm plans and refuses."""

import msgspec
import pytest

from sretool.knowledge.census import Census, Group
from sretool.knowledge.disarming import DisarmView, NoSpaceAlarm
from sretool.knowledge.space import MemberSpace
from sretool.model import Alarm, AlarmType, Change, Effect, Risk, Unknown
from sretool.steps.etcd_alarm_disarm import EtcdAlarmDisarm, EtcdAlarmDisarmFacts, EtcdAlarmDisarmParams

NOSPACE, CORRUPT = AlarmType.NOSPACE, AlarmType.CORRUPT
UNREAD = Unknown("not read")
STEP, PARAMS = EtcdAlarmDisarm(), EtcdAlarmDisarmParams()
CENSUS = Census(
    keys=5,
    events=5,
    revision=9,
    resources=(Group(resource="events", keys=5, estimated_bytes=50 << 20),),
    namespaces=(),
    is_kubernetes=True,
)


def facts(*alarms, above=False, stale=(), use=CENSUS, **changed):
    raised = {alarm.member_id for alarm in alarms if alarm.type is NOSPACE}
    size = 95 if above is True else 40
    view = DisarmView(
        alarms=tuple(alarms),
        nospace=(
            *(
                NoSpaceAlarm(member_id=i, name=f"m{i}", peer_url=f"https://m{i}:2380", is_raised=i in raised)
                for i in (1, 2, 3)
            ),
            *(NoSpaceAlarm(member_id=i, name="", peer_url="", is_raised=True, is_stale=True) for i in stale),
        ),
        spaces=tuple(
            MemberSpace(
                name=f"m{i}", endpoint=f"https://m{i}:2379", size_bytes=size << 20, quota_bytes=100 << 20
            )
            for i in (1, 2, 3)
        ),
        through="m1",
        revisions=(("m1", 7), ("m2", 7), ("m3", 7)),
        is_kubernetes=False,
        use=use,
        growth=1024.0,
    )
    return EtcdAlarmDisarmFacts(above=above, view=msgspec.structs.replace(view, **changed))


def change(*effects, made=False, uses="other", about="x"):
    return Change(
        step="s",
        uses=uses,
        verb="v",
        object=about,
        label="",
        reason="",
        risk=Risk.DISRUPTIVE,
        effects=effects,
        made=made,
    )


def plan(given, *earlier):
    return STEP.plan(PARAMS, given, earlier)


def made(alarm_object):
    return change(Effect.DISARMS, made=True, uses=STEP.uses, about=alarm_object)


def test_without_an_alarm_there_is_nothing_to_do():
    proposal = plan(facts())
    assert (proposal.waves, proposal.held, proposal.findings) == ((), (), ())


def test_each_alarm_exactly_as_raised_in_one_wave_and_the_proof_after_it():
    proposal = plan(facts(Alarm(1, NOSPACE), Alarm(3, NOSPACE)))
    assert [len(wave) for wave in proposal.waves] == [2, 1]
    assert {STEP.lane(one) for one in proposal.waves[0]} == {"disarm"}, "not side by side"
    assert [one.key for one in proposal.changes] == [
        "etcd.alarm-disarm/disarm/alarm NOSPACE on https://m1:2380",
        "etcd.alarm-disarm/disarm/alarm NOSPACE on https://m3:2380",
        "etcd.alarm-disarm/prove-writes/cluster",
    ]
    assert proposal.changes[1].selection["member_id"] == "3"
    assert not any(one.conditional for one in proposal.changes)


def test_the_stale_alarm_of_a_removed_member_is_disarmed_by_its_id():
    proposal = plan(facts(Alarm(0xAB, NOSPACE), stale=(0xAB,)))
    assert proposal.changes[0].object == "alarm NOSPACE of removed member ab"
    assert proposal.changes[0].selection["member_id"] == "ab"


@pytest.mark.parametrize("earlier", [Effect.COMPACTS, Effect.STALLS_MEMBER])
def test_while_an_earlier_step_may_free_the_space_every_change_is_conditional(earlier):
    proposal = plan(facts(Alarm(1, NOSPACE), above=True), change(earlier))
    assert [one.conditional for one in proposal.changes] == [
        "every member must be below 90% of its quota after the defragmentation"
    ] * 4
    # Members that are full and silent so far may raise the alarm before they are defragmented.
    assert [one.object for one in proposal.changes][:3] == [
        f"alarm NOSPACE on https://m{i}:2380" for i in (1, 2, 3)
    ]


def test_how_full_a_silent_member_is_no_defragmentation_tells_so_nothing_is_promised():
    proposal = plan(facts(Alarm(1, NOSPACE), above=UNREAD), change(Effect.STALLS_MEMBER))
    (held,) = proposal.held
    assert (proposal.waves, held.refused) == ((), False)
    assert "start it, or remove it from etcd, first" in held.why


def test_full_with_nothing_left_to_free_it_is_refused_with_what_a_person_needs():
    proposal = plan(facts(Alarm(1, NOSPACE), above=True), change(Effect.STALLS_MEMBER, made=True))
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused and "m1 95%" in held.why
    assert any("/registry/events/" in command for command in held.commands)
    assert any("--quota-backend-bytes" in command for command in held.commands)
    (finding,) = proposal.findings
    assert "1.0 KiB/s" in finding.sentence and "the quota is full in" in finding.sentence
    assert finding.evidence[0].value == "5 keys, about 50.0 MiB"


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (facts(Alarm(1, NOSPACE), Alarm(2, CORRUPT)), True),
        (facts(Alarm(2, CORRUPT)), True),
        (facts(Alarm(1, NOSPACE), above=UNREAD), False),
        (facts(Alarm(1, NOSPACE), is_kubernetes=UNREAD), False),
        (facts(alarms=UNREAD), False),
        (
            facts(
                Alarm(9, NOSPACE), nospace=(NoSpaceAlarm(member_id=9, name="", peer_url="", is_raised=True),)
            ),
            False,
        ),
    ],
)
def test_corrupt_refuses_and_a_missing_fact_never_permits(given, refused):
    proposal = plan(given)
    assert proposal.waves == ()
    assert [held.refused for held in proposal.held] == [refused]


def test_the_proof_is_still_due_after_the_last_alarm_is_disarmed():
    proposal = plan(facts(), made("alarm NOSPACE on https://m1:2380"))
    assert [one.verb for one in proposal.changes] == ["prove-writes"]


def test_an_alarm_that_comes_back_is_refilled_and_not_disarmed_again():
    proposal = plan(facts(Alarm(1, NOSPACE)), made("alarm NOSPACE on https://m1:2380"))
    assert proposal.waves == ()
    assert "refilled" in proposal.held[0].why


@pytest.mark.parametrize("kubernetes", [True, False])
def test_the_proof_writes_nothing_into_the_etcd_of_kubernetes(kubernetes):
    proof = plan(facts(Alarm(1, NOSPACE), is_kubernetes=kubernetes)).changes[-1]
    assert proof.effects == ((Effect.DISARMS,) if kubernetes else (Effect.WRITES_KEY,))
    assert proof.selection["within_seconds"] == (30.0 if kubernetes else 5.0)
    assert proof.risk is (Risk.READ if kubernetes else Risk.DISRUPTIVE)


def test_without_a_census_the_refusal_still_says_how_to_go_on():
    proposal = plan(facts(Alarm(1, NOSPACE), above=True, use=UNREAD, growth=UNREAD))
    assert len(proposal.held[0].commands) == 6
    assert "not read" in proposal.findings[0].sentence


def test_by_etcdctl_nothing_is_disarmed_and_the_commands_are_shown():
    by_etcdctl = "kubectl exec etcd-a -- etcdctl"
    proposal = plan(facts(Alarm(1, NOSPACE), by_etcdctl=by_etcdctl))
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert "disarms every alarm of every member" in held.why
    assert [one.split("  #")[0] for one in held.commands] == [
        f"{by_etcdctl} alarm list",
        f"{by_etcdctl} alarm disarm",
    ]
    assert plan(facts(by_etcdctl=by_etcdctl)).held == ()
