"""What a measure says of itself, and what running it gives."""

import statistics
from collections.abc import Callable, Iterator, Mapping

import msgspec

Sample = Mapping[str, float]
"""What one run of one side measured: quantity (its unit in the name) and value."""


class WrongAnswerError(Exception):
    """A side ran and did not do its work: its time says nothing."""


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` of the first side is at most `limit`: times that of side `against`, or absolutely.

    Medians are judged; with `every_run` the worst run is.
    """

    quantity: str
    limit: float
    against: str = ""
    every_run: bool = False


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: the sides (sretool first), how often, what is to be reached, what stands aside.

    `prepare` makes the same start for every run, and is not measured.
    """

    name: str
    sides: Mapping[str, Callable[[], Sample]]
    rounds: int = 5
    goals: tuple[Goal, ...] = ()
    prepare: Callable[[], None] = lambda: None
    note: str = ""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """The least, middle and greatest of the values, and the values in the order they were measured."""

    min: float
    median: float
    max: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: tuple[float, ...]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(min=min(values), median=statistics.median(values), max=max(values), values=values)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A goal and how it came out. `ratio` and `min_ratio` are absolute values when the goal names no peer."""

    goal: Goal
    ratio: float
    min_ratio: float
    met: bool


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One case that was run; `failure` says why it was not run to its end."""

    measure: str
    case: str
    note: str = ""
    sides: Mapping[str, Mapping[str, Spread]] = {}
    verdicts: tuple[Verdict, ...] = ()
    failure: str = ""


def run_case(measure: str, case: Case, tell: Callable[[str], None]) -> Result:
    """Run the sides in turn, each round beginning with another one."""
    samples: dict[str, list[Sample]] = {name: [] for name in case.sides}
    names = list(case.sides)
    for number in range(case.rounds):
        tell(f"{measure}, {case.name}: round {number + 1} of {case.rounds}")
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            try:
                case.prepare()
                samples[name].append(case.sides[name]())
            except WrongAnswerError as error:
                return Result(measure=measure, case=case.name, note=case.note, failure=f"{name}: {error}")
    sides = {
        name: {quantity: Spread.of(tuple(one[quantity] for one in runs)) for quantity in runs[0]}
        for name, runs in samples.items()
    }
    verdicts = tuple(_judge(goal, sides) for goal in case.goals)
    return Result(measure=measure, case=case.name, note=case.note, sides=sides, verdicts=verdicts)


def _judge(goal: Goal, sides: Mapping[str, Mapping[str, Spread]]) -> Verdict:
    ours = next(iter(sides.values()))[goal.quantity]
    if not goal.against:
        value = ours.max if goal.every_run else ours.median
        return Verdict(goal=goal, ratio=value, min_ratio=ours.min, met=value <= goal.limit)
    peer = sides[goal.against][goal.quantity]
    ratio = ours.median / peer.median
    return Verdict(goal=goal, ratio=ratio, min_ratio=ours.min / peer.min, met=ratio <= goal.limit)


Cases = Iterator[Case]
"""What a measure's `cases` yields: between two of them it changes the stage."""
