"""In which order changes are taken back: newest first, and first what would hold back the others of its step."""

import pytest

from sretool.engine.resumption import undo_order, undo_waves
from sretool.model import Change, Risk


def change(name, *, undone_first=False):
    step, _, verb = name.partition("/")
    return Change(
        step=step,
        uses="x",
        verb=verb,
        object="o",
        label="l",
        reason="r",
        risk=Risk.REVERSIBLE,
        effects=(),
        undone_first=undone_first,
    )


@pytest.mark.parametrize(
    ("expected", "made"),
    [
        ([], []),
        (["a/two", "a/one"], [change("a/one"), change("a/two")]),
        (["a/cap", "a/scale"], [change("a/cap", undone_first=True), change("a/scale")]),
        (
            ["b/later", "a/cap", "a/second", "a/first"],
            [change("a/first"), change("a/cap", undone_first=True), change("a/second"), change("b/later")],
        ),
        (
            ["b/scale", "a/cap", "a/scale"],  # only within its own step
            [change("a/cap", undone_first=True), change("a/scale"), change("b/scale")],
        ),
    ],
)
def test_undo_goes_backwards_but_frees_what_was_held_before_it_moves_it(expected, made):
    assert [one.key.rpartition("/")[0] for one in undo_order(made)] == expected


class Alone:
    looks_together = 1


class Together:
    looks_together = 2


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        ([], ""),
        ([["a/1"], ["a/2"]], "a/1 a/2"),
        ([["b/1", "b/2"], ["b/3"]], "b/1 b/2 b/3"),
        ([["b/1"], ["a/1"], ["b/2"]], "b/1 a/1 b/2"),
        ([["b/first"], ["b/1", "b/2"]], "b/first b/1 b/2"),
    ],
)
def test_only_independent_changes_are_taken_back_side_by_side(expected, names):
    back = [change(name, undone_first=name.endswith("first")) for name in names.split()]
    waves = undo_waves(back, {"a": Alone, "b": Together})
    assert [[f"{one.step}/{one.verb}" for one in wave] for wave in waves] == expected
