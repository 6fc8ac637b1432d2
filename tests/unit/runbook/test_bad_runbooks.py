"""Every way a runbook can be wrong, and the exact words and place that a person reads."""

import pytest

from sretool.errors import DocumentError
from sretool.runbook.loader import load_runbook

HEAD = "runbook: x\nsummary: s\n"
STATUS = "- {id: status, uses: etcd.endpoint-status}\n"
CENSUS = "- {id: census, uses: etcd.census}\n"


def placed(line):
    """Return the line without its mark, and the column that the mark stands for."""
    return line.replace("▸", ""), line.index("▸") + 1


def problems_of(text, catalogue, *, origin="x.yaml"):
    with pytest.raises(DocumentError) as caught:
        load_runbook(text, origin=origin, catalogue=catalogue)
    return list(caught.value.problems)


TOP_LEVEL = [
    ("", ["x.yaml:1:1: the document is empty"]),
    ("# nothing\n", ["x.yaml:1:1: the document is empty"]),
    ("- a\n", ["x.yaml:1:1: the document is not a mapping of keys to values"]),
    (
        "runbook: x\n",
        [
            "x.yaml:1:1: the document has no summary: it is required",
            "x.yaml:1:1: the document has no steps: it is required",
        ],
    ),
    (
        f"{HEAD}stps: []\nsteps:\n{STATUS}",
        ["x.yaml:3:1: unknown key stps (did you mean steps?)"],
    ),
    (f"{HEAD}steps: []\n", ["x.yaml:3:8: steps: must be a list with at least one entry, not nothing"]),
    (f"{HEAD}steps:\n", ["x.yaml:3:7: steps: must be a list with at least one entry, not nothing"]),
    (
        f"{HEAD}steps: {{a: 1}}\n",
        ["x.yaml:3:8: steps: must be a list with at least one entry, not a mapping"],
    ),
    (
        f"runbook: z\nsummary: s\nsteps:\n{STATUS}",
        ["x.yaml:1:10: runbook: the file is called x.yaml, so this must be x"],
    ),
    (
        f"runbook: X_1\nsummary: s\nsteps:\n{STATUS}",
        ["x.yaml:1:10: runbook: does not match ^[a-z][a-z0-9-]*$"],
    ),
    (f"runbook: x\nsummary: 5\nsteps:\n{STATUS}", ['x.yaml:2:10: summary: must be text: quote it, "5"']),
    (f"{HEAD}alerts: [a, 1]\nsteps:\n{STATUS}", ['x.yaml:3:13: alerts[1]: must be text: quote it, "1"']),
    (
        f"{HEAD}alerts: [1, a, '']\nsteps:\n{STATUS}",
        [
            'x.yaml:3:10: alerts[0]: must be text: quote it, "1"',
            "x.yaml:3:16: alerts[2]: must be text of length >= 1",
        ],
    ),
    (
        f"{HEAD}steps:\n- {{id: a, uses: etcd.census, with: {{prefixes: [1, a, 2]}}}}\n",
        [
            'x.yaml:4:48: steps[0].with.prefixes[0]: must be text: quote it, "1"',
            'x.yaml:4:54: steps[0].with.prefixes[2]: must be text: quote it, "2"',
        ],
    ),
    (f"{HEAD}deadline: 45\nsteps:\n{STATUS}", ["x.yaml:3:11: deadline: 45 has no unit: write 45s"]),
    (f"{HEAD}deadline: 0s\nsteps:\n{STATUS}", ["x.yaml:3:11: deadline: must be more than nothing"]),
    (
        f"{HEAD}deadline: 10x\nsteps:\n{STATUS}",
        ["x.yaml:3:11: deadline: '10x' is not a duration such as 30s, 250ms or 1m30s"],
    ),
    (
        f"{HEAD}needs: {{etcd: requird, host: optional}}\nsteps:\n{STATUS}",
        [
            "x.yaml:3:15: needs.etcd: must be one of required, optional, not requird (did you mean required?)",
            "x.yaml:3:24: unknown key host (did you mean hosts?)",
        ],
    ),
    (f"{HEAD}verify: 60s\nsteps:\n{STATUS}", ["x.yaml:3:9: verify: must be a mapping, not 60s"]),
    (
        f"{HEAD}verify: {{again: 60s}}\nsteps:\n{STATUS}",
        [
            "x.yaml:3:9: verify has no again_after: it is required",
            "x.yaml:3:10: unknown key again (did you mean again_after?)",
        ],
    ),
    (
        f"{HEAD}verdicts: {{Disk: {{nxt: a}}}}\nsteps:\n{STATUS}",
        [
            "x.yaml:3:12: Disk does not match ^[a-z][a-z0-9-]*$",
            "x.yaml:3:12: none of its steps finds Disk (did you mean disk-slow?)",
            "x.yaml:3:18: verdicts.Disk has no next: it is required",
            "x.yaml:3:19: unknown key nxt (did you mean next?)",
        ],
    ),
    (
        f"{HEAD}verdicts: {{disk-slwo: {{next: a}}}}\nsteps:\n{STATUS}",
        ["x.yaml:3:12: none of its steps finds disk-slwo (did you mean disk-slow?)"],
    ),
    (
        f"{HEAD}verdicts: {{disk-slwo: {{next: a}}}}\nsteps:\n- {{id: a, uses: etcd.censsu}}\n",
        ["x.yaml:5:17: steps[0].uses: there is no step etcd.censsu (did you mean etcd.census?)"],
    ),
]

PARAMS = [
    (
        "w: {type: ▸duratin, default: 10s, about: a}",
        "params.w.type: must be one of duration, quantity, percent, integer, number, boolean, string, not duratin (did you mean duration?)",
    ),
    ("w: {type: duration, default: ▸10, about: a}", "params.w.default: 10 has no unit: write 10s"),
    ("w: {type: quantity, default: ▸200, about: a}", "params.w.default: 200 has no unit: write 200Mi"),
    ("w: {type: percent, default: ▸80, about: a}", "params.w.default: 80 has no unit: write 80%"),
    (
        "w: {type: percent, default: ▸180%, about: a}",
        "params.w.default: '180%' is not a percentage from 0% to 100%",
    ),
    ("w: {type: integer, default: ▸1.5, about: a}", "params.w.default: must be an integer, not 1.5"),
    ("w: {type: integer, default: ▸true, about: a}", "params.w.default: must be an integer, not true"),
    ("w: {type: boolean, default: ▸1, about: a}", "params.w.default: must be true or false, not 1"),
    ("w: {type: string, default: ▸1, about: a}", 'params.w.default: must be text: quote it, "1"'),
    (
        "w: {type: integer, default: ▸[1], about: a}",
        "params.w.default: must be true or false or an integer or a number or text, not a list",
    ),
    ('w: {type: integer, default: 1, about: ▸""}', "params.w.about: must be text of length >= 1"),
    ("w: ▸{type: integer, default: 1}", "params.w has no about: it is required"),
    ("▸w-x: {type: integer, default: 1, about: a}", "w-x does not match ^[a-z][a-z0-9_]*$"),
    ("w: ▸10s", "params.w must be a mapping, not 10s"),
    ("w:▸", "params.w must be a mapping, not nothing"),
]

STEPS = [
    ("- ▸{id: a}", "steps[0] has no uses: it is required"),
    ("- ▸{uses: etcd.census}", "steps[0] has no id: it is required"),
    ("- ▸5", "steps[0] must be a mapping, not 5"),
    ("- {id: ▸a-b, uses: etcd.census}", "steps[0].id: does not match ^[a-z][a-z0-9_]*$"),
    ("- {id: ▸2, uses: etcd.census}", 'steps[0].id: must be text: quote it, "2"'),
    (
        "- {id: a, uses: ▸etcd.cencus}",
        "steps[0].uses: there is no step etcd.cencus (did you mean etcd.census?)",
    ),
    (
        "- {id: a, uses: etcd.census, on_failure: ▸ignore}",
        "steps[0].on_failure: must be one of stop, continue, not ignore",
    ),
    ("- {id: a, uses: etcd.census, timeout: ▸30}", "steps[0].timeout: 30 has no unit: write 30s"),
    ("- {id: a, uses: etcd.census, timeout: ▸0ms}", "steps[0].timeout: must be more than nothing"),
    (
        "- {id: a, uses: etcd.census, retry: {attempts: ▸0, within: 3s}}",
        "steps[0].retry.attempts: must be an integer >= 1",
    ),
    ("- {id: a, uses: etcd.census, retry: ▸{attempts: 3}}", "steps[0].retry has no within: it is required"),
    ("- {id: a, uses: etcd.census, retry: ▸3}", "steps[0].retry: must be a mapping, not 3"),
    ("- {id: a, uses: etcd.census, ▸wiht: {}}", "unknown key wiht (did you mean with?)"),
    ("- {id: a, uses: etcd.census, with: ▸[1]}", "steps[0].with: must be a mapping, not a list"),
    (
        "- {id: a, uses: etcd.census, with: {▸windw: 10s}}",
        "etcd.census has no parameter windw (did you mean window?)",
    ),
    ("- {id: a, uses: etcd.census, with: {window: ▸10}}", "steps[0].with.window: 10 has no unit: write 10s"),
    (
        "- {id: a, uses: etcd.census, with: {window: ▸true}}",
        "steps[0].with.window: must be text such as 10s, not true",
    ),
    (
        "- {id: a, uses: etcd.census, with: {depth: ▸cnts}}",
        "steps[0].with.depth: must be one of counts, sampled, not cnts (did you mean counts?)",
    ),
    ("- {id: a, uses: etcd.census, with: {pages: ▸0}}", "steps[0].with.pages: must be an integer >= 1"),
    (
        "- {id: a, uses: etcd.census, with: {prefixes: [a, ▸2]}}",
        'steps[0].with.prefixes[1]: must be text: quote it, "2"',
    ),
    ("- ▸{id: a, uses: etcd.member-replace}", "steps[0]: etcd.member-replace needs member in its with"),
    (
        "- {id: a, uses: etcd.defrag, with: {reclaim_floor: ▸200}}",
        "steps[0].with.reclaim_floor: 200 has no unit: write 200Mi",
    ),
    (
        "- {id: a, uses: etcd.defrag, with: ▸{reclaim_floor: 1Ki, fragmentation: 1%}}",
        "steps[0].with: a reclaim_floor below 1Mi needs a fragmentation of 10% or more",
    ),
    ("- {id: a, uses: etcd.census, when: ▸true}", 'steps[0].when: must be text: quote it, "true"'),
]

TEMPLATES = [
    (
        'etcd.census, with: {window: ▸"{{ params.windw }}"}',
        "steps[0].with.window: there is no parameter windw (did you mean window?)",
    ),
    (
        'etcd.census, with: {window: ▸"at {{ params.window }}"}',
        "steps[0].with.window: {{ }} stands only as a whole value: {{ params.NAME }}",
    ),
    (
        'etcd.census, with: {prefixes: ▸["{{ params.window }}"]}',
        "steps[0].with.prefixes: {{ }} stands only as a whole value: {{ params.NAME }}",
    ),
    (
        'etcd.census, with: {pages: ▸"{{ params.window }}"}',
        "steps[0].with.pages: params.window is of type duration: it must be integer",
    ),
    (
        'etcd.defrag, with: {fragmentation: ▸"{{ params.window }}"}',
        "steps[0].with.fragmentation: params.window is of type duration: it must be percent",
    ),
    (
        'etcd.census, with: {depth: ▸"{{ params.word }}"}',
        "steps[0].with.depth: must be one of counts, sampled, not zz",
    ),
    (
        'etcd.census, with: {prefixes: ▸"{{ params.word }}"}',
        "steps[0].with.prefixes: params.word is of type string: no parameter fits, write the value",
    ),
]


@pytest.mark.parametrize(("text", "expected"), TOP_LEVEL)
def test_a_problem_of_the_file_is_named_with_its_place(text, expected, catalogue):
    assert expected == problems_of(text, catalogue)


@pytest.mark.parametrize(("param", "expected"), PARAMS)
def test_a_problem_of_a_parameter_is_named_with_its_place(param, expected, catalogue):
    line, column = placed(f"  {param}")
    text = f"{HEAD}params:\n{line}\nsteps:\n{STATUS}"
    assert [f"x.yaml:4:{column}: {expected}"] == problems_of(text, catalogue)


@pytest.mark.parametrize(("step", "expected"), STEPS)
def test_a_problem_of_a_step_is_named_with_its_place(step, expected, catalogue):
    line, column = placed(step)
    assert [f"x.yaml:4:{column}: {expected}"] == problems_of(f"{HEAD}steps:\n{line}\n", catalogue)


@pytest.mark.parametrize(("uses", "expected"), TEMPLATES)
def test_a_template_that_does_not_fit_is_named_with_its_place(uses, expected, catalogue):
    line, column = placed(f"- {{id: a, uses: {uses}}}")
    params = (
        "  window: {type: duration, default: 10s, about: a}\n  word: {type: string, default: zz, about: a}\n"
    )
    text = f"{HEAD}params:\n{params}steps:\n{line}\n"
    assert [f"x.yaml:7:{column}: {expected}"] == problems_of(text, catalogue)


def test_all_problems_of_a_file_come_at_once_in_its_order(catalogue):
    text = (
        "runbok: x\nsummary: 5\nparams:\n  p: {type: integer, default: 1_000, about: a}\nsteps:\n"
        "- {id: a, uses: etcd.cencus, timeout: 30}\n"
        "- {id: a, uses: etcd.census, with: {window: 10, pages: no}, when: 'steps.b.keys > 1'}\n"
    )
    assert problems_of(text, catalogue) == [
        "x.yaml:1:1: unknown key runbok (did you mean runbook?)",
        "x.yaml:1:1: the document has no runbook: it is required",
        'x.yaml:2:10: summary: must be text: quote it, "5"',
        "x.yaml:4:31: 1_000: YAML 1.1 reads it as a number: write it without underscores, or quote it",
        "x.yaml:6:17: steps[0].uses: there is no step etcd.cencus (did you mean etcd.census?)",
        "x.yaml:6:39: steps[0].timeout: 30 has no unit: write 30s",
        "x.yaml:7:8: steps[1].id: a is the step in line 6 already",
        "x.yaml:7:45: steps[1].with.window: 10 has no unit: write 10s",
        "x.yaml:7:56: no: YAML 1.1 reads it as a boolean: write true or false, or quote the word",
        "x.yaml:7:74: when: there is no earlier step b (known: a)\n    steps.b.keys > 1\n          ^",
    ]


def test_a_runbook_that_comes_from_no_file_may_have_any_name(catalogue):
    text = f"{HEAD}steps:\n{STATUS}"
    assert load_runbook(text, origin="the journal of run 7", catalogue=catalogue).name == "x"
