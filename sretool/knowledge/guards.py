"""Which guards a change must pass before it is made: they follow from its effects."""

from collections.abc import Callable

from sretool.knowledge import guard_cluster as cluster
from sretool.knowledge import guard_leases as leases
from sretool.knowledge import guard_members as members
from sretool.knowledge.guard_context import GuardAnswer, GuardContext, passed
from sretool.model import Change, Effect

__all__ = ["GuardAnswer", "GuardContext", "is_gentle", "judge"]

Rule = Callable[[GuardContext], GuardAnswer]

_EVERY_CHANGE: tuple[Rule, ...] = (cluster.no_corruption, cluster.no_hazard, cluster.same_members)
_STALLS: tuple[Rule, ...] = (
    cluster.voter_to_spare,
    cluster.leader_unchanged,
    members.nothing_in_flight,
    members.nobody_catching_up,
    members.raft_lag,
    leases.leases_renewed,
)
# These help a cluster in need: margin, lag and churn do not forbid them.
_HELPS = frozenset(
    {
        Effect.COMPACTS,
        Effect.DISARMS,
        Effect.DELETES,
        Effect.SCALES,
        Effect.SETS_QUOTA,
        Effect.WRITES_KEY,
        Effect.MOVES_LEADERSHIP,
    }
)
_BADNESS = ("refuse", "wait", "pass")


def judge(context: GuardContext) -> tuple[GuardAnswer, ...]:
    """Return the answer of every guard that the change calls for, worst first; never empty.

    Pure. A fact that is unknown never passes: it is refused, or waited for when it could be read at the
    start of the run. Refusals that spare nobody stand before those of what a person may do by hand.
    """
    answers = [rule(context) for rule in _rules(context.change)]
    if not answers:
        return (passed("saves-locally", "nothing in the cluster is changed"),)
    return tuple(
        sorted(answers, key=lambda answer: (_BADNESS.index(answer.verdict), answer.may_be_made_by_hand))
    )


def is_gentle(change: Change) -> bool:
    """Tell whether it stalls nobody. An effect that is not known to be gentle, or none at all, is not."""
    return bool(change.effects) and set(change.effects) <= _HELPS | {Effect.SAVES_LOCALLY}


def _rules(change: Change) -> tuple[Rule, ...]:
    effects = set(change.effects)
    if effects == {Effect.SAVES_LOCALLY}:
        return ()
    rules = _EVERY_CHANGE + ((cluster.has_quorum,) if is_gentle(change) else _STALLS)
    if Effect.STALLS_MEMBER in effects:
        rules += (members.disk_free,)
    if Effect.MOVES_LEADERSHIP in effects:
        rules += (members.target_is_healthy,)
    return rules
