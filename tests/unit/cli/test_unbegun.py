"""A script that asked for JSON gets one document, also from a command that an error ended before it began."""

import json

import pytest

from sretool.cli.exits import exit_code_of
from sretool.cli.unbegun import find_output

BROKEN = "runbook: one\nsumary: x\nsteps: []\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["runbook", "nope"], "no runbook 'nope'", id="no such runbook"),
        pytest.param(["playbook", "incident-8829", "--stage", "x"], "which cluster?", id="playbook"),
        pytest.param(["apply", "/nowhere/plan.json"], "No such file", id="no plan"),
        pytest.param(["resume", "nope"], "no run 'nope'", id="nothing to resume"),
        pytest.param(["undo"], "Missing argument 'RUN'", id="click misses an argument"),
        pytest.param(["report", "nope"], "no run 'nope'", id="no such run"),
        pytest.param(["cluster", "status", "--cluster", "nope"], "no cluster named 'nope'", id="cluster"),
        pytest.param(["cluster", "doctor", "--cluster", "nope"], "no cluster named 'nope'", id="doctor"),
        pytest.param(["step", "etcd.defrg"], "there is no step", id="no such step"),
        pytest.param(["lab", "status", "--name", "nope"], "there is no lab nope", id="no such lab"),
        pytest.param(["runbook", "x", "--bogus"], "No such option '--bogus'", id="click knows no option"),
        pytest.param(["runbook", "x", "--window", "5"], "'5' is no window", id="click refuses a value"),
        pytest.param(["runbook", "x", "-p", "floor"], "not KEY=VALUE", id="we refuse a value"),
    ],
)
def test_an_error_before_the_begin_is_one_document_with_the_ending(arguments, says, capsys):
    code = exit_code_of([*arguments, "--output", "json"])
    out, err = capsys.readouterr()
    ending = json.loads(out)["ending"]
    assert (2, 2, "nothing was changed") == (code, ending["exit_code"], ending["touched"])
    assert says in ending["sentence"]
    assert says in " ".join(err.split())
    assert out.startswith('{\n  "ending": {')


@pytest.mark.parametrize("option", [["--output", "jsonl"], ["--output=jsonl"]])
def test_as_lines_it_is_the_line_that_ends_every_run(option, capsys):
    assert exit_code_of(["playbook", "nope", *option]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    ended = json.loads(line)
    assert ("ended", 2, "nothing was changed") == (ended["event"], ended["exit_code"], ended["touched"])
    assert "there is no playbook 'nope'" in ended["sentence"]
    assert ended["then"]


def test_every_problem_of_a_document_is_in_the_sentence(tmp_path, capsys):
    (tmp_path / "one.yaml").write_text(BROKEN)
    assert exit_code_of(["runbook", str(tmp_path / "one.yaml"), "--output", "json"]) == 2
    assert "one.yaml:2:1" in json.loads(capsys.readouterr().out)["ending"]["sentence"]


def test_what_looks_like_a_secret_is_masked_in_both(capsys):
    assert exit_code_of(["runbook", "x", "--approve", "password=hunter2", "--output", "json"]) == 2
    out, err = capsys.readouterr()
    assert "password=(masked)" in json.loads(out)["ending"]["sentence"]
    assert "hunter2" not in out + err


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ([], None),
        (["--version"], None),
        (["--output", "json"], None),
        (["runbok", "--output", "json"], None),
        (["cluster"], None),
        (["cluster", "frobnicate", "--output", "json"], None),
        (["check", "x", "--output", "json"], None),
        (["runbook", "x"], "text"),
        (["runbook", "x", "--output"], "text"),
        (["runbook", "x", "--output", "yaml"], None),
        (["runbook", "x", "-p", "--output=json"], "text"),
        (["runbook", "x", "--output", "json", "--save"], "json"),
        (["runbook", "--frob", "x", "--output", "json", "y", "z"], "json"),
        (["runbook", "--output", "json", "--output", "jsonl"], "jsonl"),
        (["lab", "status", "--output=json"], "json"),
    ],
)
def test_what_output_says_is_read_as_far_as_the_words_can_be(arguments, output):
    assert output == find_output(arguments)


@pytest.mark.parametrize("arguments", [["runbook", "nope"], ["check", "nope"], ["safe", "etcd"]])
def test_who_asked_for_no_json_gets_none(arguments, capsys):
    assert exit_code_of(arguments) == 2
    assert "{" not in capsys.readouterr().out
