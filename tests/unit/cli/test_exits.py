"""Whatever goes wrong: one documented code, a few plain lines, never a traceback."""

import os
import stat
import subprocess
import sys

import pytest

from sretool.cli.exits import _bug, _told
from sretool.errors import (
    DocumentError,
    InterruptedRunError,
    LockHeldError,
    NoAnswerError,
    StateError,
    Touched,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such thing", then="try another"), 2),
        (DocumentError(["a.yaml:1:2: one", "a.yaml:3:4: two"]), 2),
        (LockHeldError("run x is at work", then="wait for it"), 4),
        (StateError("the disk is full", then="free space"), 4),
        (NoAnswerError("no answer", touched=Touched.UNKNOWN), 8),
        (InterruptedRunError("interrupted", signal_number=2), 130),
        (InterruptedRunError("interrupted", signal_number=15), 143),
    ],
)
def test_an_error_says_what_what_was_touched_and_what_is_next(error, code, capsys):
    assert code == _told(error)
    out, err = capsys.readouterr()
    assert out == ""
    for line in error.message.splitlines():
        assert line in err
    assert error.touched.value in err
    assert not error.then or f"next:  {error.then}" in err


def failed():
    try:
        raise KeyError("m4")
    except KeyError as error:
        return error


def test_a_bug_is_one_line_and_a_private_file(capsys, tmp_path):
    assert _bug(failed()) == 1
    err = capsys.readouterr().err
    assert "a bug in sretool: KeyError: 'm4'" in err
    assert "Traceback" not in err
    (saved,) = (tmp_path / "state" / "sretool" / "bugs").iterdir()
    assert str(saved) in err.replace("\n", "")
    assert "Traceback" in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_secret_in_a_bug_is_neither_shown_nor_saved(capsys, tmp_path):
    try:
        raise KeyError("http://me:pa55word@proxy:3128")
    except KeyError as error:
        assert _bug(error) == 1
    (saved,) = (tmp_path / "state" / "sretool" / "bugs").iterdir()
    for told in (capsys.readouterr().err, saved.read_text().rpartition("KeyError")[2]):
        assert "http://(masked)@proxy" in told
        assert "pa55word" not in told


def test_a_bug_is_shown_whole_when_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("SRETOOL_DEBUG", "1")
    assert _bug(failed()) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_that_cannot_be_saved_says_so(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert _bug(failed()) == 1
    assert "could not be saved" in capsys.readouterr().err


def run(script, *, env=None, **kwargs):
    return subprocess.run(
        check=False,
        args=["bash", "-c", script.replace("SRETOOL", f"{sys.executable} -m sretool")],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env=dict(os.environ) | (env or {}),
        **kwargs,
    )


def test_a_reader_that_has_seen_enough_ends_nothing():
    done = run("SRETOOL step etcd.defrag | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("command", ["step", "--help", "lab --help", "--version", "lab status", "lab fault"])
def test_a_full_disk_under_standard_output_is_told(command):
    done = run(f"SRETOOL {command} > /dev/full")
    assert done.returncode == 4
    assert "standard output could not be written: No space left on device" in done.stderr
    assert "bug" not in done.stderr


def test_a_full_disk_that_nothing_was_written_to_is_not_told():
    done = run("SRETOOL cluster status > /dev/full")
    assert done.returncode == 2
    assert "standard output" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"), [("step --output json", 0), ("step", 0), ("step nope --output json", 2)]
)
def test_what_a_closed_standard_output_loses_is_told(command, code):
    done = run(f"SRETOOL {command} >&-")
    assert code == done.returncode
    assert 1 == done.stderr.count("standard output is closed: what was found is shown nowhere")


def test_a_closed_standard_output_that_nothing_was_said_to_is_not_told():
    assert "standard output" not in run("SRETOOL step nope >&-").stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_bug(closed):
    done = run(f"SRETOOL step etcd.defrag {closed}")
    assert done.returncode == 0, done.stderr
    assert "bug" not in done.stderr


def test_a_locale_without_our_characters_gets_others():
    done = run(
        "SRETOOL safe nothing; SRETOOL step etcd.defrag", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    )
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LANG": ""}])
def test_any_locale_will_do(locale):
    done = run("SRETOOL runbook", env=locale)
    assert done.returncode == 0, done.stderr


def test_no_home_at_all_is_a_sentence():
    env = {
        name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")
    }
    done = subprocess.run(
        check=False,
        args=[sys.executable, "-m", "sretool", "cluster", "status"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env=env,
    )
    assert done.returncode == 2, done.stderr
    assert "bug" not in done.stderr


def test_a_cluster_file_that_is_no_yaml_is_told_with_its_place(tmp_path):
    folder = tmp_path / "config" / "sretool" / "clusters"
    folder.mkdir(parents=True)
    (folder / "prod.yaml").write_text("cluster: prod\netcd: {members: [}\n")
    done = run("SRETOOL cluster status")
    assert done.returncode == 2
    assert "prod.yaml:2:" in done.stderr


def test_a_cluster_file_that_is_no_text_is_told(tmp_path):
    folder = tmp_path / "config" / "sretool" / "clusters"
    folder.mkdir(parents=True)
    (folder / "prod.yaml").write_bytes(b"\xff\xfe\x00")
    done = run("SRETOOL cluster status")
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xff", b'{"number": 0}\n', b"[" * 100_000 + b"\n"])
def test_a_damaged_journal_is_told_and_listed(tmp_path, content):
    folder = tmp_path / "state" / "sretool" / "runs" / "20260101t000000-beef"
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_bytes(content)
    listed = run("SRETOOL report")
    assert listed.returncode == 0, listed.stderr
    assert "20260101t000000-beef" in listed.stdout
    shown = run("SRETOOL report 2026")
    assert shown.returncode == 4, shown.stderr
    assert "bug" not in shown.stderr
