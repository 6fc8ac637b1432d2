"""Which target etcd.compact plans, and when it plans none."""

import pytest

from sretool.model import Change, Effect, Risk, Unknown
from sretool.steps.etcd_compact import CompactionCount, EtcdCompact, EtcdCompactFacts, EtcdCompactParams

UNREAD = Unknown("not read")
STEP, PARAMS = EtcdCompact(), EtcdCompactParams()


def facts(**changed):
    usual = {
        "nospace": False,
        "stalled": False,
        "is_kubernetes": True,
        "current_revision": 1000,
        "compact_revision": 100,
        "five_minutes_ago": UNREAD,
        "through": "m1",
        "endpoint": "https://m1:2379",
        "members": (
            CompactionCount(name="m1", finished=3.0, started=5.5),
            CompactionCount(name="m2", finished=UNREAD, started=UNREAD),
        ),
    }
    return EtcdCompactFacts(**(usual | changed))


def change(effect, *, made):
    return Change(
        step="s",
        uses="o",
        verb="trim",
        object="x",
        label="",
        reason="",
        risk=Risk.IRREVERSIBLE,
        effects=(effect,),
        made=made,
    )


def plan(given, *earlier):
    return STEP.plan(PARAMS, given, earlier)


@pytest.mark.parametrize(
    ("given", "earlier", "target", "rule"),
    [
        (facts(nospace=True), (), 1000, "nospace"),
        (facts(nospace=True, is_kubernetes=False, compact_revision=999), (), 1000, "nospace"),
        (facts(nospace=True), (change(Effect.DELETES, made=True),), 1000, "nospace"),
        (facts(is_kubernetes=False), (change(Effect.DELETES, made=True),), 1000, "trimmed"),
        (facts(stalled=True, five_minutes_ago=700), (), 700, "stalled"),
        (facts(nospace=True, stalled=UNREAD), (), 1000, "nospace"),
        (facts(nospace=True), (change(Effect.COMPACTS, made=True),), 1000, "nospace"),
    ],
)
def test_the_target_follows_from_the_state_and_stands_in_the_plan(given, earlier, target, rule):
    (planned,) = plan(given, *earlier).changes
    assert planned.selection == {"revision": target, "through": "m1"}
    assert planned.bounds == {"rule": rule}
    assert planned.conditional == ""
    assert planned.risk is Risk.IRREVERSIBLE
    assert planned.commands == (f"etcdctl --endpoints=https://m1:2379 compact --physical {target}",)


@pytest.mark.parametrize(
    ("given", "earlier"),
    [
        (facts(), ()),
        (facts(is_kubernetes=False), ()),
        (facts(nospace=True, compact_revision=1000), ()),
        (facts(stalled=True, five_minutes_ago=102), ()),
        (facts(stalled=True, five_minutes_ago=0), ()),
        (facts(nospace=True), (change(Effect.COMPACTS, made=False),)),
        (facts(), (change(Effect.DELETES, made=True),)),
    ],
)
def test_nothing_is_planned_where_nothing_is_to_gain_or_kubernetes_does_it(given, earlier):
    proposal = plan(given, *earlier)
    assert (proposal.waves, proposal.held) == ((), ())


@pytest.mark.parametrize(
    "given",
    [
        facts(nospace=UNREAD),
        facts(stalled=UNREAD),
        facts(stalled=True, five_minutes_ago=UNREAD),
        facts(nospace=True, compact_revision=UNREAD),
    ],
)
def test_a_missing_fact_never_permits(given):
    proposal = plan(given)
    assert proposal.waves == ()
    assert [held.refused for held in proposal.held] == [False]


def test_before_a_trim_was_made_its_revision_is_an_open_question():
    (planned,) = plan(
        facts(nospace=True), change(Effect.COMPACTS, made=False), change(Effect.DELETES, made=False)
    ).changes
    assert planned.conditional == "the revision after «trim» was made"


def test_what_observe_compares_with_is_plain_and_complete():
    (planned,) = plan(facts(nospace=True)).changes
    assert planned.before["members"] == {
        "m1": {"finished": 3.0, "started": 5.5},
        "m2": {"finished": None, "started": None},
    }
