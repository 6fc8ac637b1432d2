"""When history is to be compacted."""

import pytest

from sretool.knowledge.compaction import is_stalled, is_worth_compacting, revision_of_five_minutes_ago
from sretool.model import Unknown

NOW = 1_000_000.0
UNREAD = Unknown("not read")


@pytest.mark.parametrize(
    ("facts", "stalled"),
    [
        ({"last_compaction": NOW - 901}, True),
        ({"last_compaction": NOW - 899}, False),
        ({"last_compaction": 0.0, "started": NOW - 901}, True),
        ({"last_compaction": 0.0, "started": NOW - 899}, False),
        ({"last_compaction": NOW - 9999, "is_kubernetes": False}, False),
        ({"last_compaction": NOW - 9999, "pending_revisions": 2}, False),
        ({"last_compaction": UNREAD}, UNREAD),
        ({"last_compaction": 0.0, "started": UNREAD}, UNREAD),
        ({"is_kubernetes": UNREAD, "last_compaction": NOW}, UNREAD),
        ({"pending_revisions": UNREAD, "last_compaction": NOW}, UNREAD),
        ({"is_kubernetes": False, "last_compaction": UNREAD, "pending_revisions": UNREAD}, False),
    ],
)
def test_kubernetes_has_stopped_compacting_when_the_last_one_is_15_minutes_old(facts, stalled):
    usual = {"is_kubernetes": True, "pending_revisions": 5000, "started": NOW - 90_000}
    assert is_stalled(**(usual | facts), now=NOW) == stalled


def test_five_minutes_ago_is_reckoned_from_the_rate_and_never_negative():
    assert revision_of_five_minutes_ago(current=10_000, per_second=10.0) == 7000
    assert revision_of_five_minutes_ago(current=100, per_second=10.0) == 0


@pytest.mark.parametrize(
    ("target", "nospace", "worth"),
    [(10, True, False), (11, True, True), (12, False, False), (13, False, True)],
)
def test_without_space_one_revision_is_enough_because_it_may_delete_everything(target, nospace, worth):
    assert is_worth_compacting(compacted=10, target=target, nospace=nospace) is worth
