"""The log of a run: JSON lines, ours and the libraries', without what nobody needs for them."""

import json
import logging
import subprocess
import sys

from sretool.logs import RunLog


def test_a_line_has_its_event_its_fields_and_its_run(tmp_path):
    with RunLog(tmp_path / "log.jsonl", run="r1") as log:
        log.write("looked", {"step": "status"})
        logging.getLogger("library").warning("odd: %s", "answer")
    ours, theirs = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert (ours["event"], ours["step"], ours["run"]) == ("looked", "status", "r1")
    assert (theirs["event"], theirs["level"]) == ("odd: answer", "warning")


def test_a_secret_in_a_warning_of_a_library_is_masked(tmp_path):
    with RunLog(tmp_path / "log.jsonl") as log:
        log.write("looked", {})
        logging.getLogger("library").warning("no way to %s", "http://me:pa55word@proxy:3128")
    (_, theirs) = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert theirs["event"] == "no way to http://(masked)@proxy:3128"


def test_writing_it_does_not_load_rich_and_rich_can_be_loaded_afterwards(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from sretool.logs import RunLog\n"
        f"with RunLog(pathlib.Path({str(tmp_path / 'log.jsonl')!r})) as log: log.write('looked', {{}})\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('rich', 'pygments')])\n"
        "import rich.console\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"
