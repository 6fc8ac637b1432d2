"""What became of a change: from what `apply` raised and what looking showed."""

import enum

import msgspec

from sretool.errors import NoAnswerError, SretoolError
from sretool.model import Change, Outcome, Result


class Fate(enum.StrEnum):
    """What became of a change, for whoever decides whether to go on."""

    DONE = "done"
    NOT_MADE = "not made"  # it certainly had no effect
    NOT_AS_PLANNED = "not as planned"  # applied, and the look afterwards disagrees
    UNKNOWN = "unknown"  # nobody can tell


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was begun, and what looking at it showed; `then` is what helps where it was refused."""

    change: Change
    outcome: Outcome
    fate: Fate
    why: str
    seconds: float
    then: str = ""


def unknown(change: Change, why: str, *, seconds: float) -> Attempt:
    """Return the attempt of a change that was left to itself: nobody can tell."""
    outcome = Outcome(result=Result.CANNOT_TELL, evidence=why)
    return Attempt(change=change, outcome=outcome, fate=Fate.UNKNOWN, why=why, seconds=seconds)


def outcome_body(change: Change, outcome: Outcome, *, seconds: float) -> dict[str, object]:
    """Return the body of an outcome record."""
    return {
        "key": change.key,
        "verb": change.verb,
        "outcome": msgspec.to_builtins(outcome),
        "seconds": round(seconds, 3),
    }


def fate_of(change: Change, outcome: Outcome, failure: SretoolError | None) -> tuple[Fate, str]:
    """Return what became of a change from what `apply` raised and what looking showed.

    Looking wins: an unclear answer is not a failure, and a refused request has had no effect.
    """
    words = f"{change.verb} {change.label}: {outcome.evidence}"
    if failure is not None:
        words = f"{change.verb} {change.label}: {failure.message}; looked: {outcome.evidence}"
    if outcome.result is Result.DONE:
        return Fate.DONE, words
    if failure is not None and not isinstance(failure, NoAnswerError):
        return Fate.NOT_MADE, words
    if outcome.result in (Result.STILL_GOING, Result.CANNOT_TELL):
        return Fate.UNKNOWN, words
    if failure is not None and outcome.result is Result.NOT_DONE:
        return Fate.NOT_MADE, words
    return Fate.NOT_AS_PLANNED, words
