"""What is said about etcd's quota."""

import pytest

from sretool.knowledge.census import Census, Group
from sretool.knowledge.space import (
    MemberSpace,
    average_put_bytes,
    commands_by_hand,
    duration_text,
    growth_sentence,
    is_any_at,
    quota_finding,
    quota_findings,
)
from sretool.model import Severity, Unknown

UNREAD = Unknown("not read")


@pytest.mark.parametrize(
    ("share", "severity"),
    [
        (0.649, None),
        (0.65, Severity.NOTE),
        (0.75, Severity.WARNING),
        (0.85, Severity.CRITICAL),
        (0.97, Severity.CRITICAL),
        (1.1, Severity.CRITICAL),
    ],
)
def test_the_fullest_member_decides_how_bad_it_is(share, severity):
    finding = quota_finding([("a", 0.1), ("b", share)])
    assert (finding.severity if finding else None) is severity
    if finding:
        assert "b" in finding.sentence
        assert len(finding.evidence) == 2
        assert bool(finding.verdict) == (severity > Severity.NOTE)


GIB, MIB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("used", "quotas", "expected"),
    [
        ({"a": 0.01, "b": 1.02}, {"a": 2 * GIB, "b": 16 * MIB}, [("quota-differs", "b", Severity.CRITICAL)]),
        ({"a": 0.01, "b": 0.5}, {"a": 2 * GIB, "b": 16 * MIB}, [("", "b", Severity.NOTE)]),
        ({"a": 0.01}, {"a": 2 * GIB, "b": 16 * MIB}, [("", "b", Severity.NOTE)]),
        (
            {"a": 0.8, "b": 0.9},
            {"a": 2 * GIB, "b": GIB},
            [("quota-differs", "b", Severity.CRITICAL), ("db-large", "", Severity.WARNING)],
        ),
        ({"a": 0.9, "b": 0.9}, {"a": 2 * GIB, "b": 2 * GIB}, [("db-large", "", Severity.CRITICAL)]),
        ({"a": 0.1, "b": -1.0}, {"a": 2 * GIB, "b": -1}, []),
        ({}, {}, []),
    ],
    ids=["full", "not full", "silent", "all large", "the same", "one is off", "nothing read"],
)
def test_a_quota_smaller_than_the_others_is_the_cause(used, quotas, expected):
    found = quota_findings(used, quotas)
    assert [(one.verdict, one.subject, one.severity) for one in found] == expected


def test_the_smaller_quota_is_told_beside_that_of_the_others():
    (found,) = quota_findings({"a": 0.01, "b": 0.01, "c": 1.02}, {"a": 2 * GIB, "b": 2 * GIB, "c": 16 * MIB})
    assert found.sentence.startswith("quotas differ: c 16.0 MiB (it takes 102%), a and b 2.0 GiB")
    assert "give c the same" in found.sentence


@pytest.mark.parametrize(
    ("quotas", "command"),
    [
        ({"a": 100, "b": 100}, "# restart each member with --quota-backend-bytes=200"),
        ({"a": 100, "b": UNREAD}, "# restart each member with --quota-backend-bytes=200"),
        ({"a": UNREAD}, "# restart each member with --quota-backend-bytes=TWICE-THE-PRESENT"),
        ({"a": 16, "b": 100, "c": 100}, "# restart a with --quota-backend-bytes=100"),
    ],
    ids=["the same", "one unread", "all unread", "one smaller"],
)
def test_only_the_smaller_quota_is_raised_by_hand(quotas, command):
    commands = commands_by_hand(endpoints=["e1"], census=UNREAD, quotas=quotas)
    assert [command] == [one.partition(",")[0] for one in commands if "--quota" in one]


def space(size, quota=100):
    return MemberSpace(name="a", endpoint="e", size_bytes=size, quota_bytes=quota)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([space(89)], False),
        ([space(90)], True),
        ([space(10), space(UNREAD)], Unknown("how full a is could not be read")),
        ([space(95), space(UNREAD)], True),
        ([space(95, UNREAD)], Unknown("how full a is could not be read")),
        ([space(95, 0)], Unknown("how full a is could not be read")),
    ],
)
def test_a_member_that_cannot_be_read_might_be_full(members, expected):
    assert is_any_at(members, 0.9) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7200, "2 h"), (172_800, "2 days")]
)
def test_durations_are_rough(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("growth", "size", "words"),
    [
        (1024.0, 100 * 1024, "full now"),
        (1024.0, 40 * 1024, "full in 60 s, twice the quota in 3 min"),
        (0.0, 1, "nothing was written"),
        (UNREAD, 1, "unknown: not read"),
    ],
)
def test_growth_says_when_it_is_full(growth, size, words):
    assert words in growth_sentence(growth=growth, quota_bytes=100 * 1024, size_bytes=size)


def test_growth_is_an_average_since_the_start():
    assert average_put_bytes(put_bytes=1000.0, started=0.0, now=100.0) == 10.0
    assert average_put_bytes(put_bytes=UNREAD, started=0.0, now=100.0) == UNREAD
    assert average_put_bytes(put_bytes=1.0, started=UNREAD, now=100.0) == UNREAD


@pytest.mark.parametrize(
    ("resource", "kubernetes", "prefix"),
    [
        ("events", True, "/registry/events/"),
        ("/app/x", False, "/app/x/"),
        ("(keys without a path)", False, "PREFIX"),
    ],
)
def test_the_largest_prefix_stands_in_the_commands(resource, kubernetes, prefix):
    census = Census(
        keys=1,
        events=0,
        revision=1,
        resources=(Group(resource=resource, keys=1),),
        namespaces=(),
        is_kubernetes=kubernetes,
    )
    commands = commands_by_hand(endpoints=["e1", "e2"], census=census, quotas={"a": 100})
    assert f"del {prefix} --prefix" in commands[1]
    assert commands[2].startswith("# restart each member with --quota-backend-bytes=200, or so")
    assert "--endpoints=e1,e2 defrag" in commands[4]
