"""What a sound runbook becomes, and its parameters."""

import msgspec
import pytest

from sretool.errors import DocumentError, UsageError
from sretool.runbook.loader import load_runbook, resolve_params, step_params
from sretool.runbook.model import ParamSpec, ParamType, RetrySpec, VerdictNext
from sretool.step import Duration, Percent, Quantity
from sretool.steps.catalogue import load_catalogue

TEXT = """\
# a comment
runbook: x
summary: it is slow
alerts: [Slow, Down]
needs: {etcd: required, hosts: optional}
params:
  window:   {type: duration, default: 1m30s, about: how long}
  floor:    {type: quantity, default: 200Mi, about: how much}
  share:    {type: percent,  default: 45%,   about: how full}
  pages:    {type: integer,  default: 3,     about: how many}
  factor:   {type: number,   default: 2,     about: how often}
  quiet:    {type: boolean,  default: false, about: how loud}
  depth:    {type: string,   default: counts, about: how deep}
steps:
  - {id: status, uses: etcd.endpoint-status, retry: {attempts: 3, within: 3s}, timeout: 1m}
  - id: census
    uses: etcd.census
    with: {window: "{{ params.window }}", pages: "{{params.pages}}", depth: "{{ params.depth }}", prefixes: [/a]}
    on_failure: continue
  - id: defrag
    uses: etcd.defrag
    with:
      reclaim_floor: "{{ params.floor }}"
      fragmentation: "{{ params.share }}"
      settle: "{{ params.window }}"
      ratio: "{{ params.factor }}"
      quiet: "{{ params.quiet }}"
    when: steps.status.quota_used >= params.share
verdicts: {disk-slow: {next: member-replace, about: one disk}}
verify: {again_after: 60s}
deadline: 10m
"""


@pytest.fixture
def runbook(catalogue):
    return load_runbook(TEXT, origin="folder/x.yaml", catalogue=catalogue)


def test_the_head_is_read(runbook):
    assert (runbook.name, runbook.summary) == ("x", "it is slow")
    assert runbook.alerts == ("Slow", "Down")
    assert runbook.needs == {"etcd": "required", "hosts": "optional"}
    assert runbook.verdicts == {"disk-slow": VerdictNext(next="member-replace", about="one disk")}
    assert (runbook.second_look_after({}), runbook.deadline_seconds) == (60.0, 600.0)
    assert (runbook.text, runbook.origin) == (TEXT, "folder/x.yaml")


def test_what_is_left_out_has_its_default(catalogue):
    text = "runbook: x\nsummary: s\nsteps: [{id: a, uses: etcd.census}]\n"
    runbook = load_runbook(text, origin="x.yaml", catalogue=catalogue)
    assert (runbook.alerts, runbook.needs, runbook.params, runbook.verdicts) == ((), {}, (), {})
    assert (runbook.second_look_after({}), runbook.deadline_seconds) == (0.0, 2700.0)
    step = runbook.steps[0]
    assert (step.when, step.on_failure, step.retry, step.timeout_seconds) == (None, "stop", None, None)


def test_steps_keep_their_order_and_settings(runbook):
    assert [(step.id, step.uses) for step in runbook.steps] == [
        ("status", "etcd.endpoint-status"),
        ("census", "etcd.census"),
        ("defrag", "etcd.defrag"),
    ]
    status, census, defrag = runbook.steps
    assert (status.retry, status.timeout_seconds) == (RetrySpec(attempts=3, within_seconds=3.0), 60.0)
    assert census.on_failure == "continue"
    assert defrag.when.text == "steps.status.quota_used >= params.share"


def test_parameters_are_typed(runbook):
    assert runbook.params[0] == ParamSpec(
        name="window", type=ParamType.DURATION, default=Duration(90), about="how long"
    )
    params = resolve_params(runbook, {})
    assert params == {
        "window": 90.0,
        "floor": 200 * 2**20,
        "share": 0.45,
        "pages": 3,
        "factor": 2.0,
        "quiet": False,
        "depth": "counts",
    }
    assert [type(value) for value in params.values()] == [Duration, Quantity, Percent, int, float, bool, str]


def test_what_is_given_replaces_the_default(runbook):
    given = {
        "window": "5s",
        "floor": "0",
        "share": "80%",
        "pages": "7",
        "factor": "0.5",
        "quiet": "true",
        "depth": "sampled",
    }
    params = resolve_params(runbook, given)
    assert list(params.values()) == [5.0, 0, 0.8, 7, 0.5, True, "sampled"]
    census, defrag = (
        msgspec.structs.asdict(step_params(runbook, step, params)) for step in runbook.steps[1:]
    )
    assert census == {"depth": "sampled", "window": 5.0, "pages": 7, "prefixes": ("/a",)}
    assert defrag == {"reclaim_floor": 0, "fragmentation": 0.8, "settle": 5.0, "ratio": 0.5, "quiet": True}


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("-p windw: there is no such parameter (did you mean window?)", {"windw": "1m"}),
        ("-p window=10: 10 has no unit: write 10s", {"window": "10"}),
        ("-p window=ten: 'ten' is not a duration such as 30s, 250ms or 1m30s", {"window": "ten"}),
        ("-p floor=x: 'x' is not a quantity such as 200Mi or 8Gi", {"floor": "x"}),
        ("-p share=80: 80 has no unit: write 80%", {"share": "80"}),
        ("-p pages=1.5: must be an integer", {"pages": "1.5"}),
        ("-p pages=" + "9" * 30 + ": must be an integer", {"pages": "9" * 30}),
        ("-p factor=nan: must be a number", {"factor": "nan"}),
        ("-p factor=x: must be a number", {"factor": "x"}),
        ("-p quiet=yes: must be true or false", {"quiet": "yes"}),
        ("-p pages=: must be an integer", {"pages": ""}),
        ("step census: pages: must be an integer >= 1", {"pages": "0"}),
        ("step census: depth: must be one of counts, sampled, not deep", {"depth": "deep"}),
        (
            "step defrag: a reclaim_floor below 1Mi needs a fragmentation of 10% or more",
            {"floor": "1", "share": "1%"},
        ),
    ],
)
def test_a_wrong_parameter_is_a_usage_error_before_anything_is_contacted(expected, given, runbook):
    with pytest.raises(UsageError) as caught:
        resolve_params(runbook, given)
    assert caught.value.message == expected


def test_all_wrong_parameters_come_at_once(runbook):
    with pytest.raises(UsageError) as caught:
        resolve_params(runbook, {"windw": "1m", "pages": "x"})
    assert len(caught.value.message.splitlines()) == 2


def test_a_runbook_without_parameters_says_so(catalogue):
    text = "runbook: x\nsummary: s\nsteps: [{id: a, uses: etcd.census}]\n"
    runbook = load_runbook(text, origin="x.yaml", catalogue=catalogue)
    with pytest.raises(UsageError) as caught:
        resolve_params(runbook, {"window": "1m"})
    assert caught.value.message == "-p window: there is no such parameter (x has no parameters)"


def test_the_same_text_loads_to_an_equal_runbook_from_any_origin(catalogue, runbook):
    again = load_runbook(runbook.text, origin="the journal of run 7", catalogue=catalogue)
    assert [step.id for step in again.steps] == [step.id for step in runbook.steps]
    assert again.params == runbook.params


SECOND_LOOK = """\
runbook: x
summary: s
params:
  pause: {type: duration, default: 5s, about: a}
  many: {type: integer, default: 5, about: a}
steps: [{id: a, uses: etcd.alarm-list}]
verify: {again_after: %s}
"""


def test_the_second_look_may_be_a_parameter():
    runbook = load_runbook(SECOND_LOOK % '"{{ params.pause }}"', origin="x", catalogue=load_catalogue())
    assert runbook.second_look_after(resolve_params(runbook, {})) == 5.0
    assert runbook.second_look_after(resolve_params(runbook, {"pause": "250ms"})) == 0.25


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('"{{ params.many }}"', "x:7:23: verify.again_after: the parameter many is of type integer"),
        ('"{{ params.paus }}"', "there is no parameter paus (did you mean pause?)"),
        ('"{{ params.pause }} s"', "stands only as a whole value"),
        ("soon", "is not a duration"),
        ("0s", "must be more than nothing"),
    ],
)
def test_a_second_look_that_cannot_be_is_a_problem(written, problem):
    with pytest.raises(DocumentError) as refused:
        load_runbook(SECOND_LOOK % written, origin="x", catalogue=load_catalogue())
    assert problem in str(refused.value)
