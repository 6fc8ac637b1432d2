"""The main command at a real terminal on a real etcd: what a No leaves alone, what a Yes does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import ROOT, Sretool
from tests.support.terminal import Person

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("cli")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("tt")
    with running_lab(base, LabSpec(name="prod", quota_bytes=64 << 20)) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


@pytest.fixture
def fragmented(lab):
    done = Sretool(lab.base, lab.name)("lab", "fault", "--name", lab.name, "fragment", "m1", "--size", "16Mi")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "small-defrag.yaml"
    path.write_text(
        "runbook: small-defrag\n"
        "summary: defragment what has a megabyte to give back\n"
        "steps:\n"
        "  - {id: status, uses: etcd.endpoint-status}\n"
        "  - {id: defrag, uses: etcd.defrag, with: {reclaim_floor: 1Mi}}\n"
    )
    return str(path)


def person(tool, *arguments, **kwargs):
    return Person([sys.executable, "-m", "sretool", *arguments], env=tool.environment, cwd=ROOT, **kwargs)


def intents(tool):
    return [record for record in tool.journal() if record["kind"] == "intent"]


QUESTION = "anything else is No: "


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        pytest.param("staging\r", 3, "'staging' is not the cluster's name", id="another name"),
        pytest.param("\r", 3, "declined", id="nothing"),
        pytest.param("\x04", 3, "declined", id="end of input"),
        pytest.param("\x03", 130, "interrupted at the question", id="Ctrl-C"),
    ],
)
def test_everything_but_the_clusters_name_changes_nothing(sretool, fragmented, book, typed, code, words):
    with person(sretool, "runbook", book) as asked:
        asked.wait_for(QUESTION)
        asked.type(typed)
        assert asked.end() == code, asked.seen
    assert words in asked.seen
    assert "nothing was changed" in asked.seen
    assert intents(sretool) == []


def test_the_typed_name_makes_the_changes_and_is_journaled(sretool, fragmented, book):
    with person(sretool, "runbook", book) as asked:
        asked.wait_for(QUESTION)
        asked.type("prod\r")
        assert asked.end() == 0, asked.seen
    assert "the cause is gone" in asked.seen
    assert intents(sretool)
    approval = next(record for record in sretool.journal() if record["kind"] == "approval")
    assert approval["body"]["how"] == "typed the cluster's name"


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colour_only_where_it_is_wanted(sretool, fragmented, book, env):
    sretool.environment |= env
    with person(sretool, "runbook", book, "--plan") as seen:
        assert seen.end() == 3, seen.seen
    assert ("\x1b[33m" in seen.seen) == (not env)
    assert "disruptive" in seen.seen


def test_a_reader_that_leaves_does_not_stop_a_run(sretool, fragmented, book):
    process = sretool.start("runbook", book, "--approve", "disruptive", "--output", "jsonl")
    assert '"event":"lookstarted"' in process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0, process.stderr.read()
    process.stderr.close()
    assert sretool.journal()[-1]["kind"] == "end"
    assert sretool.journal()[-1]["body"]["exit_code"] == 0


def test_jsonl_ends_with_the_ending_and_json_is_one_document(sretool, fragmented, book):
    lines = sretool("runbook", book, "--plan", "--output", "jsonl").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert {"lookstarted", "lookended", "planready", "ended"} == {event["event"] for event in events}
    assert events[-1]["exit_code"] == 3
    document = json.loads(sretool("runbook", book, "--plan", "--output", "json").stdout)
    assert document["ending"]["exit_code"] == 3
    assert document["planned"][0]["risk"] == "disruptive"


def test_asking_for_json_approves_nothing(sretool, fragmented, book):
    done = sretool("runbook", book, "--output", "json")
    assert done.returncode == 3
    assert intents(sretool) == []


def test_a_full_state_disk_stops_before_the_first_change(sretool, fragmented, book, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=4", "none", str(full)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("needs root: a file system of two pages")
    try:
        (full / "filler").write_bytes(b"x" * 8192)
        sretool.environment["XDG_STATE_HOME"] = str(full)
        done = sretool("runbook", book, "--approve", "disruptive")
        assert done.returncode == 4, done.stdout + done.stderr
        assert "nothing was changed" in done.stderr + done.stdout
        looked = sretool("runbook", book)
        assert looked.returncode == 3, looked.stderr
        assert "this look leaves no record" in " ".join(looked.stderr.split())
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_no_private_key_is_in_anything_a_run_leaves(lab, sretool, fragmented, book, tmp_path):
    done = sretool("runbook", book, "--approve", "disruptive", "-v")
    told = (done.stdout + done.stderr).encode()
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert files
    assert not any(b"PRIVATE KEY" in content for content in [told, *files])


def test_ctrl_c_while_looking_ends_cleanly_and_leaves_a_record(sretool, book):
    slow = book.replace("small-defrag", "slow-look")
    text = Path(book).read_text().replace("small-defrag", "slow-look")
    Path(slow).write_text(text + "  - {id: latency, uses: etcd.latency, with: {window: 30s}}\n")
    with person(sretool, "runbook", slow) as asked:
        asked.wait_for("latency: looking")
        asked.type("\x03")
        assert asked.end() == 130, asked.seen
    assert "nothing was changed" in asked.seen
    assert "Traceback" not in asked.seen
    assert sretool.journal()[-1]["body"]["exit_code"] == 130
    told = sretool("report", sretool.run_ids()[-1]).stdout
    assert told.count("nobody knows: the look did not end") == 3, told
    assert "nothing wrong" not in told
