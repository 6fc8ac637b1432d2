"""Playbooks by their path: the runbooks that they name stand beside them, wherever one works."""

import pytest

from sretool.errors import DocumentError
from sretool.runbook.named import read_either, read_playbook
from sretool.runbook.playbook_loader import load_playbook

ONE = "runbook: one\nsummary: s\nsteps:\n- {id: status, uses: etcd.endpoint-status}\n"
PLAYBOOK = "playbook: p\nsummary: s\nstages:\n- {id: look, gate: none, runbooks: [{run: ./one.yaml}]}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A playbook and its runbook in the folder `sub` of the working directory."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "p.yaml").write_text(PLAYBOOK)
    (tmp_path / "sub" / "one.yaml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sub"


@pytest.mark.parametrize("read", [read_playbook, read_either])
def test_a_playbook_finds_its_runbooks_beside_itself_from_another_directory(read, folder, catalogue):
    (part,) = read("sub/p.yaml", catalogue).stages[0].parts
    assert part.book.origin == "sub/one.yaml"
    (part,) = read(str(folder / "p.yaml"), catalogue).stages[0].parts
    assert part.book.origin == str(folder / "one.yaml")


def test_a_playbook_in_the_working_directory_finds_them_there(folder, monkeypatch, catalogue):
    monkeypatch.chdir(folder)
    (part,) = read_playbook("p.yaml", catalogue).stages[0].parts
    assert part.book.origin == "./one.yaml"


def test_a_saved_playbook_loads_from_the_texts_that_it_was_begun_with(folder, monkeypatch, catalogue):
    saved = read_playbook("sub/p.yaml", catalogue)
    monkeypatch.chdir(folder.parent.parent)
    (folder / "one.yaml").unlink()
    again = load_playbook(
        saved.text, origin=saved.origin, catalogue=catalogue, find=lambda name: saved.books[name]
    )
    assert again.stages[0].parts[0].book.origin == "sub/one.yaml"


PROBLEMS = [
    (None, "'sub/one.yaml' cannot be read: No such file or directory"),
    ("runbook: one\n", "the runbook ./one.yaml has 2 problems: sretool check sub/one.yaml"),
    (PLAYBOOK, "./one.yaml is a playbook: a stage runs runbooks"),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_what_is_wrong_with_a_named_file_is_told_as_seen_from_here(text, expected, folder, catalogue):
    (folder / "one.yaml").unlink()
    if text is not None:
        (folder / "one.yaml").write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_either("sub/p.yaml", catalogue)
    assert list(caught.value.problems) == [f"sub/p.yaml:4:43: stages[0].runbooks[0].run: {expected}"]


@pytest.mark.parametrize("run", ["./p.yaml", "incident-8829"])
def test_a_playbook_that_names_a_playbook_is_told_so(run, folder, catalogue):
    (folder / "p.yaml").write_text(PLAYBOOK.replace("./one.yaml", run))
    with pytest.raises(DocumentError) as caught:
        read_either("sub/p.yaml", catalogue)
    (problem,) = caught.value.problems
    assert problem.startswith(f"sub/p.yaml:4:43: stages[0].runbooks[0].run: {run} is a playbook")
