"""The journal is on disk before anything happens, and tells when somebody touched it."""

import stat

import pytest

from sretool.engine.journal import Journal, read_journal
from sretool.errors import StateError
from tests.support.moving_clock import MovingClock


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "one"


def written(folder, count=3):
    journal = Journal.create(folder, MovingClock())
    for number in range(count):
        journal.write("note", {"n": number})
    journal.close()
    return folder / "journal.jsonl"


def test_records_are_read_back_in_order(folder):
    written(folder)
    assert [0, 1, 2] == [record.body["n"] for record in read_journal(folder)]


def test_folder_and_file_are_private(folder):
    path = written(folder)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("lost", [1, 5, 40])
def test_a_torn_last_line_is_left_out(folder, lost):
    path = written(folder)
    path.write_bytes(path.read_bytes()[:-lost])
    assert [0, 1] == [record.body["n"] for record in read_journal(folder)]


def test_a_torn_last_line_is_cut_off_before_more_is_written(folder):
    path = written(folder)
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal.reopen(folder, MovingClock())
    journal.write("note", {"n": "after"})
    journal.close()
    assert [0, 1, "after"] == [record.body["n"] for record in read_journal(folder)]


def test_every_single_changed_byte_is_noticed(folder):
    path = written(folder)
    whole = path.read_bytes()
    last_line = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for place in range(0, last_line, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StateError, match="damaged"):
            read_journal(folder)


def test_a_missing_line_is_noticed(folder):
    path = written(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(StateError, match="lines are missing"):
        read_journal(folder)


def test_a_journal_that_is_no_text_is_damaged(folder):
    path = written(folder)
    path.write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(StateError, match=r"journal\.jsonl:1"):
        read_journal(folder)


def test_a_missing_journal_names_the_file(folder):
    with pytest.raises(StateError, match=r"journal\.jsonl"):
        read_journal(folder)


@pytest.mark.parametrize("what", ["a folder", "a loop of links"])
def test_a_journal_that_cannot_be_read_is_not_told_as_a_full_disk(folder, what):
    folder.mkdir(parents=True)
    path = folder / "journal.jsonl"
    if what == "a folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    for read in (read_journal, lambda one: Journal.reopen(one, MovingClock())):
        with pytest.raises(StateError, match=f"cannot read the journal {path}: ") as caught:
            read(folder)
        assert caught.value.then == f"look what is there, and who may read it: ls -ld {path}"


def test_a_full_disk_is_an_error_of_ours_and_nothing_follows_half_a_line(folder):
    import resource
    import signal

    written(folder, count=1)
    size = (folder / "journal.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = Journal.reopen(folder, MovingClock())
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
        with pytest.raises(StateError, match="cannot keep the journal"):
            journal.write("note", {"n": "too long for what is left" * 9})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    journal.write("note", {"n": "kept in memory only"})
    assert [0] == [record.body["n"] for record in read_journal(folder)]


def test_a_journal_is_not_written_through_a_symlink(folder, tmp_path):
    path = written(folder)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(StateError, match="cannot write the journal") as caught:
        Journal.reopen(folder, MovingClock())
    assert caught.value.then == f"look what is there, and who may write it: ls -ld {path}"


def test_a_journal_that_did_not_begin_leaves_no_folder(folder):
    Journal.create(folder, MovingClock()).discard()
    assert not folder.exists()


def test_the_folder_of_another_run_stays(folder):
    path = written(folder)
    with pytest.raises(StateError, match="cannot keep the journal"):
        Journal.create(folder, MovingClock())
    assert path.exists()


def test_nothing_to_write_touches_no_disk(folder):
    journal = Journal.create(folder, MovingClock())
    journal.close()
    journal._descriptor = -1  # whatever is done with it fails
    journal.write_all([])
    assert journal.records == []
