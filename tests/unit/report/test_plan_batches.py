"""Many batches of one thing are one entry of the plan's text, with their numbers and their whole cost."""

from sretool.cli.approval import render_question
from sretool.model import Change, Cost, Effect, Risk
from sretool.report.plan_text import render_changes
from tests.support.sample_run import sample_plan


def batch(number, *, objects=450):
    return Change(
        step="cleanup",
        uses="kubernetes.event-cleanup",
        verb="delete-events",
        object=f"events/shop/BackOff/{number}",
        label=f"BackOff in shop, batch {number}",
        reason=f"{objects} events",
        risk=Risk.IRREVERSIBLE,
        effects=(Effect.DELETES,),
        cost=Cost(seconds=2.0),
        bounds={"limit": 500},
        commands=(f"kubectl delete batch-{number}",),
    )


def shown(*changes, verbose=False):
    return "\n".join(render_changes(sample_plan(changes=changes), columns=80, verbose=verbose))


def test_more_than_three_batches_are_one_entry_and_the_next_change_goes_on_counting():
    text = shown(*(batch(one) for one in range(9, 1, -1)), batch(1, objects=50), batch("other"), verbose=True)
    assert "PLAN  10 changes" in text
    assert "   1 to 9 delete-events BackOff in shop, batch 9 to batch 1 (irreversible)" in text
    assert "because 450 events, each; the last: 50 events" in text
    assert "takes 18 s" in text
    assert "  10 delete-events BackOff in shop, batch other" in text
    assert text.count("kubectl") == 2


def test_three_batches_are_listed_each():
    assert shown(batch(3), batch(2), batch(1)).count("delete-events") == 3


def test_the_question_names_many_batches_once():
    text = " ".join(
        " ".join(render_question(sample_plan(changes=[batch(n) for n in range(223, 0, -1)]), "lock")).split()
    )
    assert "There is no way back from: delete-events BackOff in shop, batch 223 to batch 1." in text
