"""`sretool lab`: one line of result on stdout, progress on stderr, errors as our own."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from sretool.cli.lab import lab as lab_command
from sretool.errors import RefusedError, UsageError
from sretool.lab import LabHome, down
from tests.support.etcd_cluster import hermetic_environment

pytestmark = pytest.mark.real


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[LabHome]:
    for name, value in hermetic_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    home = LabHome.of_user()
    yield home
    down("lab", home)
    down("second", home)


def sretool_lab(*arguments: str) -> Result:
    return CliRunner().invoke(lab_command, arguments)


def test_a_lab_from_up_to_down(home):
    up = sretool_lab("up", "--members", "1", "--quota", "16Mi")
    assert up.exit_code == 0, up.exception
    assert "lab: 1 member of etcd 3.6.16 on 127.0." in up.stdout
    assert "quota 16 MiB: healthy after" in up.stdout
    assert up.stdout.count("\n") == 1

    assert sretool_lab("up").exit_code == 0, "the options of before need not be repeated"

    status = sretool_lab("status")
    assert "m1  running   leader" in status.stdout

    assert sretool_lab("fault", "kill", "m1").stdout == "lab m1: killed\n"
    member = json.loads(sretool_lab("status", "--output", "json").stdout)[0]["members"][0]
    assert (member["state"], member["faults"], member["pid"]) == ("down", ["kill"], 0)
    assert sretool_lab("fault", "kill", "m1", "--undo").stdout == "lab m1: started, healthy\n"

    assert sretool_lab("down").stdout == "lab: ended, nothing is left\n"
    assert sretool_lab("down").stdout == "there is no lab lab\n"
    assert sretool_lab("status").stdout == "there is no lab; sretool lab up starts one\n"


def test_filling_tells_what_was_filled(home):
    sretool_lab("up", "--members", "1", "--quota", "8Mi")
    filled = sretool_lab("fault", "fill", "m1", "--with", "live", "--prefix", "/registry/pods/")
    assert "MiB of live keys below /registry/pods/ in" in filled.stdout


def test_down_all_ends_every_lab(home):
    sretool_lab("up", "--members", "1")
    sretool_lab("up", "--members", "1", "--name", "second")
    ended = sretool_lab("down", "--all").stdout
    assert ended == "lab: ended, nothing is left\nsecond: ended, nothing is left\n"


def test_every_fault_is_listed_with_what_it_needs(home):
    listed = sretool_lab("fault").stdout
    for line in ("stop ", "kill ", "freeze ", "fill ", "fragment ", "slow-disk ", "loss ", "delay "):
        assert f"\n{line}" in f"\n{listed}"
    assert "needs nft and root" in listed
    assert all(len(line) <= 80 for line in listed.splitlines())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status", "--name", "nope"), UsageError),
        (("fault", "kill", "m1"), UsageError),
        (("fault", "kill"), UsageError),
        (("up", "--members", "4"), UsageError),
        (("up", "--etcd", "/bin/true"), UsageError),
        (("down", "--name", "../.."), UsageError),
    ],
)
def test_a_mistake_ends_in_an_error_of_ours(home, arguments, error):
    assert isinstance(sretool_lab(*arguments).exception, error)


def test_another_lab_under_the_same_name_is_refused(home):
    sretool_lab("up", "--members", "1")
    assert isinstance(sretool_lab("up", "--members", "3").exception, RefusedError)
    assert isinstance(sretool_lab("up", "--peer-proxy").exception, RefusedError)


def test_a_quota_that_is_no_size_is_a_usage_error(home):
    assert sretool_lab("up", "--quota", "lots").exit_code == 2
