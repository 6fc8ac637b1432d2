"""A lab comes up, is itself again when brought up twice, and leaves nothing behind."""

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sretool.cluster.inventory import parse_cluster
from sretool.errors import RefusedError, StateError, UsageError
from sretool.lab import Lab, LabSpec, complete_labs, down, labs, open_lab, processes, up
from tests.support.etcd_cluster import broken_client, hermetic_home, running_lab, send, tell

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def lab(base) -> Iterator[Lab]:
    with running_lab(base, LabSpec(quota_bytes=32 << 20)) as lab:
        yield lab


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def put(lab: Lab, key: str = "/key") -> bool:
    return lab.etcdctl("put", key, "value").returncode == 0


def test_three_members_serve_clients_on_addresses_of_their_own(lab):
    assert len({member.address for member in lab.members}) == 3
    for member in lab.members:
        answer = lab.etcdctl("put", "/key", member.name, f"--endpoints={member.client_url}")
        assert answer.stdout.strip() == "OK", answer.stderr
    roles = sorted(one.role for one in lab.status())
    assert roles == ["follower", "follower", "leader"]


def test_the_quota_reaches_etcd(lab):
    status = lab.etcdctl("endpoint", "status", "--write-out=json").stdout
    assert b'"dbSizeQuota":33554432' in status.encode()


def test_the_cluster_entry_describes_the_running_members(lab):
    entry = parse_cluster(lab.cluster_file.read_text(), origin=str(lab.cluster_file))
    assert entry.cluster == "lab"
    assert [one.client for one in entry.etcd.members] == [one.client_url for one in lab.members]
    assert [one.metrics for one in entry.etcd.members] == [one.metrics_url for one in lab.members]
    listed = lab.etcdctl("member", "list").stdout
    assert all(one.peer in listed for one in entry.etcd.members)
    for path in (entry.etcd.ca, entry.etcd.cert, entry.etcd.key, entry.etcd.members[0].data_dir):
        assert Path(path).exists()


def test_only_its_owner_can_read_the_lab(lab):
    assert lab.directory.stat().st_mode & 0o777 == 0o700
    assert lab.key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["expired", "unknown authority", "mismatched key"])
def test_members_refuse_a_broken_client_certificate(lab, tmp_path, fault):
    broken = broken_client(lab, tmp_path, fault)
    command = [
        lab.bin_dir / "etcdctl",
        f"--endpoints={lab.members[0].client_url}",
        f"--cacert={lab.ca}",
        f"--cert={broken.cert}",
        f"--key={broken.key}",
        "--dial-timeout=1s",
        "--command-timeout=1s",
    ]
    answer = subprocess.run([*command, "get", "/key"], env={}, capture_output=True, timeout=20, check=False)
    assert answer.returncode != 0


def test_up_again_changes_nothing(lab, base):
    before = [member.pid for member in lab.members]
    again = up(lab.spec, home=hermetic_home(base), progress=tell)
    assert [member.pid for member in again.members] == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_up_again_brings_back_a_member_that_died_or_froze(lab, base, number):
    pid = lab.members[1].pid
    send(pid, number)
    up(lab.spec, home=hermetic_home(base), progress=tell)
    assert {one.state for one in lab.status()} == {"running"}
    assert put(lab)


def test_up_refuses_another_lab_under_the_same_name(lab, base):
    with pytest.raises(RefusedError, match="members is 3, not 1"):
        up(msgspec.structs.replace(lab.spec, members=1), home=hermetic_home(base), progress=tell)
    assert put(lab)


def test_two_labs_stand_side_by_side_and_end_apart(lab, base):
    with running_lab(base, LabSpec(name="second", members=1)) as second:
        assert second.record.block != lab.record.block
        assert labs(hermetic_home(base)) == ["lab", "second"]
        assert put(second)
    assert labs(hermetic_home(base)) == ["lab"]
    assert not second.cluster_file.exists()
    assert put(lab)


def test_labs_of_different_homes_do_not_take_each_others_addresses(lab, tmp_path):
    with running_lab(tmp_path, LabSpec(members=1)) as other:
        assert other.record.block != lab.record.block


def test_down_ends_everything_and_removes_every_file(tmp_path):
    home = hermetic_home(tmp_path)
    with running_lab(tmp_path, LabSpec(members=3, peer_proxy=True)) as lab:
        assert len(processes.find(lab.directory)) == 6
        send(lab.members[2].pid, signal.SIGSTOP)
        assert down("lab", home)
        assert processes.find(lab.directory) == []
        assert files(tmp_path) == []
        assert not down("lab", home)


def test_etcd_is_not_reached_by_the_callers_etcd_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:1")
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", "http://127.0.0.1:1")
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        assert put(lab)


def test_up_keeps_its_hands_off_a_cluster_entry_that_is_not_its_own(tmp_path):
    home = hermetic_home(tmp_path)
    entry = home.cluster_file("prod")
    entry.parent.mkdir(parents=True)
    entry.write_text("cluster: prod\n")
    with pytest.raises(RefusedError, match="describes a cluster that is no lab"):
        up(LabSpec(name="prod"), home=home, progress=tell)
    assert not down("prod", home)
    assert entry.read_text() == "cluster: prod\n"


def test_a_member_that_cannot_start_is_named_with_its_reason(tmp_path):
    with pytest.raises(Exception, match=r"m1 of the lab lab is not healthy: .*no-such-flag") as raised:  # noqa: SIM117
        with running_lab(tmp_path, LabSpec(members=1, flags=("--no-such-flag",))):
            pass
    assert raised.value.exit_code == 8


@pytest.mark.parametrize("name", ["", "../up", "A", "a" * 32, "a b"])
def test_a_name_that_could_leave_the_state_folder_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="cannot name a lab"):
        up(LabSpec(name=name), home=hermetic_home(tmp_path), progress=tell)
    with pytest.raises(UsageError, match="cannot name a lab"):
        down(name, hermetic_home(tmp_path))


@pytest.mark.parametrize("spec", [LabSpec(members=2), LabSpec(version="3.3"), LabSpec(quota_bytes=-1)])
def test_a_lab_that_makes_no_sense_is_refused(tmp_path, spec):
    with pytest.raises(UsageError):
        up(spec, home=hermetic_home(tmp_path), progress=tell)
    assert files(tmp_path) == []


def test_a_lab_that_is_not_there_is_named_together_with_those_that_are(lab, base):
    with pytest.raises(UsageError, match=r"there is no lab nope \(labs: lab\)"):
        open_lab("nope", hermetic_home(base))


def test_a_damaged_record_is_reported_and_down_still_removes_the_lab(tmp_path):
    home = hermetic_home(tmp_path)
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        (lab.directory / "lab.json").write_text("{")
        with pytest.raises(StateError, match="cannot be read"):
            open_lab("lab", home)
        assert down("lab", home)
        assert processes.find(lab.directory) == []


def test_a_state_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "state").write_text("a file where a folder belongs")
    with pytest.raises(StateError, match="cannot be used"):
        up(LabSpec(), home=hermetic_home(tmp_path), progress=tell)


def test_members_restart_with_their_keys_when_the_database_is_full(tmp_path):
    """NOSPACE makes /health answer false; the lab must still count such a member as started."""
    from sretool.lab.faults import raise_fault

    with running_lab(tmp_path, LabSpec(members=1, quota_bytes=4 << 20)) as lab:
        raise_fault(lab, "fill", "m1")
        raise_fault(lab, "stop", "m1")
        up(lab.spec, home=hermetic_home(tmp_path), progress=tell)
        assert "NOSPACE" in lab.etcdctl("alarm", "list").stdout


def test_an_address_that_is_in_use_is_passed_over(tmp_path):
    with running_lab(tmp_path, LabSpec(members=1)) as lab, contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        block = lab.record.block
        while True:
            block += 1
            with contextlib.suppress(OSError):
                listener.bind((f"127.0.{block}.11", 2379))
                listener.listen()
                break
        with running_lab(tmp_path, LabSpec(name="second", members=1)) as second:
            assert second.record.block != block
            assert complete_labs(hermetic_home(tmp_path)) == ["lab", "second"]
