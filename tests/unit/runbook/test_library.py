"""Where runbooks are found."""

import os

import pytest

from sretool.errors import DocumentError, UsageError
from sretool.runbook.library import beside, find_runbook, list_runbooks


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders of one's own."""
    made = [tmp_path / "one", tmp_path / "two"]
    for folder in made:
        folder.mkdir()
    monkeypatch.setenv("SRETOOL_RUNBOOKS", os.pathsep.join(map(str, made)))
    return made


def test_the_shipped_runbooks_are_found_by_name():
    text, origin = find_runbook("etcd-latency")
    assert text.splitlines()[1] == "runbook: etcd-latency"
    assert origin.endswith("runbooks/etcd-latency.yaml")
    assert {"etcd-latency", "etcd-defrag", "etcd-nospace"} <= {name for name, _ in list_runbooks()}


def test_folders_of_ones_own_come_after_the_shipped_one_in_their_order(folders):
    for folder in folders:
        (folder / "mine.yaml").write_text(f"from: {folder.name}\n")
        (folder / "etcd-latency.yaml").write_text("from: me\n")
    (folders[1] / "other.yml").write_text("from: two\n")
    (folders[1] / "notes.txt").write_text("no runbook\n")
    assert find_runbook("mine") == ("from: one\n", str(folders[0] / "mine.yaml"))
    assert find_runbook("other") == ("from: two\n", str(folders[1] / "other.yml"))
    assert "from: me" not in find_runbook("etcd-latency")[0]
    assert [name for name, origin in list_runbooks() if origin.startswith(str(folders[1]))] == [
        "etcd-latency",
        "mine",
        "other",
    ]


def test_a_path_is_read_as_it_is(tmp_path):
    path = tmp_path / "any.yaml"
    path.write_text("a: 1\n")
    assert find_runbook(str(path)) == ("a: 1\n", str(path))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        UsageError, match=r"there is no runbook 'etcd-latensy' \(did you mean etcd-latency\?\)"
    ):
        find_runbook("etcd-latensy")


def test_a_playbook_is_told_from_a_runbook_by_its_name():
    with pytest.raises(UsageError, match="incident-8829 is a playbook, no runbook") as caught:
        find_runbook("incident-8829")
    assert caught.value.then == "sretool playbook incident-8829"


@pytest.mark.parametrize(
    ("origin", "named", "expected"),
    [
        ("sub/p.yaml", "./one.yaml", "sub/one.yaml"),
        ("sub/p.yaml", "one.yaml", "sub/one.yaml"),
        ("sub/p.yaml", "../one", "sub/../one"),
        ("sub/p.yaml", "/one.yaml", "/one.yaml"),
        ("./p.yaml", "./one", "./one"),
        ("p.yaml", "./one", "./one"),
        ("sub/p.yaml", "etcd-latency", "etcd-latency"),
    ],
)
def test_a_path_in_a_file_is_seen_from_the_folder_of_the_file(origin, named, expected):
    assert expected == beside(origin, named)


def test_a_folder_that_is_not_there_is_named_only_when_a_name_is_not_found(monkeypatch, tmp_path):
    gone = str(tmp_path / "gone")
    monkeypatch.setenv("SRETOOL_RUNBOOKS", gone)
    assert find_runbook("etcd-latency")
    with pytest.raises(UsageError, match=f"SRETOOL_RUNBOOKS names {gone}, which is no folder"):
        find_runbook("nothing-of-that-name")


def test_a_path_that_cannot_be_read_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        find_runbook(str(tmp_path / "none.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="not UTF-8"):
        find_runbook(str(binary))
