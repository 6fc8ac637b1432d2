"""Each fault is seen by the real servers, and so is its undo."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import pytest

from sretool.errors import RefusedError, UsageError
from sretool.lab import Lab, LabMember, LabSpec, down, processes
from sretool.lab.directory import read_faults
from sretool.lab.faults import FAULTS, FaultOptions, raise_fault, undo_fault
from sretool.lab.members import read_metrics
from sretool.lab.network import packet_table
from tests.support.etcd_cluster import hermetic_environment, hermetic_home, running_lab
from tests.support.needs import needs_nft, needs_root, needs_strace

pytestmark = [pytest.mark.real, pytest.mark.faults]

ROLES = ["follower", "follower", "leader"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    with running_lab(
        tmp_path_factory.mktemp("faults"), LabSpec(quota_bytes=64 << 20, peer_proxy=True)
    ) as lab:
        yield lab


@pytest.fixture(autouse=True)
def whole(lab) -> Iterator[None]:
    """Every test begins and ends with a healthy lab."""
    yield
    for one in read_faults(lab.directory):
        undo_fault(lab, one.fault, one.member)
    assert eventually(lambda: sorted(one.role for one in lab.status()) == ROLES)


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    return processes.wait_until(condition, seconds=seconds, every=0.05)


def put(lab: Lab, seconds: float = 5.0) -> float | None:
    """Write a key and return the seconds it took; None when etcd refused."""
    began = time.monotonic()
    answer = lab.etcdctl("put", "/key", "value", f"--command-timeout={seconds:g}s")
    return time.monotonic() - began if answer.returncode == 0 else None


def member_with(lab: Lab, role: str) -> str:
    assert eventually(lambda: sorted(one.role for one in lab.status()) == ROLES)
    return next(one.name for one in lab.status() if one.role == role)


def state(lab: Lab, member: str) -> str:
    return next(one.state for one in lab.status() if one.name == member)


def histogram(member: LabMember, name: str) -> tuple[float, float]:
    """Return sum and count over all labels of a histogram."""
    with urllib.request.urlopen(f"{member.metrics_url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return tuple(
        sum(float(value) for value in re.findall(rf"^{name}_{part}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
        for part in ("sum", "count")
    )


def means_during(lab: Lab, members: Sequence[str], name: str, act: Callable[[], object]) -> list[float]:
    before = [histogram(lab.member(member), name) for member in members]
    act()
    after = [histogram(lab.member(member), name) for member in members]
    assert all(new[1] > old[1] for old, new in zip(before, after, strict=True)), f"{name} was not observed"
    return [(new[0] - old[0]) / (new[1] - old[1]) for old, new in zip(before, after, strict=True)]


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_member_that_is_stopped_or_killed_is_down_until_undone(lab, fault):
    raise_fault(lab, fault, "m2")
    assert state(lab, "m2") == "down"
    assert eventually(lambda: put(lab) is not None)
    assert undo_fault(lab, fault, "m2") == "started, healthy"
    assert state(lab, "m2") == "running"


def test_a_stopped_leader_hands_over_and_a_killed_one_does_not(lab):
    """What tells SIGTERM from SIGKILL: an orderly shutdown moves leadership and says goodbye in the log."""
    leader = member_with(lab, "leader")
    log = lab.member(leader).log_path
    raise_fault(lab, "stop", leader)
    said = log.read_text()
    assert "leadership transfer" in said.lower()
    undo_fault(lab, "stop", leader)
    leader = member_with(lab, "leader")
    log = lab.member(leader).log_path
    length = len(log.read_text())
    raise_fault(lab, "kill", leader)
    assert "closed etcd server" not in log.read_text()[length:]


def test_a_frozen_member_keeps_its_connections_and_answers_nothing(lab):
    raise_fault(lab, "freeze", "m3")
    pid = lab.member("m3").pid
    assert state(lab, "m3") == "frozen"
    assert read_metrics(lab.member("m3"), timeout_seconds=0.3) == {}
    assert eventually(lambda: put(lab) is not None)
    assert undo_fault(lab, "freeze", "m3") == "goes on, healthy"
    assert lab.member("m3").pid == pid
    assert read_metrics(lab.member("m3"))


def used(lab: Lab) -> list[tuple[int, int]]:
    return [(one.db_size_bytes or 0, one.db_in_use_bytes or 0) for one in lab.status()]


def compact(lab: Lab) -> None:
    status = json.loads(lab.etcdctl("endpoint", "status", "--write-out=json").stdout)
    revision = str(status[0]["Status"]["header"]["revision"])
    assert lab.etcdctl("compact", "--physical", revision).returncode == 0


@pytest.mark.parametrize(("content", "freed"), [("garbage", True), ("live", False)])
def test_a_full_database_refuses_writes_and_compaction_frees_garbage_only(lab, content, freed):
    options = FaultOptions(content=content, prefix="/registry/events/")
    told = raise_fault(lab, "fill", "m1", options)
    assert told.startswith("NOSPACE after ")
    assert "NOSPACE" in lab.etcdctl("alarm", "list").stdout
    assert put(lab) is None
    compact(lab)
    assert eventually(lambda: (max(in_use for _, in_use in used(lab)) < 20 << 20) is freed)
    undo_fault(lab, "fill", "m1", options)
    assert lab.etcdctl("alarm", "list").stdout == ""
    assert put(lab) is not None
    assert max(size for size, _ in used(lab)) < 8 << 20
    assert lab.etcdctl("get", "--prefix", "/registry/events/", "--limit=1").stdout == ""


def test_a_fragmented_database_holds_the_free_space_that_was_asked_for(lab):
    raise_fault(lab, "fragment", "m1", FaultOptions(size_bytes=24 << 20))
    assert eventually(lambda: all(size - in_use >= 24 << 20 for size, in_use in used(lab)))
    undo_fault(lab, "fragment", "m1")
    assert eventually(lambda: all(size - in_use < 8 << 20 for size, in_use in used(lab)))


def test_fragmenting_beyond_the_quota_is_refused(lab):
    with pytest.raises(RefusedError, match="would bring the database to NOSPACE"):
        raise_fault(lab, "fragment", "m1", FaultOptions(size_bytes=64 << 20))


@needs_strace
@needs_root
def test_a_slow_disk_shows_in_that_members_fsync_metric_only(lab):
    name = "etcd_disk_wal_fsync_duration_seconds"

    def write() -> None:
        for _ in range(5):
            put(lab)
        time.sleep(0.5)

    raise_fault(lab, "slow-disk", "m1", FaultOptions(milliseconds=80))
    slow, other = means_during(lab, ("m1", "m2"), name, write)
    assert slow > 0.06
    assert other < 0.06
    undo_fault(lab, "slow-disk", "m1")
    assert means_during(lab, ("m1",), name, write)[0] < 0.06
    assert lab.find_running("slow-disk-m1") is None


@needs_nft
@needs_root
def test_a_partitioned_follower_has_no_leader_and_the_others_go_on(lab):
    follower = member_with(lab, "follower")
    raise_fault(lab, "loss", follower, FaultOptions(percent=100))
    there = lab.member(follower)
    assert eventually(lambda: read_metrics(there).get("etcd_server_has_leader") == 0)
    # etcdctl may ask the partitioned one, which answers nothing before the time limit.
    assert eventually(lambda: put(lab, seconds=1) is not None)
    undo_fault(lab, "loss", follower)
    assert eventually(lambda: read_metrics(there).get("etcd_server_has_leader") == 1)


def nft_tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, check=True, text=True).stdout


@needs_nft
@needs_root
def test_packet_loss_slows_a_leaders_writes(lab):
    leader = member_with(lab, "leader")
    raise_fault(lab, "loss", leader, FaultOptions(percent=30))
    assert packet_table(lab.record.block, leader) in nft_tables()
    # A packet that was lost is sent again after 200 ms at the earliest.
    assert eventually(lambda: (put(lab) or 5.0) > 0.15)
    undo_fault(lab, "loss", leader)
    assert packet_table(lab.record.block, leader) not in nft_tables()


def seconds_of_put(lab: Lab, member: str) -> float:
    began = time.monotonic()
    answer = lab.etcdctl("put", "/key", "value", f"--endpoints={lab.member(member).client_url}")
    assert answer.returncode == 0, answer.stderr
    return time.monotonic() - began


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_write_through_a_delayed_member_takes_both_ways(lab, role):
    """From a leader to a follower and back, or from a follower to the leader and back."""
    delayed, near = member_with(lab, role), member_with(lab, "leader")
    raise_fault(lab, "delay", delayed, FaultOptions(milliseconds=150))
    assert eventually(lambda: seconds_of_put(lab, delayed) >= 0.3)
    if role == "follower":
        assert eventually(lambda: seconds_of_put(lab, near) < 0.15)
    undo_fault(lab, "delay", delayed)
    assert eventually(lambda: seconds_of_put(lab, delayed) < 0.15)


def test_many_megabytes_pass_a_delayed_member_at_full_speed(lab):
    """A delay is not a throttle: 24 MiB to a member that is 100 ms away take far less than 24 round trips."""
    follower = member_with(lab, "follower")
    raise_fault(lab, "delay", follower, FaultOptions(milliseconds=100))
    began = time.monotonic()
    raise_fault(lab, "fragment", member_with(lab, "leader"), FaultOptions(size_bytes=24 << 20))
    assert eventually(lambda: len({one.db_in_use_bytes for one in lab.status()}) <= 2)
    assert time.monotonic() - began < 25
    undo_fault(lab, "fragment", "m1")


def test_a_fault_in_force_is_shown_and_not_raised_twice(lab):
    raise_fault(lab, "freeze", "m2")
    assert [one.faults for one in lab.status()] == [(), ("freeze",), ()]
    with pytest.raises(RefusedError, match="freeze is in force on m2"):
        raise_fault(lab, "freeze", "m2")
    undo_fault(lab, "freeze", "m2")
    assert [one.faults for one in lab.status()] == [(), (), ()]


@pytest.mark.parametrize("fault", ["freeze", "stop", "kill", "slow-disk"])
def test_a_member_that_is_down_cannot_be_broken_further(lab, fault):
    raise_fault(lab, "kill", "m1")
    if fault != "kill":
        with pytest.raises(RefusedError, match=r"m1 of the lab lab does not run|strace"):
            raise_fault(lab, fault, "m1")
    assert [one.fault for one in read_faults(lab.directory)] == ["kill"]


def test_an_unknown_fault_or_member_is_named_with_those_there_are(lab):
    with pytest.raises(UsageError, match="no fault 'melt'") as raised:
        raise_fault(lab, "melt", "m1")
    assert all(name in raised.value.then for name in FAULTS)
    with pytest.raises(UsageError, match="it has m1, m2, m3"):
        raise_fault(lab, "stop", "m4")


@pytest.mark.parametrize(("percent"), [0, -1, 101])
def test_an_impossible_share_of_packets_is_refused(lab, percent):
    with pytest.raises(UsageError, match="cannot be dropped"):
        raise_fault(lab, "loss", "m1", FaultOptions(percent=percent))
    assert read_faults(lab.directory) == ()


@pytest.mark.parametrize("prefix", ["", "a b", 'a"b', "a\nb"])
def test_a_prefix_that_etcdctl_would_misread_is_refused(lab, prefix):
    with pytest.raises(UsageError, match="cannot be the prefix"):
        raise_fault(lab, "fill", "m1", FaultOptions(prefix=prefix))


def test_delay_without_a_proxy_is_refused_with_the_command_that_helps(tmp_path):
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        with pytest.raises(RefusedError, match="started without") as raised:
            raise_fault(lab, "delay", "m1")
        assert "--peer-proxy" in raised.value.then
        assert read_faults(lab.directory) == ()


@pytest.mark.parametrize(("fault", "tool"), [("slow-disk", "strace"), ("loss", "nft")])
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_without_the_right_to_it_a_fault_is_refused_and_nothing_has_changed(lab, fault, tool):
    program = (
        "import sys\nfrom pathlib import Path\nfrom sretool.errors import RefusedError\n"
        "from sretool.lab import LabHome, open_lab\nfrom sretool.lab.faults import raise_fault\n"
        "lab = open_lab('lab', LabHome.of_user())\n"
        "try:\n    raise_fault(lab, sys.argv[1], 'm1')\n"
        "except RefusedError as error:\n    print(error.message)\n"
    )
    dropped = "-net_admin,-sys_ptrace"
    unprivileged = (
        ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"] if os.geteuid() == 0 else []
    )
    base = lab.directory.parents[3]
    answer = subprocess.run(
        [*unprivileged, sys.executable, "-c", program, fault],
        env=os.environ | hermetic_environment(base),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert tool in answer.stdout
    assert read_faults(lab.directory) == ()
    assert lab.find_running("slow-disk-m1") is None


@pytest.mark.parametrize("fault", ["slow-disk", "loss"])
def test_down_takes_every_fault_away(tmp_path, fault):
    """Also those that outlive the servers: packet rules are the kernel's."""
    with running_lab(tmp_path, LabSpec(members=1)) as lab:
        try:
            raise_fault(lab, fault, "m1")
        except RefusedError as error:
            pytest.skip(error.message)
        raise_fault(lab, "freeze", "m1")
        down("lab", hermetic_home(tmp_path))
        assert processes.find(lab.directory) == []
        if fault == "loss":
            tables = subprocess.run(
                ["nft", "list", "tables"], capture_output=True, text=True, check=True
            ).stdout
            assert f"sretool_lab_{lab.record.block}_" not in tables
