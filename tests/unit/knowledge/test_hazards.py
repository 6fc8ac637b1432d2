"""The version table, at both ends of every range."""

import pytest

from sretool.knowledge.hazards import HAZARDS, find_hazards, is_within, panics_when_full
from sretool.model import Effect, Unknown

STALLS = (Effect.STALLS_MEMBER,)


def verdicts(version, effects=STALLS):
    return {hazard.verdict for hazard in find_hazards({"n1": version}, effects)}


@pytest.mark.parametrize(
    ("version", "worst"),
    [
        ("3.3.27", "refuse"),
        ("3.4.21", "refuse"),
        ("3.4.22", "warn"),
        ("3.4.23", "warn"),
        ("3.4.44", "warn"),
        ("3.4.45", None),
        ("3.5.0", "refuse"),
        ("3.5.1", "refuse"),
        ("3.5.2", "refuse"),
        ("3.5.3", "refuse"),
        ("3.5.5", "refuse"),
        ("3.5.6", "warn"),
        ("3.5.25", "warn"),
        ("3.5.26", None),
        ("3.6.0", "warn"),
        ("3.6.5", "warn"),
        ("3.6.6", None),
        ("3.7.0", None),
        ("4.0.0", None),
    ],
)
@pytest.mark.parametrize("effect", list(Effect))
def test_versions_are_refused_and_warned_of_whatever_is_changed(version, worst, effect):
    found = verdicts(version, (effect,))
    assert worst == ("refuse" if "refuse" in found else "warn" if "warn" in found else None)


def test_a_refusal_names_member_version_bug_and_source():
    first = find_hazards({"n1": "3.6.8", "n2": "3.5.1"}, STALLS)[0]
    assert (first.verdict, first.members, first.source) == ("refuse", ("n2",), "etcd#13766")
    assert "n2 runs 3.5.1" in first.text
    assert "data different" in first.text


@pytest.mark.parametrize("version", [Unknown("no answer"), "", "unknown"])
def test_a_version_that_is_unknown_is_refused(version):
    assert {"refuse"} == {hazard.verdict for hazard in find_hazards({"n1": version}, STALLS)}


def test_one_bad_member_among_good_ones_is_enough():
    assert "refuse" in {
        hazard.verdict for hazard in find_hazards({"n1": "3.6.8", "n2": "3.5.2", "n3": "3.6.8"}, STALLS)
    }


@pytest.mark.parametrize(
    ("effect", "version", "words"),
    [
        (Effect.STALLS_MEMBER, "3.6.4", "applies a snapshot"),
        (Effect.STALLS_MEMBER, "3.5.16", "ends the server"),
        (Effect.MOVES_LEADERSHIP, "3.5.12", "revoke leases wrongly"),
        (Effect.COMPACTS, "3.5.13", "revision go back"),
    ],
)
def test_a_hazard_concerns_only_the_effects_it_names(effect, version, words):
    def told(of):
        return " ".join(hazard.text for hazard in find_hazards({"n1": version}, (of,)))

    assert words in told(effect)
    assert words not in told(Effect.DISARMS)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.4.34", True), ("3.4.35", False), ("3.5.16", True), ("3.5.17", False), ("3.6.0", False), ("?", True)],
)
def test_which_versions_end_on_a_full_disk(version, expected):
    assert expected is panics_when_full(version)


def test_every_range_is_in_order_and_within_one_line():
    for row in HAZARDS:
        for first, fixed in row.affected:
            assert first < fixed
            assert not is_within(fixed, ((first, fixed),))
            assert first == (0, 0, 0) or first[:2] == fixed[:2]
