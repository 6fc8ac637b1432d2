"""Conditions: what compiles, what is pointed at when it does not, and three-valued evaluation."""

import itertools

import msgspec
import pytest

from sretool.errors import DocumentError
from sretool.model import Known, MemberId, Unknown
from sretool.runbook.expressions import Compiler, Condition
from sretool.runbook.loader import load_runbook
from sretool.runbook.references import Kind, fact_kinds, find_references

HEAD = """\
runbook: x
summary: s
params:
  events_max: {type: integer, default: 5, about: a}
  pressure: {type: percent, default: 75%, about: a}
  floor: {type: quantity, default: 1Ki, about: a}
  window: {type: duration, default: 90s, about: a}
steps:
- {id: status, uses: etcd.endpoint-status}
- {id: census, uses: etcd.census}
"""
PARAMS = {"events_max": 5, "pressure": 0.75, "floor": 1024, "window": 90.0}


def loaded(when, catalogue):
    text = f"{HEAD}- id: defrag\n  uses: etcd.defrag\n  when: {when}\n- {{id: later, uses: etcd.defrag}}\n"
    return load_runbook(text, origin="x.yaml", catalogue=catalogue).steps[2].when


def first_problem(when, catalogue):
    with pytest.raises(DocumentError) as caught:
        loaded(when, catalogue)
    return caught.value.problems[0]


FAULTS = [
    ("steps.census.▸evnts > 5", "step census has no fact evnts (did you mean events?)"),
    ('"\'a\' in steps.census.causes && steps.census.▸evnts > 5"', "step census has no fact evnts (did you mean events?)"),
    ('"\\"a\\" in steps.census.causes && steps.census.▸evnts > 5"', "step census has no fact evnts (did you mean events?)"),
    ("'''a'' in steps.census.causes && steps.census.▸evnts > 5'", "step census has no fact evnts (did you mean events?)"),
    ("steps.▸cencus.events > 5", "there is no earlier step cencus (did you mean census?)"),
    ("steps.▸defrag.due", "step defrag asks about itself: a condition refers only to earlier steps"),
    ("steps.▸later.due", "step later comes later: a condition refers only to earlier steps"),
    ("steps.census.events > params.▸event_max", "there is no parameter event_max (did you mean events_max?)"),
    ("steps.status.▸sizes.size() > 1", "step status has no fact sizes (known: compaction_stalled, due, leader, leader_id, members, quota_used, silent_members)"),
    ("▸steps.census > 5", "steps.census is no value: write steps.ID.FACT"),
    ("▸params > 5", "params is no value: write params.NAME"),
    ("▸census.events > 5", "census.events is not known here: facts are steps.ID.FACT, parameters params.NAME, text stands in quotes"),
    ("steps.status.leader == ▸n1", "n1 is not known here: facts are steps.ID.FACT, parameters params.NAME, text stands in quotes"),
    ("▸sizeof(steps.census.causes) > 5", "sizeof is not known here: facts are steps.ID.FACT, parameters params.NAME, text stands in quotes"),
    ("steps.census.events ▸> 1.5", "'>' does not work on (int, double): whole and decimal numbers do not mix, write 1.0 for 1, or double(...) around an integer"),
    ("steps.status.quota_used ▸>= 1", "'>=' does not work on (double, int): whole and decimal numbers do not mix, write 1.0 for 1, or double(...) around an integer"),
    ("steps.census.events ▸== 'a'", "'==' does not work on (int, string)"),
    ("steps.status.members▸.name == 'a'", "expression of type 'int' cannot be the operand of a select operation"),
    ("▸steps.census.events", "a condition is true or false, this is a number"),
    ("▸dyn(steps.census.events)", "a condition is true or false, this is of no fixed type"),
    ("steps.census.events >▸", "the condition ends too early"),
    ('"steps.census.events > ▸"', "the condition ends too early"),
    ("steps.census.events ▸and true", "no valid condition: mismatched input 'and'"),
    ('"▸{{ params.floor }} > 1"', "a condition takes params.NAME as it is, without {{ }}"),
    ("▸" + "(" * 400 + "true" + ")" * 400, "nested too deep"),
    ("▸" + "true && " * 300 + "true", "2404 characters: a condition has at most 2000"),
]  # fmt: skip


@pytest.mark.parametrize(("when", "expected"), FAULTS)
def test_a_fault_is_placed_inside_the_expression(when, expected, catalogue):
    column = len("  when: ") + when.index("▸") + 1
    assert (
        f"x.yaml:13:{column}: when: {expected}"
        == first_problem(when.replace("▸", ""), catalogue).split("\n")[0]
    )


def test_the_caret_stands_under_the_fault(catalogue):
    problem = first_problem("\"'é' != 'a' && steps.census.evnts > 5\"", catalogue)
    _, line, caret = problem.split("\n")
    assert line[caret.index("^") :] == "evnts > 5"


def test_the_caret_of_a_condition_over_several_lines_stands_under_its_line(catalogue):
    problem = first_problem("|\n    steps.census.events > 5\n    && steps.census.evnts > 5", catalogue)
    where, line, caret = problem.split("\n")
    assert [where.split(": ")[0], line[caret.index("^") :]] == ["x.yaml:13:9", "evnts > 5"]


def test_a_long_condition_is_cut_around_its_fault(catalogue):
    problem = first_problem("true && " * 50 + "steps.census.evnts > 5" + " && true" * 50, catalogue)
    _, line, caret = problem.split("\n")
    assert len(line) < 110
    assert line[caret.index("^") :].startswith("evnts > 5")


def test_every_wrong_name_of_a_condition_is_reported(catalogue):
    with pytest.raises(DocumentError) as caught:
        loaded("steps.census.evnts > 1 || steps.status.membrs > 1 || params.flor > 1", catalogue)
    assert len(caught.value.problems) == 3


def test_a_wrong_name_hides_no_other_fault_of_its_condition(catalogue):
    with pytest.raises(DocumentError) as caught:
        loaded("steps.census.evnts > 1 || params.flor.size() > 1 || steps.status.members == 'a'", catalogue)
    assert ["step census has no fact", "there is no parameter flor", "'==' does not work on"] == [
        problem.split("when: ")[1][:length]
        for problem, length in zip(caught.value.problems, (23, 26, 21), strict=True)
    ]


def test_a_condition_about_a_broken_step_adds_no_second_problem(catalogue):
    text = HEAD.replace("etcd.census", "etcd.cencus") + (
        "- {id: d, uses: etcd.defrag, when: steps.census.events > 1}\n"
    )
    with pytest.raises(DocumentError) as caught:
        load_runbook(text, origin="x.yaml", catalogue=catalogue)
    assert list(caught.value.problems) == [
        "x.yaml:10:22: steps[1].uses: there is no step etcd.cencus (did you mean etcd.census?)"
    ]


def facts_of(catalogue, **changed):
    values = {
        "quota_used": 0.8,
        "compaction_stalled": False,
        "members": 3,
        "leader": "n1",
        "leader_id": MemberId(2**64 - 1),
        "silent_members": (),
        "sizes": {},
        "keys": 10,
        "events": 6,
        "causes": ("disk-slow-leader",),
    } | changed
    return {
        step: facts_type(**{field.name: values[field.name] for field in msgspec.structs.fields(facts_type)})
        for step, facts_type in (
            ("status", catalogue["etcd.endpoint-status"].facts_type),
            ("census", catalogue["etcd.census"].facts_type),
        )
    }


CONFORMANCE = [
    (True, "steps.census.events > params.events_max"),
    (True, "steps.status.quota_used >= params.pressure"),
    (True, "steps.status.quota_used >= 0.75 && steps.status.quota_used < 1.0"),
    (True, "params.window == 90.0 && params.floor == 1024"),
    (False, "steps.status.compaction_stalled"),
    (True, "!steps.status.compaction_stalled"),
    (True, "steps.status.silent_members.size() == 0"),
    (True, "size(steps.status.silent_members) == 0"),
    (True, "'disk-slow-leader' in steps.census.causes"),
    (False, "'network' in steps.census.causes"),
    (True, "steps.census.causes.exists(cause, cause.startsWith('disk-'))"),
    (True, "steps.status.silent_members.all(name, name == 'n3')"),
    (True, "steps.census.causes[0] == 'disk-slow-leader'"),
    (True, "steps.status.leader == 'n1' ? steps.status.members == 3 : false"),
    (True, "steps.status.leader.matches('^n[0-9]$')"),
    (True, "steps.status.leader_id == 'ffffffffffffffff'"),
    (True, "double(steps.census.events) > 5.5"),
    (True, "steps.census.events + steps.census.keys == 16"),
    (True, "steps.census.events * 2 > steps.census.keys // a comment about steps.nothing.at_all"),
    (True, r"'steps.nothing.here' != r'\d'"),
    (False, "steps.status.due"),
    (True, "steps.census.due"),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "when"), CONFORMANCE)
def test_known_facts_give_a_plain_answer(expected, when, catalogue):
    condition = loaded(f"|\n    {when}", catalogue)
    answer = condition.evaluate(facts_of(catalogue), PARAMS, {"status": False, "census": True})
    assert expected is answer


def test_a_condition_tells_which_steps_it_mentions(catalogue):
    condition = loaded("steps.census.events > 1 && steps.status.due && params.floor > 1", catalogue)
    assert frozenset({"census", "status"}) == condition.steps


VALUES = {"T": True, "F": False, "U": Unknown("silent")}
AND = {"TT": "T", "TF": "F", "TU": "U", "FT": "F", "FF": "F", "FU": "F", "UT": "U", "UF": "F", "UU": "U"}
OR = {"TT": "T", "TF": "T", "TU": "T", "FT": "T", "FF": "F", "FU": "U", "UT": "T", "UF": "U", "UU": "U"}


class Pair(msgspec.Struct, frozen=True):
    a: Known[bool]
    b: Known[bool]


def compiled(text):
    kinds = {f"steps.pair.{name}": kind for name, kind in fact_kinds(Pair).items()}
    condition = Compiler(kinds).compile(text)
    assert isinstance(condition, Condition)
    return condition


@pytest.mark.parametrize("pair", ["".join(pair) for pair in itertools.product("TFU", repeat=2)])
@pytest.mark.parametrize(("operator", "table"), [("&&", AND), ("||", OR)])
def test_unknown_facts_follow_kleene(operator, table, pair):
    facts = {"pair": Pair(VALUES[pair[0]], VALUES[pair[1]])}
    answer = compiled(f"steps.pair.a {operator} steps.pair.b").evaluate(facts, {}, {})
    expected = VALUES[table[pair]]
    assert isinstance(answer, Unknown) if isinstance(expected, Unknown) else answer is expected


def test_not_unknown_is_unknown():
    answer = compiled("!steps.pair.a").evaluate({"pair": Pair(Unknown("silent"), True)}, {}, {})
    assert Unknown("steps.pair.a is unknown: silent") == answer


def test_an_unknown_answer_names_every_fact_that_is_missing(catalogue):
    condition = loaded("steps.status.quota_used > 0.5 && steps.census.events > 1", catalogue)
    facts = facts_of(catalogue, quota_used=Unknown("n3 did not answer"), events=Unknown("unfinished"))
    expected = (
        "steps.status.quota_used is unknown: n3 did not answer; steps.census.events is unknown: unfinished"
    )
    assert Unknown(expected) == condition.evaluate(facts, PARAMS, {})


def test_the_facts_of_a_step_that_did_not_look_are_unknown(catalogue):
    condition = loaded("steps.census.events > 1", catalogue)
    assert Unknown("steps.census.events is unknown: step census was skipped, or could not look") == (
        condition.evaluate({}, PARAMS, {})
    )


def test_an_unknown_due_keeps_its_reason(catalogue):
    condition = loaded("steps.census.due", catalogue)
    assert Unknown("steps.census.due is unknown: no quorum") == (
        condition.evaluate({}, PARAMS, {"census": Unknown("no quorum")})
    )
    assert Unknown("steps.census.due is unknown: step census has not planned yet") == (
        condition.evaluate({}, PARAMS, {})
    )


def test_a_run_time_error_is_unknown_and_never_permission(catalogue):
    by_zero = loaded("steps.census.keys / steps.census.events > 1", catalogue)
    assert Unknown("steps.census.keys / steps.census.events > 1: divide by zero") == (
        by_zero.evaluate(facts_of(catalogue, events=0), PARAMS, {})
    )
    beyond = loaded("steps.census.causes[3] == 'a'", catalogue)
    assert isinstance(beyond.evaluate(facts_of(catalogue), PARAMS, {}), Unknown)


def test_a_number_beyond_64_bits_is_unknown(catalogue):
    condition = loaded("steps.census.keys > 1", catalogue)
    assert Unknown("steps.census.keys is unknown: a number beyond 64 bits") == (
        condition.evaluate(facts_of(catalogue, keys=2**63), PARAMS, {})
    )


def test_a_condition_that_never_ends_is_cut_off(catalogue):
    digits = "[1,2,3,4,5,6,7,8,9,0]"
    nested = "true"
    for name in "abcdefgh":
        nested = f"{digits}.all({name}, {nested})"
    answer = loaded(f'"{nested}"', catalogue).evaluate(facts_of(catalogue), PARAMS, {})
    assert isinstance(answer, Unknown)


def test_a_name_in_backticks_cannot_hide_from_the_check(catalogue):
    with pytest.raises(DocumentError):
        loaded('"steps.census.`events` > 1"', catalogue)


def test_conditions_see_scalars_and_lists_of_text_only(catalogue):
    assert fact_kinds(catalogue["etcd.endpoint-status"].facts_type) == {
        "due": Kind.BOOLEAN,
        "quota_used": Kind.DECIMAL,
        "compaction_stalled": Kind.BOOLEAN,
        "members": Kind.INTEGER,
        "leader": Kind.TEXT,
        "leader_id": Kind.TEXT,
        "silent_members": Kind.TEXTS,
    }


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (["steps.a.b"], "steps.a.b"),
        (["steps.a.b"], "steps . a\n . b.size() > 1"),
        ([], "'steps.a.b' == \"steps.a.b\""),
        ([], "r'steps.a.b\\' == '''steps.a.b'''"),
        (["params.x"], "true // steps.a.b\n && params.x"),
        (["steps.a.b"], ".steps.a.b"),
        ([], "mysteps.a.b && x_params.y"),
    ],
)
def test_references_are_found_outside_of_strings_and_comments(expected, text):
    assert expected == [reference.name for reference in find_references(text)]
