"""Playbooks: what loads, what a stage is given, and every way a file can be wrong, with the place of each."""

import pytest

from sretool.errors import DocumentError, UsageError
from sretool.model import Unknown
from sretool.runbook.library import find_playbook, find_runbook, list_playbooks
from sretool.runbook.playbook import given_of, value_of
from sretool.runbook.playbook_loader import load_playbook
from sretool.steps.catalogue import load_catalogue

RUNBOOKS = {
    "look": "runbook: look\nsummary: s\nsteps:\n- {id: status, uses: etcd.endpoint-status}\n",
    "mend": (
        "runbook: mend\nsummary: s\n"
        "params:\n"
        "  member: {type: string, default: m1, about: a}\n"
        "  pages: {type: integer, default: 1, about: a}\n"
        "  window: {type: duration, default: 1s, about: a}\n"
        "  share: {type: percent, default: 50%, about: a}\n"
        "steps:\n"
        '- {id: replace, uses: etcd.member-replace, with: {member: "{{ params.member }}"}}\n'
        '- {id: census, uses: etcd.census, with: {pages: "{{ params.pages }}", window: "{{ params.window }}"}}\n'
        '- {id: defrag, uses: etcd.defrag, with: {fragmentation: "{{ params.share }}"}}\n'
    ),
    "whole": "playbook: whole\nsummary: s\nstages: []\n",
    "broken": "runbook: broken\nsummary: s\nsteps:\n- {id: a, uses: nothing}\n",
}
HEAD = "playbook: x\nsummary: s\n"
PARAMS = "params:\n  member: {type: string, default: m2, about: a}\n"
LOOK = "- {id: look, gate: none, runbooks: [{run: look}]}\n"
HELD = "- {id: held, gate: held, runbooks: [{run: look}]}\n"


def find(name):
    if name not in RUNBOOKS:
        raise UsageError(f"there is no runbook {name!r}")
    return RUNBOOKS[name], f"{name}.yaml"


def load(text, catalogue):
    return load_playbook(text, origin="x.yaml", catalogue=catalogue, find=find)


def problems_of(text, catalogue):
    with pytest.raises(DocumentError) as caught:
        load(text, catalogue)
    return list(caught.value.problems)


def after_look(stage):
    """Return a playbook that looks first, and the line and column at which the mark ▸ in `stage` stands."""
    text = f"{HEAD}{PARAMS}stages:\n{LOOK}{stage}"
    before = text[: text.index("▸")]
    return text.replace("▸", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_a_stage_is_given_parameters_and_facts_of_earlier_looks_as_a_person_would_write_them(catalogue):
    book = load(
        f"{HEAD}{PARAMS}stages:\n{LOOK}"
        "- id: mend\n  when: stages.look.look.status.members > 1\n  runbooks:\n"
        '  - {run: mend, as: one, with: {member: "{{ params.member }}", window: 90s, share: 45%}}\n'
        '  - {run: mend, as: two, with: {pages: "{{ stages.look.look.status.members }}"}}\n',
        catalogue,
    )
    one, two = book.stages[1].parts
    facts = {("look", "look"): {"status": {"members": 3}}}
    params = {"member": "m3"}
    resolve = lambda mention: value_of(mention, params, facts)  # noqa: E731
    assert given_of(one, resolve) == {"member": "m3", "window": "90s", "share": "45%"}
    assert given_of(two, resolve) == {"pages": "3"}
    assert book.stages[1].when.answer(resolve) is True
    assert book.books == {"look": (RUNBOOKS["look"], "look.yaml"), "mend": (RUNBOOKS["mend"], "mend.yaml")}


@pytest.mark.parametrize(
    ("why", "facts"),
    [
        ("stage look has not looked with look", {}),
        ("step status of look was skipped, or could not look", {("look", "look"): {}}),
        ("m2 is silent", {("look", "look"): {"status": {"quota_used": {"unknown": "m2 is silent"}}}}),
    ],
)
def test_what_was_not_read_is_unknown_and_permits_nothing(why, facts, catalogue):
    when = "stages.look.look.status.quota_used > 0.8"
    book = load(f"{HEAD}stages:\n{LOOK}- {{id: b, when: {when}, runbooks: [{{run: look}}]}}\n", catalogue)
    answer = book.stages[1].when.answer(lambda mention: value_of(mention, {}, facts))
    assert isinstance(answer, Unknown)
    assert why in answer.reason


WHOLE_FILES = [
    ("playbook: x\n", ["1:1: the document has no summary", "1:1: the document has no stages"]),
    (f"{HEAD}stages: []\n", ["3:9: stages: must be a list with at least one entry"]),
    (f"{HEAD}stagse: []\nstages:\n{LOOK}", ["3:1: unknown key stagse (did you mean stages?)"]),
    (f"playbook: z\nsummary: s\nstages:\n{LOOK}", ["1:11: playbook: the file is called x.yaml"]),
    (f"{HEAD}deadline: 5\nstages:\n{LOOK}", ["3:11: deadline: 5 has no unit: write 5s"]),
    (f"{HEAD}stages:\n{LOOK}{LOOK}", ["5:8: stages[1].id: look is the stage in line 4 already"]),
    (f"{HEAD}stages:\n- {{id: a, runbooks: []}}\n", ["4:21: stages[0].runbooks: must be a list"]),
    (
        f"{HEAD}stages:\n{LOOK}numbers:\n  a: stages.look.look.status.size\n",
        ["6:6: numbers.a: look.look.status has no fact size"],
    ),
    (f"{HEAD}stages:\n{LOOK}numbers:\n  a: 1 + 1\n", ["6:6: numbers.a: must be one stages.STAGE"]),
    (f"{HEAD}stages:\n{LOOK}numbers:\n  a: 1\n", ['6:6: numbers.a: must be text: quote it, "1"']),
    (
        f"{HEAD}stages:\n{LOOK}numbers: {{a: stages.look.look.status.nope, c: 1 + 1, b: 5, e: 6}}\n",
        [
            "5:14: numbers.a: look.look.status has no fact nope",
            "5:47: numbers.c: must be one stages.STAGE",
            '5:57: numbers.b: must be text: quote it, "5"',
            '5:63: numbers.e: must be text: quote it, "6"',
        ],
    ),
    (
        f"{HEAD}alerts: [1, a, 2, '']\nstages:\n{LOOK}",
        [
            '3:10: alerts[0]: must be text: quote it, "1"',
            '3:16: alerts[2]: must be text: quote it, "2"',
            "3:19: alerts[3]: must be text of length >= 1",
        ],
    ),
    (
        f"{HEAD}stages:\n{LOOK}causes: [nope, disk-slow, nospace, 5]\n",
        [
            "5:10: causes[0]: none of its runbooks finds nope",
            "5:27: causes[2]: none of its runbooks finds nospace",
            '5:36: causes[3]: must be text: quote it, "5"',
        ],
    ),
    (
        f"{HEAD}stages:\n{LOOK}{HELD}numbers:\n  a: stages.held.look.status.members\n",
        ["7:6: numbers.a: stage held is held: it runs only when it is named"],
    ),
    (
        f"{HEAD}stages:\n{LOOK}causes: [disk-slow, disk-slwo]\n",
        ["5:21: causes[1]: none of its runbooks finds disk-slwo (did you mean disk-slow?)"],
    ),
    (
        f"{HEAD}stages:\n- {{id: a, runbooks: [{{}}, {{}}]}}\n",
        [
            "4:22: stages[0].runbooks[0] has no run: it is required",
            "4:26: stages[0].runbooks[1] has no run: it is required",
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), WHOLE_FILES)
def test_a_file_that_is_wrong_as_a_whole_is_told_with_every_place(text, expected, catalogue):
    found = problems_of(text, catalogue)
    assert len(found) == len(expected)
    for problem, words in zip(found, expected, strict=True):
        assert problem.startswith(f"x.yaml:{words}")


STAGES = [
    (
        "- {id: b, gate: ▸asks, runbooks: [{run: look}]}\n",
        "must be one of none, ask, held, not asks (did you mean ask?)",
    ),
    ("- {id: b, runbooks: [{run: ▸loook}]}\n", "there is no runbook 'loook'"),
    ("- {id: b, runbooks: [{run: ▸broken}]}\n", "the runbook broken has 1 problems: sretool check broken"),
    ("- {id: b, runbooks: [{run: ▸whole}]}\n", "whole is a playbook: a stage runs runbooks"),
    (
        "- {id: b, runbooks: [{run: look}, ▸{run: look}]}\n",
        "look is there twice in b: give one another name with as",
    ),
    (
        "- {id: b, runbooks: [{run: mend, with: {▸membr: m1}}]}\n",
        "mend has no parameter membr (did you mean member?)",
    ),
    ("- {id: b, runbooks: [{run: mend, with: {window: ▸30}}]}\n", "30 has no unit: write 30s"),
    (
        "- {id: b, runbooks: [{run: mend, with: ▸{pages: 0}}]}\n",
        "step census: pages: must be an integer >= 1",
    ),
    (
        '- {id: b, runbooks: [{run: mend, with: {pages: ▸"{{ params.member }}"}}]}\n',
        "params.member is of type string: pages is integer",
    ),
    (
        '- {id: b, runbooks: [{run: mend, with: {member: ▸"{{ params.membr }}"}}]}\n',
        "there is no parameter membr (did you mean member?)",
    ),
    (
        '- {id: b, runbooks: [{run: mend, with: {member: ▸"a {{ params.member }}"}}]}\n',
        "{{ }} stands only as a whole value",
    ),
    (
        '- {id: b, runbooks: [{run: mend, with: {member: ▸"{{ 1 + 1 }}"}}]}\n',
        "in {{ }} stands stages.STAGE.RUNBOOK.STEP.FACT or params.NAME",
    ),
    (
        '- {id: b, runbooks: [{run: mend, with: {share: ▸"{{ stages.look.look.status.quota_used }}"}}]}\n',
        "stages.look.look.status.quota_used is double: share is percent",
    ),
    ("- {id: b, when: ▸1 + 1, runbooks: [{run: look}]}\n", "a condition is true or false, this is a number"),
    (
        "- {id: b, when: stages.▸lok.look.status.members > 1, runbooks: [{run: look}]}\n",
        "there is no earlier stage lok (did you mean look?)",
    ),
    (
        "- {id: b, when: stages.look.▸etcd.status.members > 1, runbooks: [{run: look}]}\n",
        "look has no runbook etcd (known: look)",
    ),
    (
        "- {id: b, when: stages.look.look.▸stats.members > 1, runbooks: [{run: look}]}\n",
        "look.look has no step stats (did you mean status?)",
    ),
    (
        "- {id: b, when: stages.look.look.status.▸membrs > 1, runbooks: [{run: look}]}\n",
        "look.look.status has no fact membrs (did you mean members?)",
    ),
    (
        "- {id: b, when: stages.▸b.look.status.members > 1, runbooks: [{run: look}]}\n",
        "stage b asks about itself: only until may",
    ),
    (
        "- {id: b, when: ▸stages.look.look > 1, runbooks: [{run: look}]}\n",
        "stages.look.look is no value: write stages.STAGE.RUNBOOK.STEP.FACT",
    ),
    (
        "- {id: b, when: stages.▸c.look.status.members > 1, runbooks: [{run: look}]}\n- {id: c, runbooks: [{run: look}]}\n",
        "stage c comes later: only earlier stages are known",
    ),
    (
        "- {id: b, runbooks: [{run: look, when: stages.look.look.status.▸quota > 0.1}]}\n",
        "look.look.status has no fact quota",
    ),
    (
        "- ▸{id: b, until: stages.b.look.status.members > 1, runbooks: [{run: look}]}\n",
        "until and timeout belong together",
    ),
    (
        "- {id: b, gate: none, until: ▸stages.b.look.status.members > 1, timeout: 5s, runbooks: [{run: look}]}\n",
        "a stage that only looks has nothing to wait for",
    ),
    (
        "- {id: b, until: ▸stages.look.look.status.members > 1, timeout: 5s, runbooks: [{run: look}]}\n",
        "asks nothing about b: only its own runbooks look again",
    ),
    ("- {id: b, until: ▸'true', timeout: 5s, runbooks: [{run: look}]}\n", "asks nothing about b"),
    (
        "- {id: b, until: stages.b.look.status.members > 1, timeout: ▸5, runbooks: [{run: look}]}\n",
        "timeout: 5 has no unit: write 5s",
    ),
    (
        "- {id: b, until: stages.b.look.status.members > 1, timeout: ▸0s, runbooks: [{run: look}]}\n",
        "timeout: must be more than nothing",
    ),
]


ASKS_A_HELD_STAGE = [
    f"{HELD}- {{id: b, when: stages.▸held.look.status.members > 1, runbooks: [{{run: look}}]}}\n",
    f"- {{id: b, when: stages.▸held.look.status.members > 1, runbooks: [{{run: look}}]}}\n{HELD}",
    f"{HELD}- {{id: b, runbooks: [{{run: look, when: stages.▸held.look.status.members > 1}}]}}\n",
    f'{HELD}- {{id: b, runbooks: [{{run: mend, with: {{pages: ▸"{{{{ stages.held.look.status.members }}}}"}}}}]}}\n',
    (
        f"{HELD}- {{id: b, until: stages.b.look.status.members > stages.▸held.look.status.members,"
        " timeout: 5s, runbooks: [{run: look}]}\n"
    ),
]


@pytest.mark.parametrize("stage", ASKS_A_HELD_STAGE)
def test_nothing_asks_about_another_stage_that_runs_only_when_it_is_named(stage, catalogue):
    """Its facts are never there: every run would end with «cannot tell whether it is needed»."""
    text, place = after_look(stage)
    (problem,) = problems_of(text, catalogue)
    assert problem.startswith(f"x.yaml:{place}: ")
    why = "stage held is held: it runs only when it is named, so nothing else may ask about it"
    assert problem.split("\n")[0].endswith(why)


def test_a_held_stage_may_wait_for_its_own_facts_and_ask_about_those_before_it(catalogue):
    text = (
        "- {id: b, gate: held, when: stages.look.look.status.members > 1,"
        " until: stages.b.look.status.members > 1, timeout: 5s, runbooks: [{run: look}]}\n"
    )
    assert load(f"{HEAD}stages:\n{LOOK}{text}", catalogue).stages[1].until


def test_a_wrong_mention_hides_no_other_fault_of_its_condition(catalogue):
    when = "params.zz && stages.look.look.status.members > 1.5 && n1"
    stage = f"- {{id: b, when: {when}, runbooks: [{{run: look}}]}}\n"
    found = [
        problem.split("\n")[0] for problem in problems_of(f"{HEAD}{PARAMS}stages:\n{LOOK}{stage}", catalogue)
    ]
    column = len("- {id: b, when: ")
    assert [problem.split(": when: ")[0] for problem in found] == [
        f"x.yaml:7:{column + offset + 1}" for offset in (when.index("zz"), when.index(">"), when.index("n1"))
    ]
    assert "'>' does not work on (int, double)" in found[1]


@pytest.mark.parametrize(("stage", "words"), STAGES)
def test_a_stage_that_is_wrong_is_told_with_its_place(stage, words, catalogue):
    text, place = after_look(stage)
    (problem,) = problems_of(text, catalogue)
    assert problem.startswith(f"x.yaml:{place}: ")
    assert words in problem


def test_a_stage_may_wait_for_its_own_facts(catalogue):
    text = "- {id: b, until: stages.b.look.status.members > 1, timeout: 5s, runbooks: [{run: look}]}\n"
    assert load(f"{HEAD}stages:\n{LOOK}{text}", catalogue).stages[1].timeout_seconds == 5


@pytest.mark.parametrize("name", [name for name, _ in list_playbooks()])
def test_every_shipped_playbook_loads_with_the_runbooks_that_it_names(name):
    text, origin = find_playbook(name)
    book = load_playbook(text, origin=origin, catalogue=load_catalogue(), find=find_runbook)
    assert book.stages[0].only_looks
    assert all(stage.about for stage in book.stages)
