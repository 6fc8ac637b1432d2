"""Which run is meant, and what a run leaves behind that could not begin."""

import resource
import signal

import pytest

from sretool.cluster.inventory import parse_cluster
from sretool.engine.journal import Journal
from sretool.engine.opening import Terms, begin_journal
from sretool.engine.runs import list_runs, require_run, require_unfinished_run, runs_folder
from sretool.errors import StateError, UsageError
from tests.support.moving_clock import MovingClock

BEGIN = {"runbook": "etcd-defrag", "text": "", "origin": "", "given": {}, "cluster": "prod"}
ENTRY = parse_cluster(
    'cluster: prod\netcd:\n  members: [{name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}]\n',
    origin="prod.yaml",
)


def begun(run_id, *, exit_code=None):
    journal = Journal.create(runs_folder() / run_id, MovingClock())
    journal.write("begin", BEGIN)
    if exit_code is not None:
        journal.write("end", {"exit_code": exit_code, "sentence": "so it ended"})
    journal.close()
    return runs_folder() / run_id / "journal.jsonl"


def test_a_run_is_found_by_its_id_and_by_the_begin_of_it():
    begun("2026-a1")
    begun("2026-b2")
    assert {require_run(runs_folder(), given) for given in ("2026-a1", "2026-a")} == {"2026-a1"}
    with pytest.raises(UsageError, match="'2026' could be 2026-b2, 2026-a1"):
        require_run(runs_folder(), "2026")
    with pytest.raises(UsageError, match="no run '2027'"):
        require_run(runs_folder(), "2027")


def test_an_empty_id_is_no_run():
    begun("2026-a1")
    with pytest.raises(UsageError, match="the run is empty"):
        require_run(runs_folder(), "")


@pytest.mark.parametrize("exit_code", [None, 5, 7, 130, 143])
def test_the_newest_unfinished_run_is_taken_up(exit_code):
    begun("1")
    begun("2", exit_code=exit_code)
    begun("3", exit_code=0)
    assert require_unfinished_run(runs_folder()) == "2"


@pytest.mark.parametrize("what", ["empty", "torn", "damaged", "a folder", "a loop of links"])
def test_a_run_that_cannot_be_read_is_passed_by_and_found_by_its_id(what):
    begun("1")
    path = begun("2")
    content = {"empty": b"", "torn": path.read_bytes()[:-5], "damaged": b"x\n"}.get(what)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    elif what == "a folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    assert require_unfinished_run(runs_folder()) == "1"
    assert require_run(runs_folder(), "2") == "2"
    assert [run.id for run in list_runs(runs_folder())] == ["2", "1"]


@pytest.fixture
def full_disk():
    """Let files be made and nothing be written, as on a disk without a free block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, former)


def test_a_run_that_could_not_begin_leaves_no_folder(full_disk):
    told = []
    terms = Terms(catalogue={}, clock=MovingClock(), emit=told.append, unattended=True)
    looking = begin_journal("1", BEGIN, ENTRY, terms, may_write=False)
    assert [record.kind for record in looking.records] == ["begin"]
    assert "this look leaves no record" in told[0].text
    with pytest.raises(StateError, match="cannot keep the journal"):
        begin_journal("2", BEGIN, ENTRY, terms, may_write=True)
    assert list(runs_folder().iterdir()) == []
