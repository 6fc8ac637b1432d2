"""The command line before any command runs: quick, complete, and clear about what it does not understand."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

from sretool import __version__
from sretool.cli.exits import exit_code_of
from tests.support.golden import assert_golden

HEAVY = (
    "asyncio",
    "cel_expr_python",
    "cryptography",
    "google",
    "grpc",
    "importlib.metadata",
    "kubernetes",
    "msgspec",
    "paramiko",
    "rich",
    "structlog",
    "tenacity",
    "yaml",
)
# A glance at the members is a fifth of a second, nearly all of it imports: it needs none of these.
UNNEEDED_FOR_A_GLANCE = (
    "asyncio",
    "cel_expr_python",
    "cryptography",
    "dataclasses",
    "google.protobuf.descriptor_pb2",
    "grpc.aio",
    "http.client",
    "importlib.metadata",
    "kubernetes",
    "paramiko",
    "rich",
    "shutil",
    "sretool.clients.kubernetes",
    "sretool.cluster.cluster",
    "sretool.cluster.etcd_reader",
    "sretool.engine",
    "sretool.runbook",
    "sretool.steps",
    "ssl",
    "structlog",
    "tenacity",
)
COMMANDS = (
    ("runbook",),
    ("playbook",),
    ("apply",),
    ("resume",),
    ("undo",),
    ("report",),
    ("cluster",),
    ("cluster", "status"),
    ("cluster", "doctor"),
    ("safe",),
    ("step",),
    ("check",),
    ("lab",),
    ("lab", "up"),
    ("lab", "down"),
    ("lab", "status"),
    ("lab", "fault"),
    ("schedule",),
)


class Done(NamedTuple):
    """What a command ended in."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def sretool(capsys):
    """Run a command line in this process: only how a process starts and ends needs one of its own."""

    def run(*arguments):
        code = exit_code_of(arguments)
        return Done(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["runbook", "--help"], ["cluster", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    script = (
        "import json, sys\n"
        "from sretool.cli.exits import exit_code_of\n"
        f"code = exit_code_of({arguments!r})\n"
        "sys.stderr.write(json.dumps([code, sorted(sys.modules)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert not set(HEAVY) & set(modules)


def test_a_glance_at_the_members_imports_only_what_it_needs(tmp_path):
    entry = tmp_path / "config" / "sretool" / "clusters" / "prod.yaml"
    entry.parent.mkdir(parents=True)
    entry.write_text(
        "cluster: prod\netcd: {members: [{name: m1, client: 'http://127.0.0.1:9', peer: 'http://127.0.0.1:10'}]}\n"
    )
    script = (
        "import sys\n"
        "from sretool.cluster.inventory import clusters_folder, require_cluster\n"
        "require_cluster('prod', clusters_folder())\n"
        "import sretool.cli.cluster, sretool.cluster.glance, sretool.report.members_text\n"
        "import sretool.clients.etcd.channel\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert not set(UNNEEDED_FOR_A_GLANCE) & set(done.stdout.split())


def test_the_first_page_reads_as_it_always_has(sretool):
    assert_golden("help/sretool.txt", sretool("--help").stdout)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_help_page_reads_as_it_always_has(command, sretool):
    done = sretool(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert_golden(f"help/{'-'.join(command)}.txt", done.stdout)


def test_the_version_is_the_packages(sretool):
    assert f"sretool, version {__version__}\n" == sretool("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["runbok"], "did you mean 'runbook'?", id="a typo in the command"),
        pytest.param(["--frobnicate"], "--frobnicate", id="an option that is not there"),
        pytest.param(
            ["runbook", "x", "--approve", "all"], "'reversible', 'disruptive', 'irreversible'", id="level"
        ),
        pytest.param(
            ["runbook", "x", "-p", "floor"], "'floor' is not KEY=VALUE", id="a parameter without value"
        ),
        pytest.param(["runbook", "x", "-p", "a=1", "-p", "a=2"], "a is given twice", id="a parameter twice"),
        pytest.param(
            ["runbook", "x", "--plan", "--approve", "disruptive"], "nothing for --approve", id="plan"
        ),
        pytest.param(
            ["runbook", "x", "--plan", "--accept", "margin"], "only a person", id="accept unattended"
        ),
        pytest.param(["runbook", "etcd-latensy"], "etcd-latency", id="a typo in the runbook"),
        pytest.param(["runbook", "etcd-latency"], "which cluster?", id="no cluster is known"),
        pytest.param(
            ["runbook", "etcd-latency", "--cluster", "nope"], "no cluster named 'nope'", id="unknown cluster"
        ),
        pytest.param(["apply", "/nowhere/plan.json"], "/nowhere/plan.json: No such file", id="no plan file"),
        pytest.param(["resume"], "no unfinished run", id="nothing to resume"),
        pytest.param(["resume", ""], "the run is empty", id="an empty variable to resume"),
        pytest.param(["undo", ""], "the run is empty", id="an empty variable to undo"),
        pytest.param(["report", ""], "the run is empty", id="an empty variable to report"),
        pytest.param(["undo", "2026"], "no run '2026'", id="nothing to undo"),
        pytest.param(["undo"], "Missing argument", id="undo of what"),
        pytest.param(["report", "2026"], "no run '2026'", id="no such run"),
        pytest.param(["step", "etcd.defrg"], "etcd.defrag", id="a typo in the step"),
        pytest.param(["check"], "Missing argument", id="check what"),
        pytest.param(["check", "/nowhere.yaml"], "/nowhere.yaml", id="a file that is not there"),
        pytest.param(["safe", "kubernetes"], "'etcd'", id="only etcd can be asked for"),
        pytest.param(["cluster", "status"], "which cluster?", id="status of which cluster"),
        pytest.param(["cluster", "frobnicate"], "frobnicate", id="no such subcommand"),
    ],
)
def test_misuse_ends_in_2_with_a_hint_and_touches_nothing(arguments, words, sretool):
    done = sretool(*arguments)
    assert done.returncode == 2, done.stderr
    shown = " ".join(done.stderr.split())
    assert words in shown
    assert "nothing was changed" in shown
    assert "Traceback" not in shown
    assert done.stdout == ""


@pytest.mark.parametrize("group", [[], ["cluster"], ["lab"]])
def test_a_group_alone_prints_its_help_page_and_ends_in_2(group, sretool):
    done = sretool(*group)
    assert (2, "") == (done.returncode, done.stdout)
    assert sretool(*group, "--help").stdout == done.stderr


@pytest.mark.parametrize("listed", ["runbook", "playbook"])
def test_a_list_as_jsonl_is_one_line_an_entry(listed, sretool):
    lines = sretool(listed, "--output", "jsonl").stdout.splitlines()
    assert json.loads(sretool(listed, "--output", "json").stdout) == [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runbook", "etcd-defrag", "--save", ""], "'--save': an empty path names no file"),
        (["runbook", "etcd-defrag", "--save", "/"], "is a directory"),
        (["runbook", "etcd-defrag", "--save", "/nowhere/p.json"], "there is no folder /nowhere"),
        (["apply", ""], "'FILE': an empty path names no file"),
    ],
)
def test_a_plan_that_can_be_kept_nowhere_is_told_before_anything_is_read(arguments, words, sretool, tmp_path):
    done = sretool(*arguments)  # no cluster is known here, and that is not what it stumbles over
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.rglob("journal.jsonl"))


def test_accept_without_a_person_at_a_terminal_is_refused(sretool):
    done = sretool("runbook", "etcd-latency", "--accept", "margin")
    assert done.returncode == 2
    assert "only a person at a terminal may" in " ".join(done.stderr.split())


def test_every_problem_of_every_file_is_told(tmp_path, sretool):
    (tmp_path / "one.yaml").write_text("runbook: one\nsumary: x\nsteps: []\n")
    (tmp_path / "two.yaml").write_text("runbook: two\nsummary: x\nsteps:\n  - {id: a, uses: etcd.defrg}\n")
    done = sretool("check", str(tmp_path / "one.yaml"), "etcd-latency", str(tmp_path / "two.yaml"))
    assert done.returncode == 2
    assert done.stdout == "etcd-latency: ok\n"
    assert "one.yaml:2:1" in done.stderr
    assert "two.yaml:4:" in done.stderr


def test_the_lists_are_there_without_any_cluster(sretool):
    for arguments, word in (
        (["runbook"], "etcd-latency"),
        (["step"], "etcd.defrag"),
        (["report"], "no run yet"),
    ):
        done = sretool(*arguments)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout


@pytest.mark.parametrize("name", ["etcd.defrag", "etcd.census", "etcd.alarm-disarm", "etcd.latency"])
def test_a_steps_manual_has_its_parameters(name, sretool):
    from sretool.steps.catalogue import load_catalogue

    done = sretool("step", name)
    assert done.returncode == 0, done.stderr
    for field in load_catalogue()[name].params_type.__struct_encode_fields__:
        assert f"  {field} " in done.stdout
    document = json.loads(sretool("step", name, "--output", "json").stdout)
    assert name == document["uses"]


def test_runbook_names_complete_in_the_shell(sretool, monkeypatch):
    monkeypatch.setenv("_SRETOOL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "sretool runbook etcd-l")
    monkeypatch.setenv("COMP_CWORD", "2")
    done = sretool()
    assert done.stdout == "plain,etcd-latency\n"
